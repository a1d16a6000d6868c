//! The job's record in the database: what is asked of its workers, and how far each part is.
//!
//! Two tables beside Diesel's own. `__newcol_backfill` has a row per column; `__newcol_backfill_part`
//! a row per part of the table, which a worker locks while it changes rows of that part, in the same
//! transaction. So a part's cursor is true whatever is killed, and no two workers are ever in one
//! part; who works where needs no lease.
//!
//! Invariant: a record of a newer format is refused before anything else of it is read.

use super::{BackfillError, place::Place};
use crate::{
    backend::Backend,
    db::{DbError, Row, Session},
    ident::ColumnPath,
    render::text::exact_literal,
};

/// Version of the tables' form: raised when an older tool would misread them.
pub const FORMAT: u32 = 1;

/// How often a start is tried that another one gets in the way of; each time that one got further.
pub(super) const STARTS: u32 = 5;

const JOBS: &str = "__newcol_backfill";
const PARTS: &str = "__newcol_backfill_part";

/// The tables of all records in a database. Like those of Diesel they stay, and are no part of the
/// application's schema: `diesel print-schema` leaves out names that begin so.
pub const RECORD_TABLES: [&str; 2] = [JOBS, PARTS];

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Rows are filled, in passes that leave space behind them.
    Filling,
    /// Every row is looked at, and those that were missed are filled.
    Proving,
    /// A pass over the whole table found nothing pending; the receipt is written.
    Done,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Filling, Self::Proving, Self::Done];

    /// Returns the stored word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::Proving => "proving",
            Self::Done => "done",
        }
    }
}

/// What the workers of a job are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Work.
    Run,
    /// Wait, and look again.
    Pause,
    /// Leave.
    Stop,
}

impl Order {
    const ALL: [Self; 3] = [Self::Run, Self::Pause, Self::Stop];

    /// Returns the stored word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Pause => "pause",
            Self::Stop => "stop",
        }
    }
}

/// A job as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// What is filled with what, as a fingerprint.
    pub job: String,
    /// How far it is.
    pub phase: Phase,
    /// Passes over the table so far, counted from 1.
    pub pass: u32,
    /// What the workers are asked for.
    pub order: Order,
    /// Version of the tool that began it.
    pub made_by: String,
    /// When it began, as the server prints it.
    pub started_at: String,
    /// The receipt, once it is done.
    pub receipt: Option<String>,
}

/// Sums over the parts of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Rows filled since the job began.
    pub filled: u64,
    /// Rows filled by the pass that is under way.
    pub filled_now: u64,
    /// Rows looked at by the proving pass.
    pub rows: u64,
    /// Of those, NULL.
    pub empty: u64,
    /// Of those, not what the expression yields.
    pub differing: u64,
    /// Rows that this pass could not fill although there is a value for them.
    pub left: u64,
    /// Parts of the pass.
    pub parts: u64,
    /// Parts that are done.
    pub parts_done: u64,
    /// Transactions since the job began.
    pub batches: u64,
}

/// What a batch adds to its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Gain {
    pub(super) filled: u64,
    pub(super) rows: u64,
    pub(super) empty: u64,
    pub(super) differing: u64,
    pub(super) left: u64,
}

/// A part that this session has locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) number: u64,
    pub(super) place: Place,
}

/// Returns what makes a database forget the backfill of a column, for whoever drops the column; `None`
/// where there is nothing to forget. Only asks.
pub fn forgetting(session: &mut Session, column: &ColumnPath) -> Result<Option<String>, DbError> {
    let record = Record::new(session.backend(), column);
    Ok(record.exists(session)?.then(|| record.forgetting().map(|sql| sql + ";\n").concat()))
}

