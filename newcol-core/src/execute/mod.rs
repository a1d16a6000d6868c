//! Carries plans out.

pub mod files;
