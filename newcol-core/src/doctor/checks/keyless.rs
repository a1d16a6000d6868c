//! Tables without primary key, for which print-schema fails.

use crate::doctor::{Check, Severity};

pub(in crate::doctor) static CHECK: Check = Check {
    id: "no-primary-key",
    severity: Severity::Warning,
    run: |sources, report| {
        for facts in &sources.databases {
            for table in &facts.keyless {
                let printed = |config: &crate::schema::diesel_toml::PrintSchemaConfig| {
                    config.filter.keeps(table.name.as_str())
                };
                if !sources.configs.is_empty() && !sources.configs.iter().any(printed) {
                    continue;
                }
                report.add(
                    &facts.place,
                    None,
                    format!(
                        "table `{table}` has no primary key: `diesel migration run` migrates and then fails, and no batch can walk its rows"
                    ),
                    "add a key, or leave the table out with `filter = { except_tables = [...] }` in diesel.toml",
                );
            }
        }
    },
};
