//! SQL in files of its own: migrations, scripts, the query caches of sqlx.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::{
    Edit, Finding, Fix, SourceFile, Subject, Where,
    sql::{Origin, SqlFinding, examine_cache, examine_history},
};
use crate::{render::migrations, schema::Place};

/// Returns what SQL files and caches tell of the column.
pub(super) fn examine(subject: &Subject, files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut migrations: BTreeMap<&Utf8Path, Vec<&SourceFile>> = BTreeMap::new();
    for file in files {
        match file.path.extension() {
            Some("json") => {
                let found = examine_cache(&file.text, subject);
                findings.extend(found.into_iter().map(|found| found.in_file(file, 0)));
            }
            Some("sql") => match directory(&file.path) {
                // What takes a migration back runs while nobody relies on the column.
                Some(_) if file.path.file_name() == Some("down.sql") => {}
                Some(directory) => migrations.entry(directory).or_default().push(file),
                None => findings.extend(script(subject, file)),
            },
            Some(_) | None => {}
        }
    }
    for mut ups in migrations.into_values() {
        // Diesel runs them in the order of their names.
        ups.sort_by(|one, other| one.path.cmp(&other.path));
        findings.extend(history(subject, &ups));
    }
    findings
}

/// Returns the migrations directory that a file is a migration's of.
fn directory(path: &Utf8Path) -> Option<&Utf8Path> {
    matches!(path.file_name(), Some("up.sql" | "down.sql")).then(|| path.parent()?.parent())?
}

fn script(subject: &Subject, file: &SourceFile) -> Vec<Finding> {
    let found = super::sql::examine(&file.text, &subject.engines, subject, Origin::Script);
    found.into_iter().map(|found| found.in_file(file, 0)).collect()
}

/// Examines migrations: of those before the column what they leave behind, of later ones each.
fn history(subject: &Subject, ups: &[&SourceFile]) -> Vec<Finding> {
    let ours = |file: &SourceFile| {
        migrations::owner(&file.text).is_some_and(|(column, _)| column == subject.path)
    };
    let first = ups.iter().position(|file| ours(file)).unwrap_or(ups.len());
    let (old, new) = ups.split_at(first);
    let texts = old.iter().map(|file| file.text.as_str());
    let found = examine_history(texts, &subject.engines, subject);
    let mut findings: Vec<Finding> =
        found.into_iter().map(|(at, found)| found.in_file(old[at], 0)).collect();
    for file in new.iter().filter(|file| !ours(file)) {
        let origin = Origin::NewMigration;
        let found = super::sql::examine(&file.text, &subject.engines, subject, origin);
        findings.extend(found.into_iter().map(|found| found.in_file(file, 0)));
    }
    findings
}

impl SqlFinding {
    /// Makes it a finding in a file, in which the SQL begins at a byte.
    pub(super) fn in_file(self, file: &SourceFile, start: usize) -> Finding {
        let moved = |range: std::ops::Range<usize>| range.start + start..range.end + start;
        let fix = self.fix.map(|fix| Fix {
            message: fix.message,
            path: fix.path,
            edits: fix
                .edits
                .into_iter()
                .map(|edit| Edit { range: moved(edit.range), text: edit.text })
                .collect(),
        });
        Finding {
            rule: self.rule,
            class: self.class,
            due: self.due,
            place: Where::File {
                path: file.path.clone(),
                at: Place::new(&file.text, moved(self.range)),
            },
            message: self.message,
            help: self.help,
            fix,
        }
    }
}
