//! Passes over the table: how they begin, how one follows the other, and how the last one ends.

use std::{sync::Arc, time::Duration};

use super::{
    BackfillError, Outcome, Phase, Receipt, Settings, Totals,
    job::{Job, Route},
    place::{Place, Task, Window},
    record::{JobRecord, Order, Record, STARTS},
    sweep,
    tune::{FIRST_SIZE, MAX_SIZE},
};
use crate::{
    backend::{Backend, Product},
    db::{DbError, Failure, Session},
    ident::TableName,
    plan::facts::Volatility,
    render::{backfill::Source, text},
};

/// Passes of a run after which rows that could not be filled are an error.
const MOST_PASSES: u32 = 20;

/// Passes of a run after which it ends though the last one filled rows: each filled all that it
/// found, so these were inserted meanwhile, and whoever inserts them would never let it end.
const ENOUGH_PASSES: u32 = 4;

/// Rows that are named when they cannot be filled.
const NAMED: u64 = 20;

/// How long others get, times the number of passes, to let go of rows.
const HELD: Duration = Duration::from_millis(250);

/// What a run brings to a turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// The pass that it found.
    pub(super) first: u32,
    /// Its workers.
    pub(super) workers: u32,
}

impl Run {
    /// Returns how many passes it has made.
    fn passes(&self, found: &JobRecord) -> u32 {
        (found.pass + 1).saturating_sub(self.first)
    }
}

/// What a worker does that found nothing to claim.
pub(super) enum Turn {
    /// Others are at work on this pass.
    Wait,
    /// A new pass has begun.
    Go {
        /// What it does.
        phase: Phase,
        /// Its number.
        pass: u32,
        /// How long others get to let go of rows that the last pass could not fill.
        wait: Duration,
    },
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
        Some(found) => {
            record.order(session, Order::Run)?;
            let totals = record.totals(session)?;
            // The last run ended, well or not: one more look at every row.
            if is_over(&found, &totals, job) {
                record.recount(session)?;
                let phase = next_phase(session, job, &found)?;
                let places = places(session, job, phase, workers)?;
                record.begin_pass(session, phase, &places)?;
            }
            Ok(Some(totals))
        }
    }
}

/// Reports whether a job has come to its end, of whatever kind, so that nothing of it is left to do.
fn is_over(found: &JobRecord, totals: &Totals, job: &Job) -> bool {
    let is_passed = totals.parts_done == totals.parts;
    found.phase == Phase::Done || (is_passed && is_unfillable(found, totals, job, 0))
}

/// Returns how a job goes on that has come to its end: one whose rows are empty again is of a column
/// that was dropped and added anew, and a pass that only proves would fill it slowly.
fn next_phase(session: &mut Session, job: &Job, found: &JobRecord) -> Result<Phase, DbError> {
    /// Rows that are looked at, about.
    const LOOKS: u64 = 5000;
    let receipt = found.receipt.as_ref().and_then(|receipt| receipt.parse::<Receipt>().ok());
    let were_filled = receipt.is_some_and(|receipt| receipt.empty * 2 < receipt.rows);
    let rows = job.plan.facts.rows.unwrap_or_default();
    let look = job.fill.mostly_empty(LOOKS, rows);
    let are_empty = were_filled && session.query_bool(look.as_str())?;
    Ok(if are_empty { Phase::Filling } else { Phase::Proving })
}

/// Returns how many rows the pass could not fill although there is a value for them.
fn left(totals: &Totals, job: &Job) -> u64 {
    match job.fill.source {
        // They changed faster than code computed them.
        Source::Code { .. } => totals.differing,
        Source::Sql(_) => totals.left,
    }
}

/// Reports whether the pass has looked at every row and found nothing to fill, or nothing but what
/// was inserted meanwhile.
fn is_proven(found: &JobRecord, totals: &Totals, job: &Job, passes: u32) -> bool {
    found.phase == Phase::Proving
        && left(totals, job) == 0
        && (totals.filled_now == 0 || passes >= ENOUGH_PASSES)
}

