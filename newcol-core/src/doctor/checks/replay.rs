//! Migrations that do not run on an empty database.

use crate::doctor::{Check, Severity};

pub(in crate::doctor) static CHECK: Check = Check {
    id: "replay",
    severity: Severity::Warning,
    run: |sources, report| {
        for facts in &sources.databases {
            if let Some(why) = &facts.broken {
                report.add(
                    &facts.place,
                    None,
                    format!("the migrations do not run on an empty database: {why}"),
                    "every new installation and every test database does this",
                );
            }
        }
    },
};
