//! Carries plans out.

pub mod files;

pub mod pace;
