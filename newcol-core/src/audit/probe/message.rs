//! What Cargo and rustc say in JSON, as far as it is read here.

use camino::Utf8PathBuf;
use serde::Deserialize;

/// One line of Cargo's.
#[derive(Debug, Deserialize)]
#[serde(tag = "reason")]
pub(super) enum Message {
    #[serde(rename = "compiler-artifact")]
    Compiled(Artifact),
    #[serde(rename = "compiler-message")]
    Told(Told),
    #[serde(rename = "build-finished")]
    Finished {},
    #[serde(other)]
    Other,
}

/// A target that was compiled.
#[derive(Debug, Deserialize)]
pub(super) struct Artifact {
    pub(super) manifest_path: Utf8PathBuf,
    pub(super) target: Target,
    pub(super) profile: Profile,
}

#[derive(Debug, Deserialize)]
pub(super) struct Profile {
    pub(super) test: bool,
}

/// Something that rustc says of a target.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub(super) manifest_path: Utf8PathBuf,
    pub(super) target: Target,
    pub(super) message: Diagnostic,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Diagnostic {
    pub(super) message: String,
    pub(super) code: Option<Code>,
    pub(super) level: String,
    pub(super) spans: Vec<Span>,
    pub(super) children: Vec<Diagnostic>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Code {
    pub(super) code: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Span {
    pub(super) file_name: Utf8PathBuf,
    pub(super) byte_start: usize,
    pub(super) byte_end: usize,
    pub(super) is_primary: bool,
    pub(super) label: Option<String>,
    pub(super) expansion: Option<Box<Expansion>>,
}

/// The call of a macro.
#[derive(Debug, Deserialize)]
pub(super) struct Expansion {
    pub(super) span: Span,
}

impl Diagnostic {
    pub(super) fn is_error(&self) -> bool {
        // An internal error of the compiler says nothing of the code, but it does end there.
        self.level.starts_with("error")
    }

    /// Reports whether nothing can be compiled for the target that is compiled for.
    pub(super) fn lacks_standard_library(&self) -> bool {
        self.code() == Some("E0463")
            && ["`core`", "`std`"].iter().any(|name| self.message.ends_with(name))
    }

    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_ref().map(|code| code.code.as_str())
    }
}

impl Span {
    /// Returns the span and the calls of the macros that it comes from, innermost first.
    pub(super) fn outwards(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |span| span.expansion.as_ref().map(|call| &call.span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_kinds_are_passed_over() {
        let line = r#"{"reason":"build-script-executed","package_id":"x","linked_libs":[]}"#;
        assert!(matches!(serde_json::from_str(line), Ok(Message::Other)));
        let line = r#"{"reason":"build-finished","success":true}"#;
        assert!(matches!(serde_json::from_str(line), Ok(Message::Finished {})));
    }
}
