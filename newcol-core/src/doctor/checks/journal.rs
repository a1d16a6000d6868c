//! A command of ours was killed while it wrote.

use crate::doctor::{Check, Severity};

pub(in crate::doctor) static CHECK: Check = Check {
    id: "leftover-journal",
    severity: Severity::Error,
    run: |sources, report| {
        if let Some(path) = &sources.journal {
            report.add(
                path,
                None,
                "a command was killed while it wrote; the files it names may be half replaced",
                "the next `cargo newcol add`, `next`, `undo` or `status` puts them back",
            );
        }
    },
};
