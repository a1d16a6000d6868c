//! One batch: claim a part, change rows of it, and write down how far it is, in one transaction.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    BackfillError, Event,
    counts::Counts,
    job::Job,
    place::{Place, Task, Window},
    record::{Gain, Part},
    sample::{SAMPLE, Sample},
    stretch::Stretch,
    tune::VISITS,
    worker::{Tuned, Worker},
};
use crate::{
    backend::Backend,
    db::{DbError, Session},
    ident::TableName,
    keys::KeyTuple,
    render::{
        backfill::{CERTAIN, Range},
        text::{SqlText, exact_literal, table},
    },
};

/// Tries after which a batch leaves out the rows that others hold; the proving pass comes back to
/// them.
const PATIENCE: u32 = 2;

/// The same on MySQL and MariaDB, where a try waits for a second at least: with no wait at all,
/// MariaDB 10.11 fails to skip locked rows ("Got error 1 during COMMIT").
const PATIENCE_MYSQL: u32 = 1;

/// How many rows are looked at in the time in which one is changed.
const LOOKS: u64 = 16;

/// Reports whether a batch that failed so often leaves out the rows that others hold.
pub(super) fn skips(backend: Backend, tries: u32) -> bool {
    match backend {
        Backend::Postgres => tries >= PATIENCE,
        Backend::Mysql => tries >= PATIENCE_MYSQL,
        // One writer holds all rows.
        Backend::Sqlite => false,
    }
}

/// What came of a try.
pub(super) enum Ran {
    /// A batch was committed.
    Batch(Batch),
    /// There is no part to claim.
    Nothing,
}

/// A committed batch.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Batch {
    /// Rows that were pending and no longer are.
    pub(super) filled: u64,
    /// Rows it went past, as far as known.
    pub(super) passed: u64,
    /// Rows in the measure of the pace: those it was asked for.
    pub(super) sized: u64,
    pub(super) statement: Duration,
    pub(super) commit: Duration,
    pub(super) wal: Option<u64>,
    pub(super) waiters: u32,
}

