//! Walks the stages up, down and up again, and sees what each migration does to the table.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use newcol_core::{
    backend::Backend,
    db::{DbError, Session},
    execute::backfill::{Answer, Event},
    ident::TableName,
    plan::{StageKind, Transaction},
    render::text,
};

use super::RehearseError;
use crate::{
    dump::{differences, schema_dump},
    life::{self, Action, JOB_SESSIONS, Life, LifeError, Script},
    matrix::Watch,
    scratch::error::chain,
    wait::wait_until,
};

/// What one action did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// Its stage.
    pub stage: StageKind,
    /// Its name.
    pub name: String,
    /// The locks it held on the table when it was done, a job any of its batches; empty where the
    /// engine tells nothing, or the migration ran without a transaction.
    pub locks: Vec<LockHeld>,
    /// Whether the table was written anew; `None` where the engine does not tell.
    pub rewritten: Option<bool>,
    /// How often the whole table was read; `None` where the engine does not tell.
    pub scans: Option<u64>,
    /// In how many transactions a job changed rows or looked at them; `None` of migrations.
    pub batches: Option<u64>,
    /// How long it took.
    pub took: Duration,
}

/// A lock on the table, by the name its engine gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockHeld(pub String);

/// The outcome of the laws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Law {
    /// What each action did on the first way up.
    pub traced: Vec<Traced>,
    /// Rows before.
    pub rows: u64,
    /// Every law that does not hold, in words.
    pub broken: Vec<String>,
}

/// Runs all actions up, down and up again.
pub(super) fn run(life: &Life, url: &str) -> Result<Law, RehearseError> {
    let plan = &life.plan;
    let replaces = plan.contract.answers().replaces.is_some();
    let mut session = life::open(url)?;
    let first = schema_dump(url)?;
    let mut start = Watch::start(&mut session, plan)?;
    let mut law = Law { traced: Vec::new(), rows: start.rows() as u64, broken: Vec::new() };
    for (stage, action) in life.actions() {
        let what = format!("{}: `{}`", stage.name(), action.name());
        let watch = Watch::start(&mut session, plan)?;
        match traced(stage, action, plan.contract.table(), url)? {
            Ok(traced) => law.traced.push(traced),
            Err(error) => {
                law.broken.push(format!("{what} fails: {error}"));
                return Ok(law);
            }
        }
        law.complain(&what, watch.end(&mut session, plan)?.damage);
    }
    let up = schema_dump(url)?;
    start.allow_return(&Watch::start(&mut session, plan)?);
    for (stage, action) in life.actions().collect::<Vec<_>>().into_iter().rev() {
        let mut own = life::open(url)?;
        if let Err(error) = action.undo(&mut own) {
            let (stage, name) = (stage.name(), action.name());
            law.broken.push(format!("{stage}: taking `{name}` back fails: {}", chain(&error)));
            return Ok(law);
        }
    }
    // A replaced column comes back at the end of its table and bare, as the plan warns.
    if !replaces {
        law.compare_schemas("after everything was taken back", &first, &schema_dump(url)?);
    }
    law.complain("the way up and back", start.end(&mut session, plan)?.damage);
    for (stage, action) in life.actions() {
        let mut own = life::open(url)?;
        if let Err(error) = action.run(&mut own) {
            let (stage, name) = (stage.name(), action.name());
            law.broken.push(format!("{stage}: `{name}` fails when redone: {}", chain(&error)));
            return Ok(law);
        }
    }
    if !replaces {
        law.compare_schemas("after everything was redone", &up, &schema_dump(url)?);
    }
    Ok(law)
}

impl Law {
    fn complain(&mut self, what: &str, damage: Vec<String>) {
        self.broken.extend(damage.into_iter().map(|damage| format!("{what} {damage}")));
    }

    fn compare_schemas(&mut self, when: &str, wanted: &str, found: &str) {
        let lines = differences(wanted, found).into_iter();
        let lines: Vec<String> = lines.map(|(sign, line)| format!("{sign}{line}")).collect();
        if !lines.is_empty() {
            self.broken.push(format!("{when}, the schema differs:\n  {}", lines.join("\n  ")));
        }
    }
}

