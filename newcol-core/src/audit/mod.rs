//! The audit: every place of a project that a new column touches.
//!
//! [`Subject`] says which column; the layers say [`Finding`]s of it, each by a [`rules::Rule`] and each
//! with the stage before whose release it must be dealt with: [`rust`] reads code, [`sql`] statements,
//! [`objects`] asks a database, [`probe`] the compiler; [`capture`] looks at the statements that the
//! project's tests have sent. [`Report`] holds them against what the project
//! has acknowledged, in comments and in a [`Baseline`]; [`mend`] applies their fixes.

mod allow;
mod baseline;
pub mod capture;
mod comment;
mod declaration;
mod files;
mod finding;
mod fix;
pub mod objects;
pub mod probe;
mod report;
pub mod rules;
pub mod rust;
mod settle;
mod sources;
pub mod sql;
mod subject;
mod until;

pub use baseline::{Baseline, BaselineError, Mark};
pub use finding::{Class, Edit, Finding, Fix, Where};
pub use fix::{Mended, mend};
pub use report::{Acknowledged, Judged, Remark, Report, Scope};
pub use settle::settle;
pub use sources::{SourceFile, Texts};
pub use subject::{Column, Declaration, Subject, Table, TableColumn};
pub use until::{Marker, markers};

/// Examines what texts alone can tell: the schema, and the sources.
pub fn examine(subject: &Subject, files: &[SourceFile], memory: &rust::Memory) -> Vec<Finding> {
    let mut findings = declaration::examine(subject);
    findings.extend(rust::examine(subject, files, memory));
    findings.extend(files::examine(subject, files));
    settle(findings)
}
