//! Atomic writes: a file is either complete or absent.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// A file under a temporary name in the folder of its target.
///
/// [`commit`](Self::commit) renames it to the target and replaces an existing file, whose
/// permissions it has. If it is dropped without `commit`, the temporary file is removed and the
/// target is unchanged.
#[derive(Debug)]
pub struct AtomicFile {
    /// `None` only after `commit`.
    writer: Option<BufWriter<File>>,
    temporary: PathBuf,
    target: PathBuf,
}

impl AtomicFile {
    /// Creates the temporary file, and the folder if it is missing.
    ///
    /// # Errors
    /// [`Error::Write`] if the folder or the file cannot be created.
    pub fn create(target: impl Into<PathBuf>) -> Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let target = target.into();
        let name = target.file_name().ok_or_else(|| Error::Write {
            path: target.clone(),
            action: "write",
            source: io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"),
        })?;
        let folder = folder_of(&target);
        fs::create_dir_all(folder).map_err(Error::write(folder, "create the folder"))?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!(
            ".{}.{}-{number}.tmp",
            name.to_string_lossy(),
            std::process::id()
        ));
        let file = File::create(&temporary).map_err(Error::write(&target, "write"))?;
        if let Ok(replaced) = fs::metadata(&target)
            && replaced.is_file()
        {
            // A file system without permissions is no reason to lose what is written.
            let _ = fs::set_permissions(&temporary, replaced.permissions());
        }
        Ok(Self {
            writer: Some(BufWriter::new(file)),
            temporary,
            target,
        })
    }

    /// Writes everything to the disk and returns the content of the temporary file.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be written or read.
    pub fn read_back(&mut self) -> Result<Vec<u8>> {
        let written = self.writer().and_then(|writer| {
            writer.flush()?;
            writer.get_ref().sync_all()
        });
        written.map_err(Error::write(&self.target, "write"))?;
        fs::read(&self.temporary).map_err(Error::write(&self.target, "read back"))
    }

    /// Writes everything to the disk and gives the file its name.
    ///
    /// # Errors
    /// [`Error::Write`]; the target is then unchanged.
    pub fn commit(mut self) -> Result<()> {
        let writer = self.writer.take();
        publish(writer, &self.temporary, &self.target).map_err(|source| {
            let _ = fs::remove_file(&self.temporary);
            Error::Write {
                path: self.target.clone(),
                action: "write",
                source,
            }
        })
    }

    fn writer(&mut self) -> io::Result<&mut BufWriter<File>> {
        self.writer
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer()?.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.writer()?.seek(position)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            // The buffer is not flushed: its content is not needed, and the disk may be full.
            drop(writer.into_parts());
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a file through `write`. After an error, an existing file is unchanged.
///
/// # Errors
/// [`Error::Write`] that names `target`.
pub fn write(target: &Path, write: impl FnOnce(&mut AtomicFile) -> io::Result<()>) -> Result<()> {
    let mut file = AtomicFile::create(target)?;
    write(&mut file).map_err(Error::write(target, "write"))?;
    file.commit()
}

fn publish(writer: Option<BufWriter<File>>, temporary: &Path, target: &Path) -> io::Result<()> {
    let writer = writer.ok_or(io::ErrorKind::NotConnected)?;
    let file = writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    drop(file);
    fs::rename(temporary, target)?;
    // The new name is on the disk only once the folder is synced. Not every system can do that.
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder_of(target)) {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/a.txt");
        write(&path, |file| file.write_all(b"one")).unwrap();
        write(&path, |file| file.write_all(b"two")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["a.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_kept() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        for mode in [0o600, 0o664, 0o444] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            write(&path, |file| file.write_all(b"new")).unwrap();
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                mode
            );
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        let error = write(&path, |file| {
            file.write_all(&[0; 100_000])?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        assert!(error.to_string().contains("a.txt"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_name_that_cannot_be_taken_leaves_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::create_dir(&path).unwrap();
        assert!(write(&path, |file| file.write_all(b"x")).is_err());
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_parent_that_is_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = AtomicFile::create(folder.path().join("file/a.txt")).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
