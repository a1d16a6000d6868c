//! Plans.
pub mod facts;
pub mod volatility;
