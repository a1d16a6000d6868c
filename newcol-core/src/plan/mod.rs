//! Plans.
pub mod facts;
