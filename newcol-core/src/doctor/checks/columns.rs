//! Tables with as many columns as diesel is compiled for.

use crate::doctor::{Check, DieselUse, Report, Severity, Sources};
use crate::schema::Place;

pub(in crate::doctor) static OVER: Check = Check {
    id: "too-many-columns",
    severity: Severity::Error,
    run: |sources, report| {
        each(sources, report, |count, limit| {
            (count > limit).then(|| format!("has {count} columns, and diesel is built for {limit}"))
        });
    },
};

pub(in crate::doctor) static FULL: Check = Check {
    id: "column-limit",
    severity: Severity::Warning,
    run: |sources, report| {
        each(sources, report, |count, limit| {
            (count == limit).then(|| {
                format!(
                    "has {count} columns, all that diesel is built for: the next does not compile"
                )
            })
        });
    },
};

fn each(sources: &Sources, report: &mut Report<'_>, judge: fn(usize, usize) -> Option<String>) {
    let uses = sources.packages.iter().filter_map(|p| p.diesel.as_ref());
    let Some(limit) = uses.map(DieselUse::column_limit).max() else { return };
    let feature = [32, 64, 128].into_iter().find(|wider| *wider > limit);
    for schema in &sources.schemas {
        let Ok(parsed) = &schema.parsed else { continue };
        for table in &parsed.tables {
            if let Some(message) = judge(table.columns.len(), limit) {
                report.add(
                    &schema.path,
                    Some(Place::new(&schema.text, table.name_range.clone())),
                    format!("table `{}` {message}", table.full_sql_name()),
                    match feature {
                        Some(wider) => format!("enable diesel's feature `{wider}-column-tables`, which costs build time"),
                        None => "no feature goes further: put columns into a second table".to_owned(),
                    },
                );
            }
        }
    }
}
