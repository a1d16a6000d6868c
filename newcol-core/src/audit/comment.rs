//! Comments in which the code speaks to us.
//!
//! Lines are looked at, not syntax: the same words work in Rust, in SQL and in SQL inside of Rust.

/// Returns where a word stands in a line, if a comment begins with it.
pub(super) fn find(line: &str, word: &str) -> Option<usize> {
    line.match_indices(word).map(|(at, _)| at).find(|at| {
        let before = line[..*at].trim_end();
        ["//", "--", "/*"].iter().any(|marker| before.ends_with(marker))
    })
}
