//! Carries plans out.

pub mod apply;
pub mod backfill;
pub mod files;
pub mod pace;
pub mod side_effects;
mod signal;
