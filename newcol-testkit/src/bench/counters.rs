//! What the server counted meanwhile: its log, where rows went, and how large everything became.

use std::time::{Duration, Instant};

use newcol_core::{
    backend::{Backend, Product},
    bench::run::{Fill, Growth, Way},
    db::{DatabaseUrl, DbError, Session},
    ident::TableName,
    render::text,
};

use super::arena::open;
use crate::wait::wait_until;

/// How long the counts of a session that is over may take to arrive.
const STRAGGLERS: Duration = Duration::from_secs(10);

/// What was counted up to a moment.
#[derive(Debug, Clone, Default)]
struct Counts {
    log: Option<f64>,
    /// Rows changed; none where the server does not count them, or at once.
    updated: Option<f64>,
    hot: f64,
    dead: Option<f64>,
    checkpoints: Option<f64>,
    changed_with_indexes: Option<f64>,
    /// Where the log was flushed to: only so far may one look.
    place: Option<String>,
    /// Names, file numbers and bytes; the table is the first one.
    relations: Vec<(String, String, f64)>,
}

/// Counts from a moment on.
pub(super) struct Meter {
    session: Session,
    table: TableName,
    before: Counts,
    started: Instant,
}

impl Meter {
    /// Starts to count, right after a checkpoint.
    pub(super) fn start(url: &DatabaseUrl, table: &TableName) -> Result<Self, DbError> {
        let mut session = open(url)?;
        if session.backend() == Backend::Postgres {
            session.batch("CHECKPOINT")?;
        }
        let before = Counts::read(&mut session, table)?;
        Ok(Self { session, table: table.clone(), before, started: Instant::now() })
    }

