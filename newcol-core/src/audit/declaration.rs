//! The schema's own rules: what the `table!` itself cannot take.

use super::{
    finding::{Finding, Where},
    rules::{COLUMN_LIMIT, RESERVED_NAME, Rule},
    subject::Subject,
};
use crate::{plan::StageKind, schema::names};

/// Examines the declaration of the table, where it is known.
pub(super) fn examine(subject: &Subject) -> Vec<Finding> {
    let Some(declaration) = &subject.declaration else { return Vec::new() };
    let finding = |rule: &'static Rule, message: String, help: String| Finding {
        rule,
        class: rule.class,
        due: StageKind::Expand,
        place: Where::File { path: declaration.path.clone(), at: declaration.at.clone() },
        message,
        help: Some(help),
        fix: None,
    };
    let mut findings = Vec::new();
    let (count, limit) = (subject.table.columns.len() + 1, declaration.column_limit);
    if count > limit {
        let message = format!(
            "`{}` has {count} columns with `{}`, and diesel is built for {limit}",
            subject.table.rust_name, subject.column.rust_name
        );
        let help = match [32, 64, 128].into_iter().find(|wider| count <= *wider) {
            Some(wider) => {
                format!("enable diesel's feature `{wider}-column-tables`, which costs build time")
            }
            None => "no feature goes further: put columns into a second table".to_owned(),
        };
        findings.push(finding(&COLUMN_LIMIT, message, help));
    }
    if names::breaks_table(&subject.column.sql_name, &subject.column.rust_name) {
        let message = format!(
            "`table!` makes an item called `{}` itself and cannot hold a column of that name",
            subject.column.rust_name
        );
        findings.push(finding(&RESERVED_NAME, message, "give the column another name".to_owned()));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{backend::Backend, ident::ColumnPath, schema::SchemaFile};

    /// Audits `t.<column>` in a table of so many columns.
    fn found(column: &str, columns: usize, limit: usize) -> Vec<String> {
        let lines: String = (0..columns).map(|at| format!("        c{at} -> Integer,\n")).collect();
        let text = format!("diesel::table! {{\n    t (c0) {{\n{lines}    }}\n}}\n");
        let schema = SchemaFile::parse(&text).unwrap();
        let path: ColumnPath = format!("t.{column}").parse().unwrap();
        let engines = BTreeSet::from([Backend::Postgres]);
        let subject = Subject::new(&path, None, (&text, &[]), &schema, engines).unwrap();
        assert_eq!(examine(&subject), []);
        let findings = examine(&subject.declared_in("src/schema.rs", limit));
        let line = |f: &Finding| {
            let help = f.help.as_deref().unwrap_or_default();
            format!("{} {} {} ({help})", f.place, f.rule.id, f.message)
        };
        findings.iter().map(line).collect()
    }

    #[test]
    fn the_column_past_the_limit_is_found() {
        assert_eq!(found("new", 31, 32), [""; 0]);
        assert_eq!(found("c3", 32, 32), [""; 0]);
        assert_eq!(
            found("new", 32, 32),
            ["src/schema.rs:2:5 NC014 `t` has 33 columns with `new`, and diesel is built for 32 \
                 (enable diesel's feature `64-column-tables`, which costs build time)"]
        );
        assert_eq!(
            found("new", 128, 128),
            ["src/schema.rs:2:5 NC014 `t` has 129 columns with `new`, and diesel is built for \
                 128 (no feature goes further: put columns into a second table)"]
        );
        assert!(found("new", 16, 16)[0].contains("`32-column-tables`"));
    }

    #[test]
    fn a_name_that_table_makes_itself_is_found() {
        assert_eq!(
            found("star", 2, 32),
            ["src/schema.rs:2:5 NC015 `table!` makes an item called `star` itself and cannot \
                 hold a column of that name (give the column another name)"]
        );
        // print-schema evades these two by an underscore.
        assert_eq!(found("t", 2, 32), [""; 0]);
        assert_eq!(found("columns", 2, 32), [""; 0]);
    }
}
