//! The watch: what queries of a table cost before and after its new column, and whether the column's
//! index pays.
//!
//! Reads statistics that the server keeps anyway; never resets, never creates anything.

pub mod benefit;
pub mod cost;
pub mod effect;
pub mod gate;
pub mod moments;
#[cfg(feature = "report")]
pub mod page;
pub mod series;
pub mod verdict;
