//! Several schema changes in one MySQL migration, which can fail half-way and then never again
//! succeed.

use super::counted;
use crate::{
    backend::Backend,
    doctor::{Check, Severity},
};

pub(in crate::doctor) static CHECK: Check = Check {
    id: "several-ddl",
    severity: Severity::Note,
    run: |sources, report| {
        for dir in sources.migrations.iter().filter(|dir| dir.backend == Backend::Mysql) {
            let ordered = dir.ordered();
            let several: Vec<_> = ordered
                .iter()
                .filter(|folder| !dir.has_run(folder))
                .filter(|f| f.statements(dir.backend).iter().filter(|s| s.is_ddl()).count() > 1)
                .collect();
            let Some(last) = several.last() else { continue };
            let number = counted(several.len(), "migration changes", "migrations change");
            report.add(
                dir.up(last),
                None,
                format!(
                    "{number} the schema more than once, this one last: MySQL commits each statement, so a failing one leaves the first applied and every retry fails"
                ),
                "one schema change per migration",
            );
        }
    },
};