impl Worker<'_> {
    /// Runs a batch of about so many rows.
    pub(super) fn batch(&mut self, rows: u64, tries: u32) -> Result<Ran, BackfillError> {
        if let Some(code) = self.shared.code {
            return self.computed_batch(code, rows, tries);
        }
        let logged = self.log_written();
        let started = Instant::now();
        let begin = match self.session.backend() {
            Backend::Postgres | Backend::Mysql => "BEGIN",
            Backend::Sqlite => "BEGIN IMMEDIATE",
        };
        let before = joined(begin, &self.job.care.before);
        self.session.batch(&before)?;
        let Some(mut part) = self.record.claim(&mut self.session, &self.name)? else {
            self.session.batch("ROLLBACK")?;
            return Ok(Ran::Nothing);
        };
        self.check(&part.place)?;
        let done = match part.place.clone() {
            Place::Windows { relation, end, window } => {
                self.visit(&mut part, relation, end, window, rows, tries)?
            }
            Place::Blocks { relation, end, at } => {
                self.prove_blocks(&mut part, relation, end, at, Asked { rows, tries })?
            }
            Place::Keys { task: Task::Prove, after, last, .. } => {
                self.prove_keys(&mut part, after, last, Asked { rows, tries })?
            }
            Place::Keys { task: Task::Fill, after, last, .. } => {
                self.fill_keys(&mut part, after, last, Asked { rows, tries })?
            }
        };
        let advance = self.record.advance(&part, &self.name, done.gain);
        let mut end = self.job.care.after.iter().map(SqlText::as_str).collect::<Vec<_>>();
        end.push(&advance);
        let statement = started.elapsed();
        let end = end.join("; ");
        let waiters = self.waiters()?;
        self.committing();
        let started = Instant::now();
        self.session.batch(&format!("{end}; COMMIT"))?;
        let commit = started.elapsed();
        let wal = self.log_written().zip(logged).map(|(now, before)| now.saturating_sub(before));
        Ok(Ran::Batch(Batch {
            filled: done.gain.filled,
            passed: done.passed,
            sized: done.sized,
            statement,
            commit,
            wal,
            waiters,
        }))
    }

    /// Tells that a transaction with changed rows is about to end.
    pub(super) fn committing(&self) {
        self.shared.tell(&Event::Committing { session: self.name.clone() });
    }

    /// Refuses a place in the order of another key than the table has now.
    fn check(&self, place: &Place) -> Result<(), BackfillError> {
        let Place::Keys { after, last, .. } = place else { return Ok(()) };
        let columns = self.job.key.len();
        let fits = |tuple: &KeyTuple| tuple.0.len() == columns;
        if after.iter().chain(last).all(fits) {
            return Ok(());
        }
        Err(BackfillError::Record {
            column: self.record.column().clone(),
            what: format!("place `{place}`"),
        })
    }

    /// Updates some rows of a window.
    fn visit(
        &mut self,
        part: &mut Part,
        relation: TableName,
        end: u64,
        window: Window,
        rows: u64,
        tries: u32,
    ) -> Result<Done, BackfillError> {
        let visit = self.next_visit(&relation, end, window, rows)?;
        let range = Range::Pages { relation: &relation, from: visit.window.at, to: visit.to };
        let filled = self.update(range, visit.share, tries)?;
        let passed = visit.passed;
        part.place = self.end_visit(relation, end, visit, filled)?;
        let gain = Gain { filled, ..Gain::default() };
        Ok(Done { gain, passed, sized: filled })
    }

    /// Decides what the next visit to a window covers.
    pub(super) fn next_visit(
        &mut self,
        relation: &TableName,
        end: u64,
        mut window: Window,
        rows: u64,
    ) -> Result<Visit, DbError> {
        let workers = self.settings.workers.get();
        let tuned = self.tuned(relation)?;
        let density = tuned.density;
        // Blocks whose rows fill a batch of each visit; of several workers, some batches: a revisit
        // finds no space free while the batch of another is older than the visit before.
        let batches = if workers == 1 { 1 } else { 4 };
        let wide = rows.saturating_mul(1000 * batches * u64::from(VISITS)) / density;
        if window.is_fresh() {
            window = tuned.tuner.window(window.start, end, wide);
        }
        let chance = window.chance();
        // Rows that this visit updates in 1000 blocks.
        let visited = (density as f64 * window.part(window.visit)).max(1.0);
        let blocks = ((rows as f64) * 1000.0 / visited).ceil() as u64;
        let to = (window.at + blocks.max(1)).min(window.end());
        let share = (chance * f64::from(CERTAIN)) as u32;
        let passed = (to - window.at) * density / 1000;
        let passed = if window.visit == 0 { passed } else { 0 };
        Ok(Visit { window, to, share, wide, passed })
    }

    /// Learns from a visit that updated so many rows, and returns the place after it.
    pub(super) fn end_visit(
        &mut self,
        relation: TableName,
        end: u64,
        visit: Visit,
        filled: u64,
    ) -> Result<Place, DbError> {
        let is_cut = visit.is_cut();
        let Visit { mut window, to, wide, .. } = visit;
        let hot = self.hot_rows(&relation, filled)?;
        let tuned = self.tuned(&relation)?;
        let visited = (to - window.at) as f64 * window.part(window.visit) / 1000.0;
        if filled as f64 > 2.0 * visited * tuned.density as f64 {
            tuned.density = (filled as f64 / visited) as u64;
        }
        let tuner = &mut tuned.tuner;
        tuner.learn(window.visit, filled, hot);
        window.at = to;
        if is_cut {
            window.at = window.start;
            window.visit += 1;
        }
        if window.visit >= window.visits {
            tuner.end_window();
            window = tuner.window(window.end(), end, wide);
        }
        Ok(Place::Windows { relation, end, window })
    }

    fn prove_blocks(
        &mut self,
        part: &mut Part,
        relation: TableName,
        end: u64,
        at: u64,
        asked: Asked,
    ) -> Result<Done, BackfillError> {
        let rows = asked.rows;
        let density = self.tuned(&relation)?.density;
        let mut blocks = (rows * 1000 / density).clamp(1, end.saturating_sub(at).max(1));
        let (to, gain, passed) = loop {
            let to = (at + blocks).min(end);
            let range = Range::Pages { relation: &relation, from: at, to };
            match self.prove(range, asked, blocks)? {
                Proved::Whole(gain, passed) => break (to, gain, passed),
                Proved::TooMuch { fits } => blocks = fits,
            }
        };
        let tuned = self.tuned(&relation)?;
        tuned.density = tuned.density.max(passed * 1000 / (to - at).max(1));
        part.place = Place::Blocks { relation, end, at: to };
        let sized = if to == end { passed } else { passed.max(rows) };
        Ok(Done { gain, passed, sized })
    }

    fn prove_keys(
        &mut self,
        part: &mut Part,
        after: Option<KeyTuple>,
        last: Option<KeyTuple>,
        asked: Asked,
    ) -> Result<Done, BackfillError> {
        let rows = asked.rows;
        let job = Arc::clone(&self.job);
        let mut count = rows.max(1);
        let (to, gain, passed) = loop {
            let range = Range::Keys { key: &job.key, after: after.as_ref(), to: last.as_ref() };
            let to = self.end_of(range, count)?;
            let upper = to.as_ref().or(last.as_ref());
            let range = Range::Keys { key: &job.key, after: after.as_ref(), to: upper };
            match self.prove(range, asked, count)? {
                Proved::Whole(gain, passed) => break (to, gain, passed),
                Proved::TooMuch { fits } => count = fits,
            }
        };
        let sized = if to.is_none() { passed } else { passed.max(rows) };
        part.place = passed_to(Task::Prove, after, last, to);
        Ok(Done { gain, passed, sized })
    }

    /// Counts a range of so many blocks or rows, and fills what is pending in it if that is not too
    /// much for a batch.
    fn prove(
        &mut self,
        range: Range<'_>,
        asked: Asked,
        size: u64,
    ) -> Result<Proved, BackfillError> {
        self.tried = Some(Stretch::of(range));
        let counts = Counts::read(&mut self.session, &self.job.fill, range)?;
        if counts.pending == 0 {
            let Counts { rows, empty, differing, .. } = counts;
            let gain = Gain { rows, empty, differing, ..Gain::default() };
            return Ok(Proved::Whole(gain, rows));
        }
        let most = self.changeable(asked.rows);
        if counts.pending > most && size > 1 {
            let fits = u128::from(size) * u128::from(most) / u128::from(counts.pending);
            let fits = u64::try_from(fits).unwrap_or(u64::MAX);
            return Ok(Proved::TooMuch { fits: fits.clamp(1, size - 1) });
        }
        let updated = self.update(range, CERTAIN, asked.tries)?;
        let after = Counts::read(&mut self.session, &self.job.fill, range)?;
        let filled = counts.pending.saturating_sub(after.pending);
        let steady = self.job.fill.volatility.is_steady();
        // What is pending now may have been inserted a moment ago.
        let left = if steady && filled == 0 {
            after.pending
        } else if steady || skips(self.job.fill.backend, asked.tries) {
            after.pending.min(counts.pending.saturating_sub(updated))
        } else {
            0
        };
        let Counts { rows, empty, differing, .. } = after;
        Ok(Proved::Whole(Gain { filled, rows, empty, differing, left }, rows))
    }

    /// Returns how many rows a batch may change that looks at so many: their share of its time, and no
    /// fewer than a first batch changes.
    pub(super) fn changeable(&self, rows: u64) -> u64 {
        (rows / LOOKS).max(rows.min(self.settings.pace.first_rows)).max(1)
    }

    /// Updates the pending rows of a range; after some tries without those that others hold.
    fn update(&mut self, range: Range<'_>, share: u32, tries: u32) -> Result<u64, BackfillError> {
        self.tried = Some(Stretch::of(range));
        update(&mut self.session, &self.job, range, share, tries)
    }

    fn fill_keys(
        &mut self,
        part: &mut Part,
        after: Option<KeyTuple>,
        last: Option<KeyTuple>,
        asked: Asked,
    ) -> Result<Done, BackfillError> {
        let rows = asked.rows;
        let job = Arc::clone(&self.job);
        let range = Range::Keys { key: &job.key, after: after.as_ref(), to: last.as_ref() };
        let to = self.end_of(range, rows)?;
        let upper = to.as_ref().or(last.as_ref());
        let range = Range::Keys { key: &job.key, after: after.as_ref(), to: upper };
        let filled = self.update(range, CERTAIN, asked.tries)?;
        part.place = passed_to(Task::Fill, after, last, to);
        let gain = Gain { filled, ..Gain::default() };
        // Where rows are filled already, the batch went past them all the same.
        Ok(Done { gain, passed: rows.max(filled), sized: filled })
    }

    /// Returns the key at which a batch of so many rows ends; `None` where it reaches the part's last
    /// row.
    pub(super) fn end_of(
        &mut self,
        range: Range<'_>,
        rows: u64,
    ) -> Result<Option<KeyTuple>, BackfillError> {
        let Range::Keys { key, after, to } = range else { return Ok(None) };
        if let Some(end) = self.ahead.end(key, after, to, rows) {
            return Ok(Some(end));
        }
        let end = self.job.key_after(&mut self.session, range, rows)?;
        self.ahead.learn(after, end.as_ref(), rows);
        Ok(end)
    }

    /// Returns how many of the rows that the last statement updated stayed on their page.
    ///
    /// The server's counts for a session run on over several transactions, and begin anew when it
    /// has added them to those of the table, about once a second.
    fn hot_rows(&mut self, relation: &TableName, updated: u64) -> Result<u64, DbError> {
        let name = exact_literal(Backend::Postgres, &table(Backend::Postgres, relation));
        let sql = format!(
            "SELECT pg_stat_get_xact_tuples_updated(oid), pg_stat_get_xact_tuples_hot_updated(oid) \
             FROM (SELECT to_regclass({name}) AS oid) AS relation"
        );
        let row = self.session.query(&sql)?.into_iter().next().unwrap_or_default();
        let mut numbers =
            row.into_iter().map(|v| v.and_then(|v| v.parse::<u64>().ok()).unwrap_or_default());
        let mut next = || numbers.next().unwrap_or_default();
        let counts = (next(), next());
        let before = std::mem::replace(&mut self.tuned(relation)?.counts, counts);
        let goes_on = counts.0 >= before.0 + updated && counts.1 >= before.1;
        Ok(if goes_on { counts.1 - before.1 } else { counts.1.min(updated) })
    }

    /// Returns what is known of a relation, after a look at its first rows.
    pub(super) fn tuned(&mut self, relation: &TableName) -> Result<&mut Tuned, DbError> {
        if !self.tuners.contains_key(relation) {
            let tuned = self.sample(relation)?;
            self.tuners.insert(relation.clone(), tuned);
        }
        Ok(self.tuners.get_mut(relation).expect("it was put there"))
    }

    fn sample(&mut self, relation: &TableName) -> Result<Tuned, DbError> {
        self.tried = Some(Stretch::of(Range::Pages { relation, from: 0, to: SAMPLE }));
        let sample = Sample::read(&self.job, &mut self.session, relation)?;
        Ok(Tuned { tuner: sample.tuner(), density: sample.density(), counts: (0, 0) })
    }
}

