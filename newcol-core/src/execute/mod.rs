//! Carries plans out: on a database that programs use, and in the files of a project.
//!
//! - [`apply`] runs migrations under a bound on every wait for a lock, one runner at a time
//! - [`backfill`] fills rows that were there before, in small transactions that can be killed anywhere
//! - [`pace`] decides how large the next batch is and how long to rest before it (pure)
//! - [`drift`], [`old_writers`] and [`side_effects`] ask a database for evidence, and change nothing
//! - [`export`] saves values before a column is dropped; [`peers`] names sessions that are in the way
//! - [`files`] writes the files of a command, all or none
//!
//! Everything blocks. From async code, call it inside `tokio::task::spawn_blocking`.

pub mod apply;
pub mod backfill;
pub mod drift;
pub mod export;
pub mod files;
mod grants;
pub mod old_writers;
pub mod pace;
pub mod peers;
pub mod side_effects;
mod signal;
mod writable;
