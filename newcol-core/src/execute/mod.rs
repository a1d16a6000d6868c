//! Carries plans out.

pub mod files;
pub mod pace;
pub mod side_effects;
