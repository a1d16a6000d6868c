//! Passes over the table: how they begin, how one follows the other, and how the last one ends.

use super::{
    BackfillError, Outcome, Phase, Receipt, Settings, Totals,
    job::{Job, Route},
    place::{Place, Task, Window},
    record::{JobRecord, Order, Record, STARTS},
    tune::{FIRST_SIZE, MAX_SIZE},
};
use crate::{
    backend::{Backend, Product},
    db::{DbError, Failure, Session},
    ident::TableName,
    plan::facts::Volatility,
    render::text,
};

/// Passes after which rows that are still found empty are an error: each one sees only what was
/// missed during the one before.
const MOST_PASSES: u32 = 20;

/// Rows that are named when they cannot be filled.
const NAMED: u64 = 20;

/// What a worker does that found nothing to claim.
pub(super) enum Turn {
    /// Others are at work on this pass.
    Wait,
    /// A new pass has begun.
    Go(Phase, u32),
    /// The job is over.
    Over(Outcome),
}

/// Begins a job, or takes up the one there is; returns what that one did.
pub(super) fn begin(
    record: &Record,
    session: &mut Session,
    job: &Job,
    settings: &Settings,
) -> Result<Option<Totals>, BackfillError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match try_begin(record, session, job, settings) {
            Err(BackfillError::Database(error)) if tries < STARTS && is_race(&error) => {}
            begun => return begun,
        }
    }
}

/// Two starters: one of them has begun the job, and the other takes it up.
fn is_race(error: &DbError) -> bool {
    error.sqlstate() == Some("23505")
        || error.errno() == Some(1062)
        || error.failure().is_some_and(Failure::is_deadlock)
}

fn try_begin(
    record: &Record,
    session: &mut Session,
    job: &Job,
    settings: &Settings,
) -> Result<Option<Totals>, BackfillError> {
    let opening = if session.backend() == Backend::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
    session.batch(opening)?;
    let begun = in_transaction(record, session, job, settings);
    let ended = session.batch(if begun.is_ok() { "COMMIT" } else { "ROLLBACK" });
    let begun = begun?;
    ended?;
    Ok(begun)
}

fn in_transaction(
    record: &Record,
    session: &mut Session,
    job: &Job,
    settings: &Settings,
) -> Result<Option<Totals>, BackfillError> {
    let fingerprint = job.fingerprint();
    let mut found = record.lock(session)?;
    if settings.restart && found.is_some() {
        record.forget(session)?;
        found = None;
    }
    let workers = settings.workers.get();
    match found {
        None => {
            record.begin(session, &fingerprint)?;
            let places = places(session, job, Phase::Filling, workers)?;
            record.begin_pass(session, Phase::Filling, &places)?;
            Ok(None)
        }
        Some(JobRecord { job, .. }) if job != fingerprint => {
            Err(BackfillError::Changed { column: record.column().clone() })
        }
        Some(_) => {
            record.order(session, Order::Run)?;
            let totals = record.totals(session)?;
            // Nothing is left of the last pass: one more look at every row, whatever it had found.
            if totals.parts_done == totals.parts {
                record.recount(session)?;
                let places = places(session, job, Phase::Proving, workers)?;
                record.begin_pass(session, Phase::Proving, &places)?;
            }
            Ok(Some(totals))
        }
    }
}

/// Ends the pass once all its parts are done, and begins the next one where one is needed.
pub(super) fn turn(
    record: &Record,
    session: &mut Session,
    job: &mut Job,
    workers: u32,
) -> Result<Turn, BackfillError> {
    let opening = if session.backend() == Backend::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
    session.batch(opening)?;
    let next = follow(record, session, job, workers);
    let ended = session.batch(if next.is_ok() { "COMMIT" } else { "ROLLBACK" });
    let next = next?;
    ended?;
    if let Turn::Over(Outcome::Done(_)) = next {
        match analyze(session, job) {
            // Another worker does it, or the server's own, which will for so many changed rows.
            Err(error) if error.failure().is_some_and(Failure::is_lock_timeout) => {}
            done => done?,
        }
    }
    Ok(next)
}

