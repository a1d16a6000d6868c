//! Column names that `table!` needs for itself.

use crate::{
    contract::read::read_draft,
    doctor::{Check, Report, Severity, Sources},
    schema::{Place, names},
};

pub(in crate::doctor) static CHECK: Check =
    Check { id: "reserved-name", severity: Severity::Error, run };

fn run(sources: &Sources, report: &mut Report<'_>) {
    for schema in &sources.schemas {
        let Ok(parsed) = &schema.parsed else { continue };
        for table in &parsed.tables {
            for column in table.columns.iter().filter(|c| breaks(&c.rust_name, &table.rust_name)) {
                report.add(
                    &schema.path,
                    Some(Place::new(&schema.text, column.name_range.clone())),
                    format!(
                        "a column called `{}` in `table! {}` does not compile",
                        column.rust_name, table.rust_name
                    ),
                    format!(
                        "write `#[sql_name = \"{}\"] {}_ -> ...`",
                        column.sql_name, column.rust_name
                    ),
                );
            }
        }
    }
    for contract in &sources.contracts {
        let Ok(draft) = read_draft(&contract.text) else { continue };
        let table = names::table_name(draft.path.table.name.as_str());
        let rust = names::column_name(draft.path.column.as_str(), &table);
        if names::breaks_table(draft.path.column.as_str(), &rust) {
            report.add(
                &contract.path,
                None,
                format!(
                    "`diesel print-schema` writes a column called `{rust}`, which does not compile"
                ),
                "choose another name for the column",
            );
        }
    }
}

/// Names that print-schema evades, it evades because they do not compile.
fn breaks(rust: &str, table: &str) -> bool {
    names::breaks_table("", rust) || rust == table || ["table", "columns"].contains(&rust)
}