/// Reports whether a database holds something of the backfill of a column that is finished: its record,
/// or tables in which no record is left. Only asks.
pub fn remains(session: &mut Session, column: &ColumnPath) -> Result<bool, DbError> {
    let record = Record::new(session.backend(), column);
    if !record.exists(session)? {
        return Ok(false);
    }
    let key = &record.key;
    session.query_bool(&format!(
        "SELECT EXISTS (SELECT 1 FROM {JOBS} WHERE column_path = {key}) \
         OR NOT EXISTS (SELECT 1 FROM {JOBS})"
    ))
}

/// Removes what [`remains`] reports.
pub fn clear(session: &mut Session, column: &ColumnPath) -> Result<(), DbError> {
    let record = Record::new(session.backend(), column);
    if !record.exists(session)? {
        return Ok(());
    }
    let begin = match session.backend() {
        Backend::Postgres => format!(
            "BEGIN; SET LOCAL lock_timeout = '500ms'; LOCK TABLE {JOBS}, {PARTS} IN ACCESS EXCLUSIVE MODE"
        ),
        Backend::Mysql => "SET SESSION lock_wait_timeout = 1; BEGIN".to_owned(),
        Backend::Sqlite => "BEGIN IMMEDIATE".to_owned(),
    };
    session.batch(&begin)?;
    let cleared = record.clear_in_transaction(session);
    let ended = session.batch(if cleared.is_ok() { "COMMIT" } else { "ROLLBACK" });
    cleared.and(ended)
}

/// The record of one column.
#[derive(Debug, Clone)]
pub(super) struct Record {
    backend: Backend,
    column: ColumnPath,
    /// The path as a literal.
    key: String,
}

impl Record {
    pub(super) fn new(backend: Backend, column: &ColumnPath) -> Self {
        let key = exact_literal(backend, &column.to_string());
        Self { backend, column: column.clone(), key }
    }

    pub(super) fn column(&self) -> &ColumnPath {
        &self.column
    }

    /// Makes the tables where they are missing.
    pub(super) fn create(&self, session: &mut Session) -> Result<(), DbError> {
        if self.exists(session)? {
            return Ok(());
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.create_missing(session) {
                // PostgreSQL looks first and makes then: another run came between.
                Err(error)
                    if tries < STARTS
                        && matches!(error.sqlstate(), Some("23505" | "42P07" | "42710")) => {}
                made => return made,
            }
        }
    }