fn follow(
    record: &Record,
    session: &mut Session,
    job: &mut Job,
    workers: u32,
) -> Result<Turn, BackfillError> {
    let Some(found) = record.lock(session)? else {
        return Ok(Turn::Over(Outcome::Stopped(Totals::default())));
    };
    let totals = record.totals(session)?;
    if let (Phase::Done, Some(receipt)) = (found.phase, &found.receipt)
        && let Ok(receipt) = receipt.parse::<Receipt>()
    {
        return Ok(Turn::Over(Outcome::Done(receipt)));
    }
    if totals.parts_done < totals.parts {
        return Ok(Turn::Wait);
    }
    let is_proven = found.phase == Phase::Proving && totals.filled_now == 0;
    if !is_proven {
        if found.pass >= MOST_PASSES {
            let column = record.column().clone();
            return Err(BackfillError::Endless { column, passes: found.pass });
        }
        job.refresh(session)?;
        let places = places(session, job, Phase::Proving, workers)?;
        record.begin_pass(session, Phase::Proving, &places)?;
        return Ok(Turn::Go(Phase::Proving, found.pass + 1));
    }
    if totals.empty > 0 && job.plan.contract.required() {
        let rows = session.query(job.fill.empty_rows(&job.key, NAMED).as_str())?;
        let named = |row: Vec<Option<String>>| {
            let values: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
            values.join(", ")
        };
        let keys = rows.into_iter().map(named).collect();
        return Ok(Turn::Over(Outcome::Unfillable { rows: totals.empty, keys, totals }));
    }
    let comparable = job.fill.volatility == Volatility::Immutable;
    let receipt = Receipt::of(&totals, found.pass, comparable);
    record.finish(session, &receipt.to_string())?;
    Ok(Turn::Over(Outcome::Done(receipt)))
}

/// Divides the table into parts for a pass.
fn places(
    session: &mut Session,
    job: &Job,
    phase: Phase,
    workers: u32,
) -> Result<Vec<Place>, BackfillError> {
    match &job.route {
        Route::Blocks(relations) => {
            let total: u64 = relations.iter().map(|relation| relation.blocks).sum();
            let size = part_size(total, workers);
            let mut places = Vec::new();
            for relation in relations {
                let mut start = 0;
                while start < relation.blocks {
                    let end = (start + size).min(relation.blocks);
                    places.push(block_place(phase, &relation.name, start, end));
                    start = end;
                }
            }
            Ok(places)
        }
        Route::Keys => {
            let Some(last) = job.last_key(session)? else { return Ok(Vec::new()) };
            let task = match phase {
                Phase::Filling => Task::Fill,
                Phase::Proving | Phase::Done => Task::Prove,
            };
            let mut after = None;
            let mut places = Vec::new();
            for bound in job.bounds(session, &last, workers)? {
                places.push(Place::Keys {
                    task,
                    after: after.replace(bound.clone()),
                    last: Some(bound),
                    done: false,
                });
            }
            places.push(Place::Keys { task, after, last: Some(last), done: false });
            Ok(places)
        }
    }
}

fn block_place(phase: Phase, relation: &TableName, at: u64, end: u64) -> Place {
    let relation = relation.clone();
    match phase {
        Phase::Filling => Place::Windows { relation, end, window: Window::fresh(at) },
        Phase::Proving | Phase::Done => Place::Blocks { relation, end, at },
    }
}

/// Blocks of a part: enough for the largest window, and several parts for each worker.
fn part_size(total: u64, workers: u32) -> u64 {
    let workers = u64::from(workers);
    let share = if workers == 1 { total / 64 } else { total / (workers * 8) };
    let least = if workers == 1 { MAX_SIZE } else { FIRST_SIZE };
    share.max(least).next_multiple_of(FIRST_SIZE)
}

/// Tells the planner of the new values.
fn analyze(session: &mut Session, job: &Job) -> Result<(), DbError> {
    let name = text::table(job.fill.backend, &job.fill.table);
    let column = text::name(job.fill.backend, &job.fill.column);
    let sql = match session.server().product {
        Product::Postgres => format!("ANALYZE {name} ({column})"),
        Product::Mariadb | Product::Mysql => format!("ANALYZE TABLE {name}"),
        Product::Sqlite => format!("ANALYZE {name}"),
    };
    session.query(&sql).map(drop)
}
