//! The audit: every place of a project that a new column touches.
//!
//! [`Subject`] says which column; the layers say [`Finding`]s of it, each by a [`rules::Rule`] and each
//! with the stage before whose release it must be dealt with. [`sql`] reads statements, [`objects`] asks
//! a database. Pure but for the latter and `probe`, which runs Cargo.

mod finding;
pub mod objects;
pub mod rules;
mod sources;
pub mod sql;
mod subject;

pub use finding::{Class, Edit, Finding, Fix, Where};
pub use sources::SourceFile;
pub use subject::{Column, Subject, Table, TableColumn};
