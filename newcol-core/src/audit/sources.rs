//! The project's text, as values.

use camino::Utf8PathBuf;

/// A file of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Below the project's root.
    pub path: Utf8PathBuf,
    /// Its text.
    pub text: String,
}
