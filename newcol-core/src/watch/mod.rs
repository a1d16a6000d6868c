//! The watch: what queries of a table cost before and after its new column, and whether the column's
//! index pays.
//!
//! Reads statistics that the server keeps anyway; never resets, never creates anything.

pub mod alert;
pub mod assess;
pub mod attribution;
pub mod benefit;
pub mod collect;
pub mod cost;
pub mod doctor;
pub mod effect;
pub mod gate;
pub mod history;
pub mod identity;
pub mod index;
pub mod involve;
pub mod metrics;
pub mod moments;
pub mod mysql;
#[cfg(feature = "report")]
pub mod page;
pub mod plans;
pub mod replicas;
pub mod report;
#[cfg(feature = "measure")]
pub mod sent;
pub mod series;
pub mod session;
pub mod snapshot;
#[cfg(feature = "measure")]
mod sqlite;
pub mod store;
pub mod verdict;
mod waiting;
