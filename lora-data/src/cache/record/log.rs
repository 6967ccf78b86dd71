//! A text file to which lines are appended.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The longest line that is read into memory. Records are much shorter.
const MAX_LINE: u64 = 1 << 20;

/// The number of outdated lines that are always tolerated.
const SPARE_LINES: usize = 64;

/// Appends lines to a file, which the first line creates.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: Option<File>,
    /// True if the file ends within a line because the last write was interrupted.
    is_torn: bool,
}

impl Log {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            is_torn: false,
        }
    }

    /// Appends a line in one write: an interruption may leave a partial line, but damages no other.
    pub(super) fn append(&mut self, line: &str) -> Result<()> {
        let result = self.try_append(line);
        result.map_err(|error| Error::io(&self.path, error))
    }

    fn try_append(&mut self, line: &str) -> io::Result<()> {
        if self.file.is_none() {
            let mut file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .open(&self.path)?;
            self.is_torn = ends_within_a_line(&mut file)?;
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let start = if self.is_torn { "\n" } else { "" };
        self.is_torn = true;
        file.write_all(format!("{start}{line}\n").as_bytes())?;
        self.is_torn = false;
        Ok(())
    }
}

fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Passes the lines of a file to `each` and returns their number; 0 if the file does not exist.
pub(super) fn read(path: &Path, each: impl FnMut(&[u8])) -> Result<usize> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(Error::CacheNotAFile { path: path.into() });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        _ => {}
    }
    read_lines(path, each).map_err(|error| Error::io(path, error))
}

fn read_lines(path: &Path, mut each: impl FnMut(&[u8])) -> io::Result<usize> {
    let mut reader = BufReader::new(File::open(path)?);
    let (mut line, mut lines) = (Vec::new(), 0);
    while reader
        .by_ref()
        .take(MAX_LINE)
        .read_until(b'\n', &mut line)?
        > 0
    {
        each(&line);
        lines += 1;
        line.clear();
    }
    Ok(lines)
}

/// True if rewriting a file of `lines` lines would shorten it to less than half.
pub(super) fn is_mostly_outdated(lines: usize, records: usize) -> bool {
    lines > 2 * records + SPARE_LINES
}

/// Replaces a file by these lines. If that fails, the old file stays.
pub(super) fn rewrite(path: &Path, lines: impl Iterator<Item = String>) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let replaced = write_lines(&temporary, lines).and_then(|()| fs::rename(&temporary, path));
    replaced.inspect_err(|_| drop(fs::remove_file(&temporary)))
}

fn write_lines(path: &Path, lines: impl Iterator<Item = String>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for line in lines {
        writeln!(file, "{line}")?;
    }
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}
