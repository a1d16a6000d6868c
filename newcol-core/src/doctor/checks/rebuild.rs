//! SQLite tables rebuilt inside a transaction, which deletes the rows of their children.
//!
//! Foreign keys cannot be switched off within a transaction, and dropping a table deletes its rows
//! first, with all that their deletion entails. SQLite as Diesel's crates compile it in has foreign
//! keys on by default.

use super::line;
use crate::{
    backend::Backend,
    doctor::{Check, MigrationsDir, Report, Severity, Sources},
};

pub(in crate::doctor) static CHECK: Check =
    Check { id: "rebuild-in-transaction", severity: Severity::Warning, run };

/// A foreign key whose child rows change when the parent's are deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bond {
    child: String,
    parent: String,
    action: &'static str,
}

fn run(sources: &Sources, report: &mut Report<'_>) {
    for dir in sources.migrations.iter().filter(|dir| dir.backend == Backend::Sqlite) {
        follow(dir, report);
    }
}

fn follow(dir: &MigrationsDir, report: &mut Report<'_>) {
    let mut bonds: Vec<Bond> = Vec::new();
    for folder in dir.ordered() {
        let statements = folder.statements(dir.backend);
        let renamed: Vec<String> =
            statements.iter().filter_map(|s| s.name_after(&["RENAME", "TO"])).collect();
        // Tables that carry another name for as long as the migration runs.
        let mut aside: Vec<String> = Vec::new();
        for statement in &statements {
            if let Some(table) = statement.name_after(&["CREATE", "TABLE"]) {
                bonds.retain(|bond| bond.child != table);
                bonds.extend(made(statement.references(), &table));
            } else if let Some(table) = statement.name_after(&["DROP", "TABLE"]) {
                let hurt: Vec<&Bond> =
                    bonds.iter().filter(|b| b.parent == table && b.child != table).collect();
                let rebuilt = renamed.contains(&table) || aside.contains(&table);
                if rebuilt && folder.in_transaction() && !dir.has_run(folder) {
                    for bond in hurt {
                        let text = folder.up.as_deref().unwrap_or_default();
                        report.add(
                            dir.up(folder),
                            Some(line(text, statement.line())),
                            format!(
                                "dropping `{table}` {} `{}`, where foreign keys are on: they cannot be switched off inside Diesel's transaction",
                                bond.action, bond.child
                            ),
                            "add a metadata.toml with `run_in_transaction = false`, and BEGIN and COMMIT after `PRAGMA foreign_keys = OFF`",
                        );
                    }
                }
                bonds.retain(|bond| bond.child != table);
            } else if let Some(table) = statement.name_after(&["ALTER", "TABLE"]) {
                if let Some(new) = statement.name_after(&["RENAME", "TO"]) {
                    // References from other tables follow the name.
                    for bond in &mut bonds {
                        for name in [&mut bond.child, &mut bond.parent] {
                            if *name == table {
                                name.clone_from(&new);
                            }
                        }
                    }
                    aside.push(new);
                } else {
                    bonds.extend(made(statement.references(), &table));
                }
            }
        }
    }
}

fn made(
    references: Vec<(String, Option<String>)>,
    child: &str,
) -> impl Iterator<Item = Bond> + use<'_> {
    references.into_iter().filter_map(move |(parent, action)| {
        let action = match action.as_deref() {
            Some("CASCADE") => "deletes the rows of",
            Some("SET") => "empties the references in",
            _ => return None,
        };
        Some(Bond { child: child.to_owned(), parent, action })
    })
}