/// Updates the pending rows of a range; after some tries without those that others hold.
pub(super) fn update(
    session: &mut Session,
    job: &Job,
    range: Range<'_>,
    share: u32,
    tries: u32,
) -> Result<u64, BackfillError> {
    let waits = !skips(job.fill.backend, tries);
    let sql = match range {
        _ if waits => job.fill.update(range, share),
        Range::Pages { .. } | Range::Slots { .. } => job.fill.update_free(range),
        Range::Keys { key, .. } => {
            let free = session.query(job.fill.free_rows(range, key).as_str())?;
            let free: Vec<KeyTuple> =
                free.into_iter().map(|row| job.tuple(row)).collect::<Result<_, _>>()?;
            if free.is_empty() {
                return Ok(0);
            }
            job.fill.update_rows(key, &free)
        }
    };
    Ok(session.execute(sql.as_str())?)
}

/// A visit to some blocks of a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    /// The window, at the visit's first block.
    pub(super) window: Window,
    /// Block after the last one.
    pub(super) to: u64,
    /// Chance of a pending row, in [`CERTAIN`].
    pub(super) share: u32,
    /// Rows that nobody went past before.
    pub(super) passed: u64,
    wide: u64,
}

impl Visit {
    /// Reports whether it ends with the window, so that it may be smaller than was asked for.
    pub(super) fn is_cut(&self) -> bool {
        self.to == self.window.end()
    }
}

/// What a batch is asked for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// About so many rows.
    rows: u64,
    /// How often it failed before.
    tries: u32,
}

/// What came of a proving batch.
enum Proved {
    /// What was gained, and the rows that were looked at.
    Whole(Gain, u64),
    /// Nothing was changed: more rows are pending than it may change.
    TooMuch {
        /// As many blocks or rows may do.
        fits: u64,
    },
}

/// What a batch did.
struct Done {
    gain: Gain,
    passed: u64,
    sized: u64,
}

/// Returns the place after a batch that ended at a key, or at the part's last row.
pub(super) fn passed_to(
    task: Task,
    after: Option<KeyTuple>,
    last: Option<KeyTuple>,
    to: Option<KeyTuple>,
) -> Place {
    match to {
        Some(to) => {
            let done = Some(&to) == last.as_ref();
            Place::Keys { task, after: Some(to), last, done }
        }
        None => Place::Keys { task, after, last, done: true },
    }
}

pub(super) fn joined(first: &str, rest: &[SqlText]) -> String {
    let mut sql = first.to_owned();
    for statement in rest {
        sql.push_str("; ");
        sql.push_str(statement.as_str());
    }
    sql
}
