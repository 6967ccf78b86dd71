//! Changes of single files, and the names of the history's folders.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use lora_data::atomic;

use super::fault;
use super::stop::Stop;
use crate::error::{Error, Result};

/// The number of a command's folder, such as 12 for `0012` or `0012-undone`.
pub(super) fn number_of(name: &OsStr) -> Option<u64> {
    let name = name.to_str()?;
    name.strip_suffix(UNDONE).unwrap_or(name).parse().ok()
}

/// The number of threads that write files.
const THREADS: usize = 16;

/// The end of the names of commands that were undone.
pub(super) const UNDONE: &str = "-undone";

/// Writes a file. A link stays a link: the file that it leads to is written.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let target = if path.is_symlink() {
        path.canonicalize().map_err(Error::io(path, "write"))?
    } else {
        path.into()
    };
    atomic::write(&target, |file| io::Write::write_all(file, bytes))?;
    Ok(())
}

/// Writes files on several threads. Most of the time is spent waiting for the disk, which completes
/// many writes together: 5,000 captions take 1.0 s instead of 2.1 s on one thread, and 3.9 s
/// instead of 53 s while another program writes to the same disk.
///
/// After an error, any of the files may be written.
pub(super) fn replace_all(files: &[(&Path, &[u8])], stop: &Stop) -> Result<()> {
    let write = |files: &[(&Path, &[u8])]| {
        files.iter().try_for_each(|(path, bytes)| {
            stop.check()?;
            replace(path, bytes)?;
            fault::place().map_err(Error::io(path, "write"))
        })
    };
    let threads = if cfg!(test) { 1 } else { THREADS };
    let size = files.len().div_ceil(threads).max(1);
    if files.len() <= size {
        return write(files);
    }
    std::thread::scope(|scope| {
        let chunks = files.chunks(size);
        let running: Vec<_> = chunks
            .map(|files| scope.spawn(move || write(files)))
            .collect();
        running.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

/// Creates the folder of a file, if it is missing.
pub(super) fn create_folder_of(file: &Path) -> Result<()> {
    match file.parent() {
        Some(folder) => fs::create_dir_all(folder).map_err(Error::io(folder, "create the folder")),
        None => Ok(()),
    }
}

/// Moves a file to a path at which there is nothing, and creates the folder.
pub(super) fn move_file(from: &Path, to: &Path) -> Result<()> {
    create_folder_of(to)?;
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let mut source = File::open(from).map_err(Error::io(from, "read"))?;
            atomic::write(to, |file| io::copy(&mut source, file).map(|_| ()))?;
            if let Ok(metadata) = source.metadata() {
                // A file system without permissions is no reason to leave the file where it is.
                let _ = fs::set_permissions(to, metadata.permissions());
            }
            fs::remove_file(from).map_err(Error::io(from, "delete"))
        }
        moved => moved.map_err(Error::io(from, "move")),
    }
}

/// Writes the names in a folder to the disk. Not every system can do that.
pub(super) fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = folder;
}
