//! The project's text, as values.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

/// A file of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Below the project's root.
    pub path: Utf8PathBuf,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// Reports whether its head says that a program has written it, which would write it anew.
    pub(super) fn is_generated(&self) -> bool {
        const HEAD: usize = 10;
        let says = |line: &str| {
            let line = line.to_ascii_lowercase();
            line.contains("@generated") || line.contains("do not edit")
        };
        self.text.lines().take(HEAD).any(says)
    }
}

/// The texts of files, by path.
#[derive(Debug)]
pub struct Texts<'a>(BTreeMap<&'a Utf8Path, &'a str>);

impl<'a> Texts<'a> {
    /// Arranges files by path.
    pub fn of(files: &'a [SourceFile]) -> Self {
        Self(files.iter().map(|file| (file.path.as_path(), file.text.as_str())).collect())
    }

    /// Returns the text of a file.
    pub fn get(&self, path: &Utf8Path) -> Option<&'a str> {
        self.0.get(path).copied()
    }
}
