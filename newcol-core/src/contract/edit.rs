//! Writes contract files.
