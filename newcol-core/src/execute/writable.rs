//! Asks a SQLite file whether it takes changes.
//!
//! SQLite opens for reading what it may not write, and says so nowhere; but it knows when it plans to
//! take the lock.

use crate::db::Row;

/// The question; nothing is locked.
pub(super) const QUESTION: &str = "EXPLAIN BEGIN IMMEDIATE";

/// Reads from the answer whether the lock would be one to read only.
pub(super) fn is_refused(steps: &[Row]) -> bool {
    // Address, opcode, number of the database (0 is the file), and 0 for a lock to read.
    steps.iter().any(|step| {
        let field = |at: usize| step.get(at).and_then(Option::as_deref);
        field(1) == Some("Transaction") && field(2) == Some("0") && field(3) == Some("0")
    })
}
