//! The checks, one subject per file.

pub(super) mod columns;
pub(super) mod concurrently;
pub(super) mod contracts;
pub(super) mod drift;
pub(super) mod embed;
pub(super) mod features;
pub(super) mod folders;
pub(super) mod journal;
pub(super) mod keyless;
pub(super) mod metadata;
pub(super) mod mysql_ddl;
pub(super) mod rebuild;
pub(super) mod replay;
pub(super) mod reserved;
pub(super) mod toolchain;
pub(super) mod unreadable;
pub(super) mod versions;

#[cfg(test)]
mod tests;

use crate::schema::Place;

/// Returns the place of a line, from 1.
fn line(text: &str, line: usize) -> Place {
    let skipped: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let length = text[skipped..].lines().next().map_or(0, str::len);
    Place::new(text, skipped..skipped + length)
}

/// Returns `1 table`, `2 tables`.
fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
