//! The one list of what differs between two runs of the same test, and what snapshots show for it.

use std::{borrow::Cow, sync::OnceLock};

use regex::Regex;

/// Pattern and replacement, applied in this order; fit for `insta::Settings::add_filter`.
///
/// Order matters: a URL before the database name in it, a version before a duration.
pub const FILTERS: &[(&str, &str)] = &[
    (r"(?:postgres(?:ql)?|mysql)://[^\s'`]*?newcol_d_[0-9a-z_]+(?:\?[^\s'`]*)?", "[DATABASE_URL]"),
    (r"[^\s'`=]*/newcol_d_[0-9a-z_]+/scratch\.db", "[DATABASE_URL]"),
    (r"newcol_[dt]_[0-9a-f]{8}_[0-9a-z_]+", "[DATABASE]"),
    // Projects and any directory made by the tempfile crate.
    (r"(?:/[\w.+-]+)*/(?:newcol-project-|\.tmp)[A-Za-z0-9]{6,}", "[TEMP]"),
    // `2026-08-21-091806-0000`, as the Diesel CLI names migrations; `20260821091806`, as it
    // stores them.
    (r"\b20\d{2}-\d{2}-\d{2}-\d{6}(?:-\d{4})?", "[VERSION]"),
    (r"\b20\d{12}(?:\d{4})?", "[VERSION]"),
    (r"\b20\d{2}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}(?::?\d{2})?)?", "[TIME]"),
    (r"\b20\d{2}-\d{2}-\d{2}: ", "[DATE]: "),
    (r"\b(PostgreSQL|MySQL|MariaDB|SQLite) \d+(?:\.\d+)*(?:[-+][\w.+~-]+)?", "$1 [SERVER]"),
    (r"\b(cargo-newcol|newcol|diesel|cargo|rustc) \d+\.\d+\.\d+(?:-[\w.]+)?", "$1 [RELEASE]"),
    (r"\b\d+(?:\.\d+)? ?(?:ns|µs|us|ms|s|seconds?)\b", "[DURATION]"),
];

/// Replaces everything that differs between two runs.
pub fn redact(text: &str) -> String {
    static COMPILED: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let filters = COMPILED.get_or_init(|| {
        FILTERS
            .iter()
            .map(|(pattern, with)| (Regex::new(pattern).expect("a tested pattern"), *with))
            .collect()
    });
    filters.iter().fold(text.to_owned(), |text, (pattern, with)| {
        match pattern.replace_all(&text, *with) {
            Cow::Borrowed(_) => text,
            Cow::Owned(changed) => changed,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_runs_is_replaced_and_nothing_else() {
        for (text, expected) in [
            ("postgres://newcol@%2Fdev%2Fshm/newcol_d_b3b6eb37_c341ab05f7_0", "[DATABASE_URL]"),
            (
                "psql 'postgres://newcol@%2Fdev/newcol_d_b3b6eb37_c341ab05f7_0' ok",
                "psql '[DATABASE_URL]' ok",
            ),
            ("/dev/shm/newcol-0/sqlite/newcol_d_b3b6eb37_0d_0/scratch.db", "[DATABASE_URL]"),
            ("Dropping database: newcol_d_b3b6eb37_c341ab05f7_0", "Dropping database: [DATABASE]"),
            ("/tmp/newcol-project-aB3dE6/src/schema.rs", "[TEMP]/src/schema.rs"),
            ("migrations/2026-08-21-091806-0000_add_email", "migrations/[VERSION]_add_email"),
            ("at 2026-08-21T09:18:06.5Z", "at [TIME]"),
            ("on PostgreSQL 15.20 in 1.25 s", "on PostgreSQL [SERVER] in [DURATION]"),
            ("diesel 2.3.14", "diesel [RELEASE]"),
            ("12 rows, 3 batches, date 2026-08-21", "12 rows, 3 batches, date 2026-08-21"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }
}
