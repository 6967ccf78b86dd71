//! Editing a caption in a text editor.

use std::fs;
use std::path::Path;
use std::process::Command;

use lora_data::caption::read_text;

use super::folder::Entry;
use super::history::History;
use super::plan::{Plan, PlannedCaption};
use crate::error::{Error, Result};

/// Opens a copy of an image's caption in a text editor, waits until it is closed, makes the change
/// and records it as `name` in the history. The editor's command may have arguments and is run by
/// the shell.
///
/// The copy is in the hidden folder of the history. It stays there if the new text cannot be used
/// or written.
///
/// # Errors
/// [`Error::Editor`] if the editor cannot be started or fails, [`Error::EditedText`] if the new
/// text is not UTF-8 or cannot be written, and [`Error::Io`].
pub fn edit_in_editor(entry: &Entry, history: &History, command: &str, name: &str) -> Result<Plan> {
    let directory = history.directory();
    let folder = directory.join(format!("editor-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(Error::io(&folder, "create the folder"))?;
    let copy = folder.join(entry.file.file_name().unwrap_or_default());
    let old = entry.text.as_deref().unwrap_or_default();
    let edited = fs::write(&copy, old)
        .map_err(Error::io(&copy, "write"))
        .and_then(|()| run_editor(command, &copy, &entry.file));
    if let Err(error) = edited {
        remove(&folder, &directory);
        return Err(error);
    }
    let plan = write_edited(entry, &copy, history, name).map_err(|source| Error::EditedText {
        path: entry.file.clone(),
        copy,
        source: Box::new(source),
    })?;
    remove(&folder, &directory);
    Ok(plan)
}

/// Gives the caption the text of the copy.
fn write_edited(entry: &Entry, copy: &Path, history: &History, name: &str) -> Result<Plan> {
    let mut plan = Plan {
        considered: usize::from(entry.text.is_some()),
        ..Plan::default()
    };
    let new = read_text(copy)?;
    if new != entry.text.as_deref().unwrap_or_default() {
        plan.captions.push(PlannedCaption {
            file: entry.file.clone(),
            old: entry.text.clone(),
            new,
        });
        plan.apply(history, name)?;
    }
    Ok(plan)
}

/// Waits until the editor is closed.
fn run_editor(command: &str, copy: &Path, caption: &Path) -> Result<()> {
    let reason = match shell(command, copy).status() {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    Err(Error::Editor {
        command: command.into(),
        reason,
        path: caption.into(),
    })
}

/// Removes the folder of the copy, and that of the history if it is empty.
fn remove(folder: &Path, directory: &Path) {
    let _ = fs::remove_dir_all(folder);
    let _ = fs::remove_dir(directory);
}

/// The editor's command with a file, in which the shell splits arguments.
fn shell(command: &str, file: &Path) -> Command {
    let mut shell;
    if cfg!(windows) {
        shell = Command::new("cmd");
        shell.args(["/C", command]);
    } else {
        shell = Command::new("sh");
        shell.args(["-c", &format!("{command} \"$@\""), command]);
    }
    shell.arg(file);
    shell
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::captions::{Captions, CaptionsOptions};

    #[test]
    fn the_copy_is_edited() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("it's a.png"), "").unwrap();
        let captions = Captions::open(dir.path(), &CaptionsOptions::default()).unwrap();
        let entry = captions.find(Path::new("it's a.png")).unwrap();
        let history = History::open(dir.path()).unwrap();
        let edit = |command| edit_in_editor(entry, &history, command, "edit");
        assert!(edit("true").unwrap().captions.is_empty());
        assert!(!history.directory().exists());
        let plan = edit("printf 'new' | tee -a").unwrap();
        assert_eq!(plan.created(), 1);
        assert_eq!(fs::read_to_string(&entry.file).unwrap(), "new");
        history.undo().unwrap();
        for (command, reason) in [
            ("false", "exit status: 1"),
            ("/no/editor", "exit status: 127"),
        ] {
            let message = edit(command).unwrap_err().to_string();
            assert!(
                message.contains(&format!("editor `{command}`: {reason}")),
                "{message}"
            );
            assert!(message.ends_with("it's a.txt is unchanged"), "{message}");
        }
        let error = edit("printf '\\377' | tee -a").unwrap_err();
        let Error::EditedText { path, copy, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((path, copy.is_file()), (&entry.file, true));
        let message = error.to_string();
        let end = format!(
            "{} is unchanged, and the edited copy is {}",
            path.display(),
            copy.display()
        );
        assert!(message.contains("not UTF-8 at byte 0"), "{message}");
        assert!(message.ends_with(&end), "{message}");
        assert!(!entry.file.exists());
    }
}
