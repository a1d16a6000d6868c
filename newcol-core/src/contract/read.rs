//! Reads contract files.
