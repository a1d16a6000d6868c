//! The file changes of a command, as a value: shown by `--dry-run`, written by
//! [`crate::execute::files`].

use camino::{Utf8Path, Utf8PathBuf};

/// One file before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Path below the project's root.
    pub path: Utf8PathBuf,
    /// Contents the change was computed from; `None` for a file that did not exist.
    pub before: Option<String>,
    /// Contents afterwards; `None` deletes the file.
    pub after: Option<String>,
}

impl Change {
    /// Returns the change as a unified diff.
    pub fn diff(&self) -> String {
        let name = |prefix: &str, text: &Option<String>| match text {
            Some(_) => format!("{prefix}/{}", self.path),
            None => "/dev/null".to_owned(),
        };
        let mut options = diffy::DiffOptions::new();
        options.set_original_filename(name("a", &self.before));
        options.set_modified_filename(name("b", &self.after));
        options
            .create_patch(
                self.before.as_deref().unwrap_or_default(),
                self.after.as_deref().unwrap_or_default(),
            )
            .to_string()
    }
}

/// All file changes of a command, in the order in which they are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilePatch {
    changes: Vec<Change>,
}

impl FilePatch {
    /// Adds a change, unless it changes nothing.
    pub fn push(
        &mut self,
        path: impl AsRef<Utf8Path>,
        before: Option<String>,
        after: Option<String>,
    ) {
        if before != after {
            let path = path.as_ref().to_owned();
            self.changes.push(Change { path, before, after });
        }
    }

    /// Returns the changes.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Reports whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