    /// Stops, and returns what a way of filling cost; `rows` is how many it changed.
    pub(super) fn stop(mut self, way: Way, rows: u64) -> Result<Fill, DbError> {
        let seconds = self.started.elapsed().as_secs_f64();
        let (mut after, mut failed) = (Counts::default(), None);
        let arrived = wait_until("the counts of all sessions", STRAGGLERS, || {
            match Counts::read(&mut self.session, &self.table) {
                Ok(counts) => after = counts,
                Err(error) => failed = Some(error),
            }
            let changed = after.updated.zip(self.before.updated).map(|(now, then)| now - then);
            failed.is_some() || changed.is_none_or(|changed| changed >= rows as f64)
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let before = &self.before;
        let since = |a: Option<f64>, b: Option<f64>| Some(b? - a?);
        // Counts that do not arrive are not to be divided by.
        let updated = since(before.updated, after.updated).filter(|changed| *changed > 0.0);
        let hot = updated.filter(|_| arrived.is_ok());
        let hot = hot.map(|updated| (after.hot - before.hot) / updated);
        let log = log_of(&mut self.session, before, &after)?;
        let sizes = after.relations.iter().map(|(name, _, bytes)| {
            let then = before.relations.iter().find(|(other, ..)| other == name);
            Growth { name: name.clone(), before: then.map_or(0.0, |one| one.2), after: *bytes }
        });
        Ok(Fill {
            way,
            rows,
            seconds,
            times: Vec::new(),
            log: since(before.log, after.log),
            predicted: None,
            images: log.as_ref().map(|log| log.images),
            log_of: log.map(|log| log.of).unwrap_or_default(),
            hot,
            dead: after.dead,
            changed_with_indexes: since(before.changed_with_indexes, after.changed_with_indexes),
            checkpoints: since(before.checkpoints, after.checkpoints),
            sizes: sizes.collect(),
        })
    }
}

impl Counts {
    fn read(session: &mut Session, table: &TableName) -> Result<Self, DbError> {
        match session.backend() {
            Backend::Postgres => Self::of_postgres(session, table),
            Backend::Mysql => Self::of_mysql(session, table),
            Backend::Sqlite => {
                let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
                let bytes = numbers(session, sql)?;
                let file = ("the file".to_owned(), String::new(), at(&bytes, 0));
                Ok(Self { relations: vec![file], ..Self::default() })
            }
        }
    }

    fn of_postgres(session: &mut Session, table: &TableName) -> Result<Self, DbError> {
        let name = quoted(table);
        let checkpoints = if session.server().major >= 17 {
            "(SELECT num_timed + num_requested FROM pg_stat_checkpointer)"
        } else {
            "(SELECT checkpoints_timed + checkpoints_req FROM pg_stat_bgwriter)"
        };
        // A view of statistics stays as it was first seen until its transaction ends.
        let counts = numbers(
            session,
            &format!(
                "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0'), \
                 pg_stat_get_tuples_updated('{name}'::regclass), \
                 pg_stat_get_tuples_hot_updated('{name}'::regclass), \
                 pg_stat_get_dead_tuples('{name}'::regclass), {checkpoints}"
            ),
        )?;
        let relations = session.query(&format!(
            "SELECT relname, pg_relation_filenode(oid), pg_relation_size(oid) FROM pg_class \
             WHERE oid = '{name}'::regclass OR oid IN \
             (SELECT indexrelid FROM pg_index WHERE indrelid = '{name}'::regclass) \
             ORDER BY oid <> '{name}'::regclass, relname"
        ))?;
        let place = session.value("SELECT pg_current_wal_flush_lsn()")?;
        Ok(Self {
            log: Some(at(&counts, 0)),
            updated: Some(at(&counts, 1)),
            hot: at(&counts, 2),
            dead: Some(at(&counts, 3)),
            checkpoints: Some(at(&counts, 4)),
            changed_with_indexes: None,
            place,
            relations: relations
                .into_iter()
                .filter_map(|row| {
                    let mut values = row.into_iter().flatten();
                    let (name, file) = (values.next()?, values.next()?);
                    Some((name, file, values.next()?.parse().ok()?))
                })
                .collect(),
        })
    }

    fn of_mysql(session: &mut Session, table: &TableName) -> Result<Self, DbError> {
        let log = "SELECT variable_value FROM information_schema.global_status \
            WHERE variable_name = 'INNODB_OS_LOG_WRITTEN'";
        let mariadb = session.server().product == Product::Mariadb;
        let log = match mariadb {
            true => numbers(session, log)?.first().copied(),
            false => None,
        };
        let name = table.name.as_str().replace('\'', "''");
        let changed = match mariadb {
            true => numbers(
                session,
                &format!(
                    "SELECT coalesce(sum(rows_changed_x_indexes), 0) \
                     FROM information_schema.table_statistics \
                     WHERE table_schema = database() AND table_name = '{name}'"
                ),
            )?
            .first()
            .copied(),
            false => None,
        };
        // Sizes are statistics, too.
        session.query(&format!("ANALYZE TABLE {}", text::table(Backend::Mysql, table)))?;
        let sizes = numbers(
            session,
            &format!(
                "SELECT data_length, index_length FROM information_schema.tables \
                 WHERE table_schema = database() AND table_name = '{name}'"
            ),
        )?;
        let size = |what: &str, of: usize| (what.to_owned(), String::new(), at(&sizes, of));
        Ok(Self {
            log,
            changed_with_indexes: changed,
            relations: vec![size("the table with its key", 0), size("other indexes", 1)],
            ..Self::default()
        })
    }
}

struct Log {
    images: f64,
    of: Vec<(String, f64)>,
}

/// Splits the log among relations, where the server has the extension that reads it.
fn log_of(session: &mut Session, before: &Counts, after: &Counts) -> Result<Option<Log>, DbError> {
    let (Some(from), Some(to)) = (&before.place, &after.place) else { return Ok(None) };
    let sql = "SELECT count(*) > 0 FROM pg_available_extensions WHERE name = 'pg_walinspect'";
    if session.server().major < 15 || from == to || !session.query_bool(sql)? {
        return Ok(None);
    }
    session.batch("CREATE EXTENSION IF NOT EXISTS pg_walinspect")?;
    let rows = session.query(&format!(
        "SELECT (regexp_match(block_ref, 'rel \\d+/\\d+/(\\d+)'))[1], sum(record_length), \
         sum(fpi_length) FROM pg_get_wal_records_info('{from}', '{to}') GROUP BY 1"
    ))?;
    let mut log = Log { images: 0.0, of: Vec::new() };
    let mut rest = 0.0;
    for row in rows {
        let value = |at: usize| row.get(at).cloned().flatten();
        let number = |at| value(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        log.images += number(2);
        let file = value(0).unwrap_or_default();
        match after.relations.iter().find(|(_, number, _)| *number == file) {
            Some((name, ..)) => log.of.push((name.clone(), number(1))),
            None => rest += number(1),
        }
    }
    let place = |name: &String| after.relations.iter().position(|(other, ..)| other == name);
    log.of.sort_by_key(|(name, _)| place(name));
    log.of.push(("everything else".to_owned(), rest));
    Ok(Some(log))
}

/// Returns bytes of log up to now; `None` where the engine does not tell.
pub(super) fn log(session: &mut Session) -> Result<Option<f64>, DbError> {
    let sql = match session.backend() {
        Backend::Postgres => "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')",
        Backend::Mysql if session.server().product == Product::Mariadb => {
            "SELECT variable_value FROM information_schema.global_status \
             WHERE variable_name = 'INNODB_OS_LOG_WRITTEN'"
        }
        Backend::Mysql | Backend::Sqlite => return Ok(None),
    };
    Ok(numbers(session, sql)?.first().copied())
}

/// Quotes a table's name for a text of PostgreSQL.
pub(super) fn quoted(table: &TableName) -> String {
    text::table(Backend::Postgres, table).replace('\'', "''")
}

pub(super) fn numbers(session: &mut Session, sql: &str) -> Result<Vec<f64>, DbError> {
    let row = session.query(sql)?.into_iter().next().unwrap_or_default();
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
    Ok(row.into_iter().map(|text| number(text).unwrap_or_default()).collect())
}

fn at(numbers: &[f64], at: usize) -> f64 {
    numbers.get(at).copied().unwrap_or_default()
}
