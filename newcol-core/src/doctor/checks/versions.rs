//! Versions that Diesel confuses, because it compares them as text and wants each once.

use std::{cmp::Ordering, collections::BTreeMap};

use super::counted;
use crate::doctor::{Check, MigrationsDir, Report, Severity, Sources};

pub(in crate::doctor) static DUPLICATE: Check =
    Check { id: "duplicate-version", severity: Severity::Error, run: duplicate };

pub(in crate::doctor) static ORDER: Check =
    Check { id: "version-order", severity: Severity::Warning, run: order };

pub(in crate::doctor) static LATE: Check =
    Check { id: "late-version", severity: Severity::Error, run: late };

fn duplicate(sources: &Sources, report: &mut Report<'_>) {
    for dir in &sources.migrations {
        let mut names: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for folder in dir.folders.iter().filter(|f| f.up.is_some()) {
            names.entry(folder.version()).or_default().push(&folder.name);
        }
        for (version, names) in names.iter().filter(|(_, names)| names.len() > 1) {
            let list: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            report.add(
                dir.path.join(names[1]),
                None,
                format!(
                    "{} have the version `{version}`: Diesel runs one of them and takes the others for applied",
                    list.join(" and ")
                ),
                "rename all but the one that ran, so that the text before the first `_` differs",
            );
        }
    }
}

fn versions(dir: &MigrationsDir) -> Vec<(String, &str)> {
    let mut all: Vec<(String, &str)> =
        dir.ordered().iter().map(|f| (f.version(), f.name.as_str())).collect();
    all.dedup_by(|a, b| a.0 == b.0);
    all
}

fn order(sources: &Sources, report: &mut Report<'_>) {
    for dir in &sources.migrations {
        let all = versions(dir);
        let mut traps = all.windows(2).filter(|pair| {
            let (a, b) = (&pair[0].0, &pair[1].0);
            !(dated(a) && dated(b)) && natural(a, b) == Ordering::Greater
        });
        if let Some(first) = traps.next() {
            let more = match traps.count() {
                0 => String::new(),
                n => format!(" ({} more)", counted(n, "pair", "pairs")),
            };
            report.add(
                dir.path.join(first[1].1),
                None,
                format!(
                    "Diesel compares versions as text, so `{}` runs before `{}`{more}",
                    first[0].1, first[1].1
                ),
                "name new migrations as `diesel migration generate` does; leave applied ones alone",
            );
        }
    }
}

fn late(sources: &Sources, report: &mut Report<'_>) {
    for dir in &sources.migrations {
        // No date of this millennium sorts after `3`.
        if let Some((version, name)) = versions(dir).last().filter(|(v, _)| v.as_str() >= "3") {
            report.add(
                dir.path.join(name),
                None,
                format!(
                    "the version `{version}` sorts after every date: what Diesel and cargo newcol generate next runs before it on a new database"
                ),
                "give it a dated version, and update it in `__diesel_schema_migrations` where it has run",
            );
        }
    }
}

/// A year, month and day, with more digits or without: text order is the right one.
fn dated(version: &str) -> bool {
    version.len() >= 8
        && version.bytes().all(|b| b.is_ascii_digit())
        && (version.starts_with("19") || version.starts_with("20"))
}

/// Compares as people read: runs of digits by their value.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        match (digits(a), digits(b)) {
            (0, _) | (_, 0) => {
                let (mut left, mut right) = (a.chars(), b.chars());
                match (left.next(), right.next()) {
                    (Some(x), Some(y)) if x == y => (a, b) = (left.as_str(), right.as_str()),
                    (x, y) => return x.cmp(&y),
                }
            }
            (m, n) => {
                let (x, y) = (a[..m].trim_start_matches('0'), b[..n].trim_start_matches('0'));
                match x.len().cmp(&y.len()).then(x.cmp(y)) {
                    Ordering::Equal => (a, b) = (&a[m..], &b[n..]),
                    unequal => return unequal,
                }
            }
        }
    }
}
