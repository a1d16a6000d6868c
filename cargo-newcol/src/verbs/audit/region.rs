//! Places as other tools count them: from line and column to line and column.

use std::ops::Range;

use newcol_core::schema::Place;

/// A range of a text; lines and columns from 1, columns in characters, the end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) end_line: usize,
    pub(super) end_column: usize,
}

impl Region {
    pub(super) fn of(text: &str, range: &Range<usize>) -> Self {
        let start = Place::new(text, range.clone());
        let end = range.end.max(range.start);
        let end = Place::new(text, end..end);
        Self { line: start.line, column: start.column, end_line: end.line, end_column: end.column }
    }
}

/// The whole lines of a text that a range touches.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Window<'a> {
    pub(super) text: &'a str,
    /// Number of its first line.
    pub(super) line: usize,
    start: usize,
}

impl<'a> Window<'a> {
    pub(super) fn around(text: &'a str, range: &Range<usize>) -> Self {
        let (start, end) = (floor(text, range.start), floor(text, range.end));
        let start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
        Self {
            text: &text[start..end.max(start)],
            line: text[..start].matches('\n').count() + 1,
            start,
        }
    }

    /// Returns a range of the whole text as one of the window.
    pub(super) fn within(&self, range: &Range<usize>) -> Range<usize> {
        let inside = |at: usize| floor(self.text, at.saturating_sub(self.start));
        inside(range.start)..inside(range.end).max(inside(range.start))
    }
}

/// Returns the nearest place, not after `at`, at which a character begins or the text ends.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "ä one\ntwo\nthree";

    #[test]
    fn regions_count_characters() {
        let region = |range| {
            let Region { line, column, end_line, end_column } = Region::of(TEXT, &range);
            [line, column, end_line, end_column]
        };
        assert_eq!(region(0..2), [1, 1, 1, 2]);
        assert_eq!(region(3..10), [1, 3, 2, 4]);
        assert_eq!(region(11..99), [3, 1, 3, 6]);
    }

    #[test]
    fn windows_are_whole_lines() {
        let window = Window::around(TEXT, &(8..8));
        assert_eq!((window.text, window.line, window.within(&(8..9))), ("two\n", 2, 1..2));
        let window = Window::around(TEXT, &(1..12));
        assert_eq!((window.text, window.line), (TEXT, 1));
        let window = Window::around(TEXT, &(90..99));
        assert_eq!((window.text, window.line, window.within(&(90..99))), ("three", 3, 5..5));
        assert_eq!(Window::around("", &(0..0)).text, "");
    }
}
