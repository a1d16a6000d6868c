//! Values of every SQL type, given to real servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "values/accepted.rs"]
mod accepted;
