//! From a place in the copy to the place in the project.

use std::{cell::RefCell, collections::BTreeMap, fs, ops::Range};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    message::{Diagnostic, Span},
    shadow::Shadow,
};
use crate::{audit::SourceFile, schema::Place};

/// Finds places of a project whose copy has some files of its own.
pub(super) struct Locator<'a> {
    shadow: &'a Shadow,
    /// The project's text of the files that the copy has otherwise.
    originals: &'a [SourceFile],
    /// What the copy has in their place.
    shown: &'a [SourceFile],
    texts: RefCell<BTreeMap<Utf8PathBuf, Option<String>>>,
}

impl<'a> Locator<'a> {
    pub(super) fn new(
        shadow: &'a Shadow,
        originals: &'a [SourceFile],
        shown: &'a [SourceFile],
    ) -> Self {
        Self { shadow, originals, shown, texts: RefCell::default() }
    }

    /// Returns the place of what rustc says.
    pub(super) fn primary(&self, told: &Diagnostic) -> Option<(Utf8PathBuf, Place)> {
        self.place(told.spans.iter().find(|span| span.is_primary)?)
    }

    /// Writes what rustc says with its place.
    pub(super) fn quote(&self, told: &Diagnostic) -> String {
        match self.primary(told) {
            Some((path, at)) => format!("{path}:{at}: {}", told.message),
            None => told.message.clone(),
        }
    }

    /// Returns the innermost place in the project's own files; `None` where a span has none.
    pub(super) fn place(&self, span: &Span) -> Option<(Utf8PathBuf, Place)> {
        span.outwards().find_map(|span| self.exact(span))
    }

    /// Returns a line of a file that the copy has as the project does.
    pub(super) fn line(&self, path: &Utf8Path, line: usize) -> Option<String> {
        let texts = self.texts.borrow();
        let text = texts.get(path)?.as_ref()?;
        text.lines().nth(line.checked_sub(1)?).map(ToOwned::to_owned)
    }

    fn exact(&self, span: &Span) -> Option<(Utf8PathBuf, Place)> {
        let path = self.shadow.origin(&span.file_name)?;
        let range = span.byte_start..span.byte_end;
        let find = |files: &'a [SourceFile]| files.iter().find(|file| file.path == path);
        let at = if let (Some(original), Some(shown)) = (find(self.originals), find(self.shown)) {
            Place::new(&original.text, back(&original.text, &shown.text, range))
        } else {
            let mut texts = self.texts.borrow_mut();
            let read = |path: &Utf8PathBuf| fs::read_to_string(self.shadow.theirs(path)).ok();
            let text = texts.entry(path.clone()).or_insert_with_key(read).as_ref()?;
            Place::new(text, range)
        };
        Some((path, at))
    }
}

/// Takes a range of the text shown back to the original, as far as both begin and end alike; what is
/// between goes to where it was put.
fn back(original: &str, shown: &str, range: Range<usize>) -> Range<usize> {
    let bytes = || original.bytes().zip(shown.bytes());
    let start = bytes().take_while(|(a, b)| a == b).count();
    let longest = original.len().min(shown.len()) - start;
    let ends = original.bytes().rev().zip(shown.bytes().rev()).take(longest);
    let end = ends.take_while(|(a, b)| a == b).count();
    let offset = |at: usize| match at {
        at if at <= start => at,
        at if at + end >= shown.len() => at + original.len() - shown.len(),
        _ => start,
    };
    let from = offset(range.start);
    from..offset(range.end).max(from)
}

/// Reports whether a path is one of the files.
pub(super) fn is_among(files: &[SourceFile], path: &Utf8Path) -> bool {
    files.iter().any(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_go_back_over_an_insertion() {
        let (original, shown) = ("ab cd", "ab XXcd");
        assert_eq!(back(original, shown, 0..2), 0..2);
        assert_eq!(back(original, shown, 5..7), 3..5);
        assert_eq!(back(original, shown, 3..5), 3..3);
        // From before it to behind it.
        assert_eq!(back(original, shown, 1..6), 1..4);
    }

    #[test]
    fn ranges_go_back_over_a_removal() {
        let (original, shown) = ("a: Nullable<Text>, b", "a: Text, b");
        assert_eq!(back(original, shown, 9..10), 19..20);
        assert_eq!(back(original, shown, 0..10), 0..20);
    }
}
