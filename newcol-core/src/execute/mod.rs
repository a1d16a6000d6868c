//! Carries plans out.

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
