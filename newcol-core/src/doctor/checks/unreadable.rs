//! A `schema.rs` that cannot be read: an unresolved merge, or not Rust.

use crate::{
    doctor::{Check, Severity},
    schema::SchemaError,
};

pub(in crate::doctor) static CHECK: Check = Check {
    id: "unreadable-schema",
    severity: Severity::Error,
    run: |sources, report| {
        for schema in &sources.schemas {
            let Err(error) = &schema.parsed else { continue };
            let (at, message, help) = match error {
                SchemaError::Conflict { at } => (
                    Some(at),
                    "a merge is not resolved".to_owned(),
                    "resolve it, or let `diesel print-schema` write the file",
                ),
                SchemaError::Syntax { at, message } => (Some(at), message.clone(), ""),
                other => (None, other.to_string(), ""),
            };
            report.add(&schema.path, at.cloned(), message, help);
        }
    },
};