/// Reports whether such a pass has left rows of a required column NULL.
fn is_unfillable(found: &JobRecord, totals: &Totals, job: &Job, passes: u32) -> bool {
    is_proven(found, totals, job, passes) && totals.empty > 0 && job.plan.contract.required()
}

/// Ends the pass once all its parts are done, and begins the next one where one is needed.
pub(super) fn turn(
    record: &Record,
    session: &mut Session,
    job: &mut Arc<Job>,
    run: Run,
) -> Result<Turn, BackfillError> {
    let seen = record.read(session)?;
    let totals = record.totals(session)?;
    let is_last = seen.is_some_and(|seen| {
        totals.parts_done == totals.parts && is_proven(&seen, &totals, job, run.passes(&seen))
    });
    let is_missing = is_last && sweep::sweep(record, session, job, &totals)?;
    let opening = if session.backend() == Backend::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
    session.batch(opening)?;
    let next = follow(record, session, job, run, is_missing);
    let ended = session.batch(if next.is_ok() { "COMMIT" } else { "ROLLBACK" });
    let (turn, last) = next?;
    ended?;
    if let (Turn::Over(Outcome::Done(_)), Last::Me) = (&turn, last) {
        // All is done; a server that is busy with the table finds out by itself.
        analyze(session, job).ok();
    }
    Ok(turn)
}

/// Who ended the job.
enum Last {
    Me,
    Another,
}

fn follow(
    record: &Record,
    session: &mut Session,
    job: &mut Arc<Job>,
    run: Run,
    is_missing: bool,
) -> Result<(Turn, Last), BackfillError> {
    let another = |turn| Ok((turn, Last::Another));
    let Some(found) = record.try_lock(session)? else {
        // Another worker is about to begin the next pass, which may take it a while.
        return match record.read(session)? {
            Some(_) => another(Turn::Wait),
            None => another(Turn::Over(Outcome::Stopped(Totals::default()))),
        };
    };
    let totals = record.totals(session)?;
    if let (Phase::Done, Some(receipt)) = (found.phase, &found.receipt)
        && let Ok(receipt) = receipt.parse::<Receipt>()
    {
        return another(Turn::Over(Outcome::Done(receipt)));
    }
    if totals.parts_done < totals.parts {
        return another(Turn::Wait);
    }
    let passes = run.passes(&found);
    let is_missing = is_missing && passes < ENOUGH_PASSES;
    if is_missing || !is_proven(&found, &totals, job, passes) {
        let rows = left(&totals, job);
        if rows > 0 && passes >= MOST_PASSES {
            let column = record.column().clone();
            return Err(BackfillError::Left { column, rows, passes });
        }
        Arc::make_mut(job).refresh(session)?;
        let places = places(session, job, Phase::Proving, run.workers)?;
        record.begin_pass(session, Phase::Proving, &places)?;
        let next = found.pass + 1;
        let wait = if rows > 0 { HELD * passes } else { Duration::ZERO };
        return another(Turn::Go { phase: Phase::Proving, pass: next, wait });
    }
    if is_unfillable(&found, &totals, job, passes) {
        let rows = session.query(job.fill.empty_rows(&job.key, NAMED).as_str())?;
        let keys = rows.into_iter().map(|row| job.name(row)).collect();
        return another(Turn::Over(Outcome::Unfillable { rows: totals.empty, keys, totals }));
    }
    let comparable = job.fill.volatility == Volatility::Immutable;
    let receipt = Receipt::of(&totals, found.pass, comparable);
    record.finish(session, &receipt.to_string())?;
    Ok((Turn::Over(Outcome::Done(receipt)), Last::Me))
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
    let share = if workers == 1 { total / 64 } else { total / (workers * 4) };
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
        // It has statistics of indexes only, and none is on the column yet.
        Product::Sqlite => return Ok(()),
    };
    session.query(&sql).map(drop)
}
