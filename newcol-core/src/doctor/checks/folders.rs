//! Folders that make Diesel refuse the whole directory.

use crate::doctor::{Check, Severity};

pub(in crate::doctor) static MISSING_UP: Check = Check {
    id: "missing-up-sql",
    severity: Severity::Error,
    run: |sources, report| {
        for dir in &sources.migrations {
            for folder in dir.folders.iter().filter(|f| f.up.is_none()) {
                report.add(
                    dir.path.join(&folder.name),
                    None,
                    "the folder has no up.sql: Diesel refuses the whole directory",
                    "add the file, or move the folder elsewhere",
                );
            }
        }
    },
};

pub(in crate::doctor) static EMPTY_UP: Check = Check {
    id: "empty-up-sql",
    severity: Severity::Error,
    run: |sources, report| {
        for dir in &sources.migrations {
            for folder in dir.folders.iter().filter(|f| f.up.as_deref() == Some("")) {
                report.add(
                    dir.up(folder),
                    None,
                    "up.sql is empty: Diesel refuses to run it, and everything after it",
                    "write the statement, or a comment if nothing is meant to happen",
                );
            }
        }
    },
};
