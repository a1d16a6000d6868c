//! Statistics of a bounded number of rows, for engines that keep none, or too few.

use super::{super::Statistics, hide::Hide};
use crate::{
    backend::Backend,
    db::{DbError, Session},
    render::text::quote,
    watch::session::Fields,
};

/// How many rows are read.
pub(super) const ROWS: u32 = 10_000;

/// How many common values are kept of a column.
const COMMON: u32 = 100;

/// Reads a column of the first rows; none where there are no rows.
pub(super) fn read(
    session: &mut Session,
    (table, column): (&str, &str),
    hide: &Hide,
) -> Result<Option<Statistics>, DbError> {
    let backend = session.backend();
    let column = quote(backend, column);
    let sample = format!("(SELECT {column} AS v FROM {table} LIMIT {ROWS}) AS s");
    let (select, length) = match backend {
        Backend::Mysql => ("SELECT /*+ MAX_EXECUTION_TIME(2000) */", "length(v)"),
        Backend::Postgres | Backend::Sqlite => ("SELECT", "length(CAST(v AS BLOB))"),
    };
    let rows = session.query(&format!(
        "{select} count(*), count(v), count(DISTINCT v), avg({length}) FROM {sample}"
    ))?;
    let mut fields = Fields::of(rows);
    let (all, filled, distinct): (f64, f64, f64) =
        (fields.number(), fields.number(), fields.number());
    let avg_width = fields.maybe_number();
    if all == 0.0 {
        return Ok(None);
    }
    let mut of = Statistics {
        null_frac: (all - filled) / all,
        avg_width,
        // Where nearly every value is new, there are more to come; otherwise all were seen.
        n_distinct: if distinct > 0.9 * filled { -distinct / all } else { distinct },
        ..Statistics::default()
    };
    if distinct > 0.0 {
        // Common is what there is a quarter more of than of others.
        let least = (1.25 * filled / distinct).max(2.0).ceil();
        let rows = session.query(&format!(
            "{select} v, count(*) FROM {sample} WHERE v IS NOT NULL GROUP BY v \
             HAVING count(*) >= {least} ORDER BY count(*) DESC LIMIT {COMMON}"
        ))?;
        for row in rows {
            let mut fields = Fields::from(row);
            let value = fields.text();
            let count: f64 = fields.number();
            of.common.push(hide.common(count / all, &value));
        }
    }
    Ok(Some(of))
}
