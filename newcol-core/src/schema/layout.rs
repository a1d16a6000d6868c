//! Where a line of the text begins and ends, comments included, and changing texts at bytes.

use std::ops::Range;

/// Returns the line ending of the text: that of its first line.
pub(super) fn eol(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Returns the indentation of the line of `at`, if nothing else stands before `at` on it.
pub(super) fn indent(text: &str, at: usize) -> Option<&str> {
    let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let before = text[line..at].trim_start_matches('\u{feff}');
    before.chars().all(char::is_whitespace).then_some(before)
}

/// Returns the end of the line (before its line ending) that `from` is on, if only blanks and
/// comments stand between, before `until`.
pub(super) fn line_end(text: &str, from: usize, until: usize) -> Option<usize> {
    let mut at = from;
    while at < until {
        let rest = &text[at..until];
        if rest.starts_with('\n') || rest.starts_with("\r\n") {
            return Some(at);
        } else if rest.starts_with("//") {
            let end = rest.find('\n').map_or(rest.len(), |n| n);
            at += rest[..end].trim_end_matches('\r').len();
        } else if rest.starts_with("/*") {
            at += block_comment(rest);
        } else if let Some(blank) = rest.chars().next().filter(|c| c.is_whitespace()) {
            at += blank.len_utf8();
        } else {
            return None;
        }
    }
    // The end of the text ends its last line.
    (at >= text.len()).then_some(text.len())
}

/// Returns the length of the block comment that `text` starts with.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// Returns the end of the line before the line of `at` (before its line ending), or 0.
pub(super) fn previous_line_end(text: &str, at: usize) -> usize {
    match text[..at].rfind('\n') {
        Some(newline) if text[..newline].ends_with('\r') => newline - 1,
        Some(newline) => newline,
        None => 0,
    }
}

/// Changes of a text, collected first and made together.
#[derive(Debug, Default)]
pub(super) struct Splices(Vec<(Range<usize>, String)>);

impl Splices {
    pub(super) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.0.push((at..at, text.into()));
    }

    pub(super) fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.0.push((range, text.into()));
    }

    pub(super) fn remove(&mut self, range: Range<usize>) {
        self.0.push((range, String::new()));
    }

    /// Returns the changed text. Insertions at one byte keep the order in which they were made.
    pub(super) fn apply(mut self, text: &str) -> String {
        self.0.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(text.len() + 128);
        let mut at = 0;
        for (range, new) in self.0 {
            out.push_str(&text[at..range.start]);
            out.push_str(&new);
            at = range.end;
        }
        out.push_str(&text[at..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_after_its_comments() {
        for (text, end) in [
            ("a,\nb", Some(2)),
            ("a, // x\r\nb", Some(7)),
            ("a, /* x\n/* y */ */ // z\nb", Some(23)),
            ("a, b\n", None),
            ("a,  ", Some(4)),
        ] {
            assert_eq!(line_end(text, 2, text.len()), end, "{text:?}");
        }
    }
}