    fn create_missing(&self, session: &mut Session) -> Result<(), DbError> {
        // A path is three names of at most 64 characters, and case tells them apart.
        let name = match self.backend {
            Backend::Postgres | Backend::Sqlite => "varchar(200)",
            Backend::Mysql => "varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        };
        let time = match self.backend {
            Backend::Postgres => "timestamptz NOT NULL DEFAULT now()",
            Backend::Mysql | Backend::Sqlite => "timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP",
        };
        let jobs = format!(
            "CREATE TABLE IF NOT EXISTS {JOBS} (column_path {name} NOT NULL PRIMARY KEY, \
             format integer NOT NULL, made_by varchar(32) NOT NULL, job varchar(64) NOT NULL, \
             phase varchar(16) NOT NULL, pass integer NOT NULL, wanted varchar(16) NOT NULL, \
             filled bigint NOT NULL, batches bigint NOT NULL, started_at {time}, receipt text)"
        );
        // `empty` is a word of MySQL.
        let parts = format!(
            "CREATE TABLE IF NOT EXISTS {PARTS} (column_path {name} NOT NULL, \
             part bigint NOT NULL, place text NOT NULL, done integer NOT NULL, \
             worker varchar(64), claimed_at bigint NOT NULL, batches bigint NOT NULL, \
             filled bigint NOT NULL, rows_seen bigint NOT NULL, rows_empty bigint NOT NULL, \
             differing bigint NOT NULL, rows_left bigint NOT NULL, PRIMARY KEY (column_path, part))"
        );
        for sql in [jobs, parts] {
            // Another run may make it at the same time, which PostgreSQL calls a duplicate.
            if let Err(error) = session.batch(&sql)
                && !matches!(error.sqlstate(), Some("23505" | "42P07"))
            {
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn exists(&self, session: &mut Session) -> Result<bool, DbError> {
        session.query_bool(&match self.backend {
            Backend::Postgres => format!(
                "SELECT to_regclass('{JOBS}') IS NOT NULL AND to_regclass('{PARTS}') IS NOT NULL"
            ),
            Backend::Mysql => format!(
                "SELECT count(*) = 2 FROM information_schema.tables \
                 WHERE table_schema = database() AND table_name IN ('{JOBS}', '{PARTS}')"
            ),
            Backend::Sqlite => format!(
                "SELECT count(*) = 2 FROM sqlite_schema \
                 WHERE type = 'table' AND name IN ('{JOBS}', '{PARTS}')"
            ),
        })
    }

    /// Reads the job; `None` where none was begun.
    pub(super) fn read(&self, session: &mut Session) -> Result<Option<JobRecord>, BackfillError> {
        if !self.exists(session)? {
            return Ok(None);
        }
        self.row(session, "")
    }

    /// As [`Self::read`], and keeps others from changing the job until the transaction ends.
    pub(super) fn lock(&self, session: &mut Session) -> Result<Option<JobRecord>, BackfillError> {
        self.row(session, self.for_update())
    }

    /// As [`Self::lock`], without waiting: `None` also where another worker has locked it.
    pub(super) fn try_lock(
        &self,
        session: &mut Session,
    ) -> Result<Option<JobRecord>, BackfillError> {
        self.row(session, self.skip_locked())
    }

    fn row(&self, session: &mut Session, end: &str) -> Result<Option<JobRecord>, BackfillError> {
        let key = &self.key;
        let format = format!("SELECT format FROM {JOBS} WHERE column_path = {key}{end}");
        let Some(found) = session.value(&format)? else { return Ok(None) };
        if found.parse::<u32>().ok().is_none_or(|format| format > FORMAT) {
            let made_by =
                session.value(&format!("SELECT made_by FROM {JOBS} WHERE column_path = {key}"))?;
            return Err(BackfillError::TooNew {
                column: self.column.clone(),
                made_by: made_by.unwrap_or_default(),
            });
        }
        let row = session.query(&format!(
            "SELECT job, phase, pass, wanted, made_by, started_at, receipt \
             FROM {JOBS} WHERE column_path = {key}"
        ))?;
        let Some(row) = row.into_iter().next() else { return Ok(None) };
        self.parse(row).map(Some)
    }

    fn parse(&self, row: Row) -> Result<JobRecord, BackfillError> {
        let odd = |what: &str, text: &str| BackfillError::Record {
            column: self.column.clone(),
            what: format!("{what} `{text}`"),
        };
        let mut fields = row.into_iter();
        let mut next = || fields.next().flatten();
        let job = next().unwrap_or_default();
        let phase = next().unwrap_or_default();
        let pass = next().unwrap_or_default();
        let order = next().unwrap_or_default();
        Ok(JobRecord {
            job,
            phase: (Phase::ALL.into_iter())
                .find(|known| known.name() == phase)
                .ok_or_else(|| odd("phase", &phase))?,
            pass: pass.parse().map_err(|_| odd("pass", &pass))?,
            order: (Order::ALL.into_iter())
                .find(|known| known.name() == order)
                .ok_or_else(|| odd("order", &order))?,
            made_by: next().unwrap_or_default(),
            started_at: next().unwrap_or_default(),
            receipt: next(),
        })
    }

    /// Begins a job.
    pub(super) fn begin(&self, session: &mut Session, job: &str) -> Result<(), DbError> {
        let (key, job) = (&self.key, exact_literal(self.backend, job));
        session.batch(&format!(
            "INSERT INTO {JOBS} (column_path, format, made_by, job, phase, pass, wanted, filled, batches) \
             VALUES ({key}, {FORMAT}, '{}', {job}, '{}', 0, '{}', 0, 0)",
            env!("CARGO_PKG_VERSION"),
            Phase::Filling.name(),
            Order::Run.name(),
        ))
    }

    /// Forgets the job.
    pub(super) fn forget(&self, session: &mut Session) -> Result<(), DbError> {
        self.forgetting().iter().try_for_each(|sql| session.batch(sql))
    }

    fn clear_in_transaction(&self, session: &mut Session) -> Result<(), DbError> {
        self.forget(session)?;
        if session.query_bool(&format!("SELECT NOT EXISTS (SELECT 1 FROM {JOBS})"))? {
            for table in [PARTS, JOBS] {
                session.batch(&format!("DROP TABLE {table}"))?;
            }
        }
        Ok(())
    }

    fn forgetting(&self) -> [String; 2] {
        let key = &self.key;
        [PARTS, JOBS].map(|table| format!("DELETE FROM {table} WHERE column_path = {key}"))
    }

    /// Asks all workers for something; they look between two batches.
    pub(super) fn order(&self, session: &mut Session, order: Order) -> Result<u64, DbError> {
        let (key, order) = (&self.key, order.name());
        session.execute(&format!("UPDATE {JOBS} SET wanted = '{order}' WHERE column_path = {key}"))
    }

    /// Counts passes from the start again.
    pub(super) fn recount(&self, session: &mut Session) -> Result<(), DbError> {
        let key = &self.key;
        session.batch(&format!("UPDATE {JOBS} SET pass = 0 WHERE column_path = {key}"))
    }

    /// Returns the statement that adds rows that were filled outside of the parts.
    pub(super) fn add(&self, filled: u64) -> String {
        let key = &self.key;
        format!("UPDATE {JOBS} SET filled = filled + {filled} WHERE column_path = {key}")
    }

    /// Begins a pass with these parts, in the place of those of the pass before, whose sums move to
    /// the job.
    pub(super) fn begin_pass(
        &self,
        session: &mut Session,
        phase: Phase,
        places: &[Place],
    ) -> Result<(), DbError> {
        let key = &self.key;
        self.settle(session)?;
        session.batch(&format!(
            "UPDATE {JOBS} SET phase = '{}', pass = pass + 1 WHERE column_path = {key}",
            phase.name()
        ))?;
        // Some hundred rows at once keep the statement small.
        for (chunk, places) in places.chunks(500).enumerate() {
            let values = places.iter().enumerate().map(|(at, place)| {
                let place = exact_literal(self.backend, &place.to_string());
                format!("({key}, {}, {place}, 0, 0, 0, 0, 0, 0, 0, 0)", chunk * 500 + at)
            });
            session.batch(&format!(
                "INSERT INTO {PARTS} (column_path, part, place, done, claimed_at, batches, filled, \
                 rows_seen, rows_empty, differing, rows_left) VALUES {}",
                values.collect::<Vec<_>>().join(", ")
            ))?;
        }
        Ok(())
    }

    /// Ends the job with its receipt.
    pub(super) fn finish(&self, session: &mut Session, receipt: &str) -> Result<(), DbError> {
        self.settle(session)?;
        let (key, receipt) = (&self.key, exact_literal(self.backend, receipt));
        session.batch(&format!(
            "UPDATE {JOBS} SET phase = '{}', receipt = {receipt} WHERE column_path = {key}",
            Phase::Done.name()
        ))
    }

    /// Adds the parts' sums to the job and drops the parts.
    fn settle(&self, session: &mut Session) -> Result<(), DbError> {
        let totals = self.totals(session)?;
        let key = &self.key;
        session.batch(&format!(
            "UPDATE {JOBS} SET filled = {}, batches = {} WHERE column_path = {key}",
            totals.filled, totals.batches
        ))?;
        session.batch(&format!("DELETE FROM {PARTS} WHERE column_path = {key}"))
    }

    /// Sums up the parts.
    pub(super) fn totals(&self, session: &mut Session) -> Result<Totals, DbError> {
        let key = &self.key;
        let rows = session.query(&format!(
            "SELECT coalesce(sum(filled), 0), coalesce(sum(rows_seen), 0), coalesce(sum(rows_empty), 0), \
             coalesce(sum(differing), 0), coalesce(sum(rows_left), 0), count(*), coalesce(sum(done), 0), \
             coalesce(sum(batches), 0), \
             (SELECT filled FROM {JOBS} WHERE column_path = {key}), \
             (SELECT batches FROM {JOBS} WHERE column_path = {key}) \
             FROM {PARTS} WHERE column_path = {key}"
        ))?;
        let numbers: Vec<u64> = rows
            .into_iter()
            .flatten()
            .map(|value| value.and_then(|text| text.parse().ok()).unwrap_or_default())
            .collect();
        let [now, rows, empty, differing, left, parts, parts_done, batches, before, batches_before] =
            numbers.try_into().unwrap_or_default();
        Ok(Totals {
            filled: before + now,
            filled_now: now,
            rows,
            empty,
            differing,
            left,
            parts,
            parts_done,
            batches: batches_before + batches,
        })
    }

    /// Locks a part that is not done and that nobody holds right now: the worker's own first, then
    /// one that nobody took, then the one whose worker was not heard of for longest. `None` where
    /// there is none.
    pub(super) fn claim(
        &self,
        session: &mut Session,
        worker: &str,
    ) -> Result<Option<Part>, BackfillError> {
        let (key, mine) = (&self.key, exact_literal(self.backend, worker));
        let free = format!("FROM {PARTS} WHERE column_path = {key} AND done = 0");
        let order = format!(
            "ORDER BY CASE WHEN worker = {mine} THEN 0 WHEN worker IS NULL THEN 1 ELSE 2 END, \
             claimed_at, part"
        );
        match self.backend {
            Backend::Postgres => self.part(
                session,
                &format!("SELECT part, place {free} {order} LIMIT 1 FOR UPDATE SKIP LOCKED"),
            ),
            Backend::Sqlite => {
                self.part(session, &format!("SELECT part, place {free} {order} LIMIT 1"))
            }
            // InnoDB locks all rows that it sorts, so that other workers would find none.
            Backend::Mysql => {
                for row in session.query(&format!("SELECT part {free} {order}"))? {
                    let number = row.into_iter().next().flatten().unwrap_or_default();
                    let number = exact_literal(self.backend, &number);
                    let taken = self.part(
                        session,
                        &format!(
                            "SELECT part, place {free} AND part = {number} FOR UPDATE SKIP LOCKED"
                        ),
                    )?;
                    if taken.is_some() {
                        return Ok(taken);
                    }
                }
                Ok(None)
            }
        }
    }

    /// Asks for a part.
    fn part(&self, session: &mut Session, sql: &str) -> Result<Option<Part>, BackfillError> {
        session.query(sql)?.into_iter().next().map(|row| self.part_of(row)).transpose()
    }

    /// Takes a part that is not done without locking it, for work outside of a transaction: the
    /// worker's own, else one that nobody took, else one whose worker is gone or was not heard of
    /// for long. `None` where there is none. Two may take the same one; [`Self::hold`] tells.
    pub(super) fn reserve(
        &self,
        session: &mut Session,
        worker: &str,
    ) -> Result<Option<Part>, BackfillError> {
        /// Seconds: a batch of code is far shorter, unless one row takes that long.
        const HEARD_OF: u32 = 60;
        let (key, mine) = (&self.key, exact_literal(self.backend, worker));
        let own = format!(
            "SELECT part, place FROM {PARTS} WHERE column_path = {key} AND done = 0 \
             AND worker = {mine} ORDER BY claimed_at, part LIMIT 1"
        );
        if let Some(row) = session.query(&own)?.into_iter().next() {
            return self.part_of(row).map(Some);
        }
        let now = self.now();
        // Both lists show a user's own sessions without any privilege.
        let (begin, gone, skip) = match self.backend {
            Backend::Postgres => (
                "BEGIN",
                "worker NOT IN (SELECT pid::text FROM pg_catalog.pg_stat_activity)",
                " FOR UPDATE SKIP LOCKED",
            ),
            Backend::Mysql => (
                "BEGIN",
                "CAST(worker AS unsigned) NOT IN (SELECT id FROM information_schema.processlist)",
                " FOR UPDATE SKIP LOCKED",
            ),
            // One writer: whoever else took it is gone, or loses its batch.
            Backend::Sqlite => ("BEGIN IMMEDIATE", "1 = 1", ""),
        };
        session.batch(begin)?;
        let found = session.query(&format!(
            "SELECT part, place FROM {PARTS} WHERE column_path = {key} AND done = 0 \
             AND (worker IS NULL OR claimed_at < {now} - {HEARD_OF} OR {gone}) \
             ORDER BY CASE WHEN worker IS NULL THEN 0 ELSE 1 END, claimed_at, part LIMIT 1{skip}"
        ))?;
        let part = found.into_iter().next().map(|row| self.part_of(row)).transpose();
        let Ok(Some(part)) = part else {
            session.batch("ROLLBACK")?;
            return part;
        };
        session.batch(&format!(
            "UPDATE {PARTS} SET worker = {mine}, claimed_at = {now} \
             WHERE column_path = {key} AND part = {}; COMMIT",
            part.number
        ))?;
        Ok(Some(part))
    }

    /// Locks a part that was reserved, and reports whether it is still as it was then.
    pub(super) fn hold(
        &self,
        session: &mut Session,
        part: &Part,
        worker: &str,
    ) -> Result<bool, DbError> {
        let (key, mine) = (&self.key, exact_literal(self.backend, worker));
        let found = session.value(&format!(
            "SELECT place FROM {PARTS} WHERE column_path = {key} AND part = {} AND done = 0 \
             AND worker = {mine}{}",
            part.number,
            self.for_update()
        ))?;
        Ok(found == Some(part.place.to_string()))
    }

    fn part_of(&self, row: Row) -> Result<Part, BackfillError> {
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        let number = fields.next().and_then(|text| text.parse().ok());
        let place = fields.next().unwrap_or_default();
        match (number, place.parse()) {
            (Some(number), Ok(place)) => Ok(Part { number, place }),
            _ => Err(BackfillError::Record {
                column: self.column.clone(),
                what: format!("place `{place}`"),
            }),
        }
    }

    /// The server's clock in seconds.
    fn now(&self) -> &'static str {
        match self.backend {
            Backend::Postgres => "extract(epoch FROM clock_timestamp())::bigint",
            Backend::Mysql => "unix_timestamp()",
            Backend::Sqlite => "CAST(strftime('%s', 'now') AS integer)",
        }
    }

    /// Writes how far a locked part is.
    pub(super) fn advance(&self, part: &Part, worker: &str, gain: Gain) -> String {
        let now = self.now();
        let (key, worker) = (&self.key, exact_literal(self.backend, worker));
        let place = exact_literal(self.backend, &part.place.to_string());
        let done = u8::from(part.place.is_done());
        let Gain { filled, rows, empty, differing, left } = gain;
        format!(
            "UPDATE {PARTS} SET place = {place}, done = {done}, worker = {worker}, \
             claimed_at = {now}, batches = batches + 1, filled = filled + {filled}, \
             rows_seen = rows_seen + {rows}, rows_empty = rows_empty + {empty}, \
             differing = differing + {differing}, rows_left = rows_left + {left} WHERE column_path = {key} AND part = {}",
            part.number
        )
    }

    fn skip_locked(&self) -> &'static str {
        match self.backend {
            Backend::Postgres | Backend::Mysql => " FOR UPDATE SKIP LOCKED",
            Backend::Sqlite => "",
        }
    }

    fn for_update(&self) -> &'static str {
        match self.backend {
            Backend::Postgres | Backend::Mysql => " FOR UPDATE",
            Backend::Sqlite => "",
        }
    }
}
