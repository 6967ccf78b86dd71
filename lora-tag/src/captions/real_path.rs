//! Paths without links.

use std::path::{Path, PathBuf};

/// The absolute path without links. Of a path that does not exist, only the part that does is
/// resolved.
pub(super) fn real_path(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
    for ancestor in absolute.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            return match absolute.strip_prefix(ancestor) {
                Ok(rest) if rest != Path::new("") => real.join(rest),
                _ => real,
            };
        }
    }
    absolute
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_as_far_as_there_are_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("a")).unwrap();
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
        assert_eq!(real_path(&root.join("link")), root.join("a"));
        assert_eq!(real_path(&root.join("link/b/c")), root.join("a/b/c"));
        assert!(real_path(Path::new("none")).is_absolute());
    }
}
