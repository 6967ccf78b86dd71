//! Links that move. A relative target is adjusted, so that it leads to the same file.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::fault;
use super::files::create_folder_of;
use super::journal::{Link, utf8};
use crate::captions::real_path::real_path;
use crate::error::{Error, Result};

/// The link at each of these files, `None` for other files, with its target before and after all of
/// them have moved.
pub(super) fn moved_links(files: &[(&Path, &Path)]) -> Result<Vec<Option<Link>>> {
    if !files.iter().any(|(from, _)| from.is_symlink()) {
        return Ok(vec![None; files.len()]);
    }
    let moves: HashMap<PathBuf, PathBuf> = files
        .iter()
        .map(|(from, to)| (real_place(from), real_place(to)))
        .collect();
    files
        .iter()
        .map(|(from, to)| {
            let is_link = from.is_symlink();
            is_link.then(|| moved_link(from, to, &moves)).transpose()
        })
        .collect()
}

fn moved_link(from: &Path, to: &Path, moves: &HashMap<PathBuf, PathBuf>) -> Result<Link> {
    let old = fs::read_link(from).map_err(Error::io(from, "read"))?;
    let resolved = resolved(&real_folder(from), &old);
    let moved = moves.get(&real_place(&resolved));
    let new = if old.is_relative() {
        relative(&real_folder(to), moved.unwrap_or(&resolved))
    } else {
        moved.unwrap_or(&old).clone()
    };
    Ok(Link {
        old: utf8(old)?,
        new: utf8(new)?,
    })
}

/// The folder of a file, without links.
fn real_folder(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    real_path(folder.unwrap_or(Path::new(".")))
}

/// The path of a file, which may be a link itself, in its folder without links.
fn real_place(path: &Path) -> PathBuf {
    real_folder(path).join(path.file_name().unwrap_or_default())
}

/// The target of a link in a folder. Only `..` at its start can be left out: after other names it
/// may follow a link.
fn resolved(folder: &Path, target: &Path) -> PathBuf {
    let mut resolved = folder.to_path_buf();
    let mut is_start = true;
    for component in target.components() {
        is_start &= matches!(component, Component::ParentDir | Component::CurDir);
        match component {
            Component::ParentDir if is_start => {
                resolved.pop();
            }
            Component::CurDir => {}
            component => resolved.push(component),
        }
    }
    resolved
}

/// The path from a folder to a target, both without links; absolute if they are on different
/// drives.
fn relative(folder: &Path, target: &Path) -> PathBuf {
    let pairs = folder.components().zip(target.components());
    let common = pairs.take_while(|(a, b)| a == b).count();
    if common == 0 {
        return target.into();
    }
    let up = folder
        .components()
        .skip(common)
        .map(|_| Component::ParentDir);
    up.chain(target.components().skip(common)).collect()
}

/// Moves a link and gives it another target.
pub(super) fn move_link(from: &Path, to: &Path, target: &str) -> Result<()> {
    create_folder_of(to)?;
    create_link(Path::new(target), to).map_err(Error::io(to, "create the link"))?;
    fault::place().map_err(Error::io(from, "delete"))?;
    fs::remove_file(from).map_err(Error::io(from, "delete"))
}

/// True if there is a link with this target.
pub(super) fn is_link_to(path: &Path, target: &str) -> bool {
    fs::read_link(path).is_ok_and(|found| found == Path::new(target))
}

#[cfg(unix)]
fn create_link(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn create_link(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(not(any(unix, windows)))]
fn create_link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn relative_paths() {
        for (folder, target, expected) in [
            ("/a/b", "/a/c/x", "../c/x"),
            ("/a", "/a/x", "x"),
            ("/", "/x", "x"),
            ("/a/b/c", "/x", "../../../x"),
        ] {
            let found = relative(Path::new(folder), Path::new(target));
            assert_eq!(found, Path::new(expected), "{folder} {target}");
        }
    }

    #[test]
    fn targets_in_a_folder() {
        for (target, expected) in [
            ("x", "/a/b/x"),
            ("../../c/./x", "/c/x"),
            ("c/../x", "/a/b/c/../x"),
            ("/x", "/x"),
        ] {
            let found = resolved(Path::new("/a/b"), Path::new(target));
            assert_eq!(found, Path::new(expected), "{target}");
        }
    }
}
