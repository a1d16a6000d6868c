//! Carries plans out.

pub mod files;
pub mod side_effects;
