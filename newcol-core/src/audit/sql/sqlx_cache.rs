//! What sqlx keeps of its checked queries: `.sqlx/query-*.json`.

use serde_json::Value;

use super::{Origin, Reading, SqlFinding, statement::Examiner};
use crate::{
    audit::{
        Subject,
        rules::{POSITIONAL_ROW, STALE_SQLX_CACHE, UNREADABLE_SQL},
    },
    backend::Backend,
};

/// Examines a file of the cache: it goes stale when its query gets a column.
///
/// A query that names its columns is described as before, and stays. The range is that of the query
/// in the file.
pub fn examine_cache(text: &str, subject: &Subject) -> Vec<SqlFinding> {
    let whole = 0..text.len();
    let Ok(cache) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let Some(query) = cache.get("query").and_then(Value::as_str) else { return Vec::new() };
    let engine = match cache.get("db_name").and_then(Value::as_str) {
        Some("PostgreSQL") => Backend::Postgres,
        Some("MySQL") => Backend::Mysql,
        Some("SQLite") => Backend::Sqlite,
        _ => return Vec::new(),
    };
    let origin = Origin::Program(Reading::EveryField);
    let found = Examiner::new(subject, engine, origin).text(query);
    let column = &subject.column.sql_name;
    let stale =
        found.iter().find(|finding| *finding.rule == POSITIONAL_ROW).map(|finding| SqlFinding {
            rule: &STALE_SQLX_CACHE,
            class: STALE_SQLX_CACHE.class,
            range: whole.clone(),
            message: format!("what is kept of this query has no column `{column}`"),
            ..finding.clone()
        });
    let unreadable = found.iter().find(|finding| *finding.rule == UNREADABLE_SQL);
    let unreadable = unreadable.map(|finding| SqlFinding { range: whole, ..finding.clone() });
    stale.into_iter().chain(unreadable).collect()
}