/// Runs an action and looks at the table from inside its transaction and from outside.
fn traced(
    stage: StageKind,
    action: &Action,
    table: &TableName,
    url: &str,
) -> Result<Result<Traced, String>, RehearseError> {
    let mut watcher = life::open(url)?;
    let mut own = life::open(url)?;
    let before = Physical::read(&mut watcher, table);
    let started = Instant::now();
    let mut locks = BTreeSet::new();
    let mut batches = None;
    let done = match action {
        Action::Migration(Script { up, transaction: Transaction::Wrapped, .. })
            if own.backend() == Backend::Postgres =>
        {
            held(&mut own, up, table, &mut locks).map_err(LifeError::from)
        }
        Action::Migration(_) | Action::Statements { .. } => action.run(&mut own),
        Action::Backfill(_) => {
            let seen = Mutex::new(Batches { watcher: &mut watcher, locks: &mut locks, count: 0 });
            let done = action.run_told(&mut own, &|event| {
                seen.lock().unwrap_or_else(PoisonError::into_inner).see(event, table);
                Answer::Go
            });
            batches = Some(seen.into_inner().unwrap_or_else(PoisonError::into_inner).count);
            done
        }
    };
    let took = started.elapsed();
    ended(own, &mut watcher)?;
    if let Err(error) = done {
        return Ok(Err(chain(&error)));
    }
    let after = Physical::read(&mut watcher, table);
    let (rewritten, scans) = match (before, after) {
        (Some(before), Some(after)) => (
            Some(before.file != after.file),
            before.scans.zip(after.scans).map(|(before, after)| after.saturating_sub(before)),
        ),
        _ => (None, None),
    };
    let name = action.name().to_owned();
    let locks = locks.into_iter().collect();
    Ok(Ok(Traced { stage, name, locks, rewritten, scans, batches, took }))
}

/// What is seen of a job while it works.
struct Batches<'a> {
    watcher: &'a mut Session,
    locks: &'a mut BTreeSet<LockHeld>,
    count: u64,
}

impl Batches<'_> {
    fn see(&mut self, event: &Event, table: &TableName) {
        match event {
            Event::Committing { session } if self.watcher.backend() == Backend::Postgres => {
                // What it did shows in the rows, whatever can be seen of its locks.
                self.locks.extend(locks_of(self.watcher, session, table).unwrap_or_default());
            }
            Event::Batch { .. } => self.count += 1,
            Event::Committing { .. }
            | Event::Began { .. }
            | Event::Pass { .. }
            | Event::Waiting(_)
            | Event::Held { .. }
            | Event::Retry { .. }
            | Event::Recomputed { .. }
            | Event::Connecting { .. }
            | Event::Reconnected => {}
        }
    }
}

/// Returns the locks that a session holds on the table (PostgreSQL).
fn locks_of(session: &mut Session, pid: &str, table: &TableName) -> Result<Vec<LockHeld>, DbError> {
    let relation = text::table(Backend::Postgres, table).replace('\'', "''");
    let held = session.query(&format!(
        "SELECT DISTINCT mode FROM pg_catalog.pg_locks \
         WHERE pid = {pid} AND relation = to_regclass('{relation}') AND granted"
    ))?;
    Ok(held.into_iter().flatten().flatten().map(LockHeld).collect())
}

/// Ends a session and waits until it has, and those of a job: the server adds up their scans then.
fn ended(mut own: Session, watcher: &mut Session) -> Result<(), RehearseError> {
    if own.backend() != Backend::Postgres {
        return Ok(());
    }
    let pid = own.value("SELECT pg_backend_pid()").map_err(LifeError::from)?.unwrap_or_default();
    drop(own);
    let sql = format!(
        "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE pid = {pid} \
           OR datname = current_database() AND application_name = '{JOB_SESSIONS}')"
    );
    // A session that lingers only spoils a count.
    wait_until("end of a session", Duration::from_secs(5), || {
        watcher.query_bool(&sql).unwrap_or(true)
    })
    .ok();
    Ok(())
}

/// Runs a script in a transaction and asks for its locks before it ends.
fn held(
    session: &mut Session,
    sql: &str,
    table: &TableName,
    locks: &mut BTreeSet<LockHeld>,
) -> Result<(), DbError> {
    session.batch("BEGIN")?;
    let mut work = || {
        session.batch(sql)?;
        locks.extend(locks_of(session, "pg_backend_pid()", table)?);
        session.batch("COMMIT")
    };
    let done = work();
    if done.is_err() {
        // The first error says what went wrong.
        session.batch("ROLLBACK").ok();
    }
    done
}

/// Where the rows are, and how often all were read.
struct Physical {
    file: String,
    scans: Option<u64>,
}

impl Physical {
    /// `None` where the engine does not tell, or there is no such table.
    fn read(session: &mut Session, table: &TableName) -> Option<Self> {
        if session.backend() != Backend::Postgres {
            return None;
        }
        let relation = text::table(Backend::Postgres, table).replace('\'', "''");
        let sql = format!(
            "SELECT pg_relation_filenode(c.oid), coalesce(s.seq_scan, 0) \
             FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid \
             WHERE c.oid = to_regclass('{relation}')"
        );
        // Partitioned tables have no file, and a session that looks twice reads a cached number.
        session.batch("SELECT pg_stat_clear_snapshot()").ok()?;
        let mut row = session.query(&sql).ok()?.into_iter().next()?.into_iter();
        let file = row.next().flatten()?;
        // Before 15 another process counts, when it gets to it.
        let counts = session.server().at_least(15, 0);
        let scans = row.next().flatten()?.parse().ok().filter(|_| counts);
        Some(Self { file, scans })
    }
}
