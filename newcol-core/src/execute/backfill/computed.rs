//! One batch of values that code computes.
//!
//! Rows are read and computed while nothing is locked; then one transaction gives them their values,
//! as far as they are what they were, and writes down how far it is. Rows that changed meanwhile are
//! computed again at once, some times; those that change faster are left to the next pass, which is
//! then not the last one.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    BackfillError, Event,
    batch::{Batch, Ran, Visit, joined, passed_to, skips},
    code::{Failed, Filler},
    counts::Counts,
    place::{Place, Task},
    record::{Gain, Part},
    stretch::Stretch,
    worker::Worker,
};
use crate::{
    backend::Backend,
    ident::TableName,
    keys::KeyTuple,
    render::{
        backfill::{CERTAIN, Range},
        computed::{Computed, Held, Rows},
        text::SqlText,
    },
    row::Value,
};

/// How often the rows of a batch are computed before those that change all the time are left.
const ROUNDS: u32 = 4;

/// Code works about so long on a batch: rows change meanwhile, and nobody is asked whether to stop.
const COMPUTING: Duration = Duration::from_secs(1);

/// Rows that code is given at least, however slow it is: it may ask others for a batch at once.
pub(super) const FEWEST: u64 = 20;

/// The next rows of a part.
struct NextRows {
    stretch: Stretch,
    /// Chance of a pending row, in [`CERTAIN`].
    share: u32,
    step: Step,
}

/// How the place moves once they are done.
enum Step {
    Visit { relation: TableName, end: u64, visit: Visit },
    To(Place),
}

/// A pending row as it was read.
struct Pending {
    key: KeyTuple,
    mark: String,
    inputs: Vec<Option<String>>,
}

/// What came of one transaction.
enum Applied {
    /// Others have the part now; nothing was written.
    Lost,
    /// The cursor stands where it stood: some rows must be computed again.
    Again { filled: u64 },
    /// The batch is done.
    Done(Batch),
}

impl Worker<'_> {
    /// Runs a batch of about so many rows, whose values code computes.
    pub(super) fn computed_batch(
        &mut self,
        code: Filler<'_>,
        rows: u64,
        tries: u32,
    ) -> Result<Ran, BackfillError> {
        let Some(mut part) = self.record.reserve(&mut self.session, &self.name)? else {
            return Ok(Ran::Nothing);
        };
        let rows = rows.min(self.code_rows);
        let started = Instant::now();
        let (next, mut pending) = self.read_next(&part.place, rows)?;
        let mut asking = started.elapsed();
        let mut known = HashMap::new();
        let (mut filled, mut recomputed) = (0, 0);
        for round in 1.. {
            let computed = self.values(code, &pending, &mut known)?;
            if round > 1 {
                recomputed += computed.anew;
            }
            let values: Vec<(&Pending, &Value)> = pending
                .iter()
                .zip(&computed.all)
                .filter_map(|(row, value)| Some((row, value.as_ref()?)))
                .collect();
            let started = Instant::now();
            let asked = Asked { rows, tries, round, filled };
            match self.apply(&mut part, &next, &values, &asked)? {
                Applied::Lost => return Ok(Ran::Nothing),
                Applied::Done(batch) => {
                    if recomputed > 0 {
                        self.shared.tell(&Event::Recomputed { rows: recomputed });
                    }
                    let statement = asking + batch.statement;
                    return Ok(Ran::Batch(Batch {
                        filled: filled + batch.filled,
                        statement,
                        ..batch
                    }));
                }
                Applied::Again { filled: some } => filled += some,
            }
            // Those that hold their value now are no longer pending.
            let keys: Vec<KeyTuple> = values.iter().map(|(row, _)| row.key.clone()).collect();
            let job = Arc::clone(&self.job);
            pending = self.pending(Rows::These(&job.key, &keys), CERTAIN, None)?;
            asking += started.elapsed();
        }
        unreachable!("the last round ends the batch")
    }

    /// Reads what is pending in the next rows of a part, of fewer ones where that is too much.
    fn read_next(
        &mut self,
        place: &Place,
        rows: u64,
    ) -> Result<(NextRows, Vec<Pending>), BackfillError> {
        let job = Arc::clone(&self.job);
        let mut size = rows.max(1);
        loop {
            let next = self.next_rows(place, size)?;
            let most = match place.task() {
                Task::Fill => rows.saturating_mul(2).saturating_add(1),
                Task::Prove => self.changeable(rows) + 1,
            };
            let most = (size > 1).then_some(most);
            let range = Rows::Within(next.stretch.range(&job));
            let pending = self.pending(range, next.share, most)?;
            if most.is_none_or(|most| (pending.len() as u64) < most) {
                return Ok((next, pending));
            }
            size = (size / 4).max(1);
        }
    }

    /// Decides which rows are next, about so many.
    fn next_rows(&mut self, place: &Place, rows: u64) -> Result<NextRows, BackfillError> {
        match place.clone() {
            Place::Windows { relation, end, window } => {
                let visit = self.next_visit(&relation, end, window, rows)?;
                let (from, to) = (visit.window.at, visit.to);
                Ok(NextRows {
                    stretch: Stretch::Pages { relation: relation.clone(), from, to },
                    share: visit.share,
                    step: Step::Visit { relation, end, visit },
                })
            }
            Place::Blocks { relation, end, at } => {
                let density = self.tuned(&relation)?.density;
                let to = (at + (rows * 1000 / density).max(1)).min(end);
                let stretch = Stretch::Pages { relation: relation.clone(), from: at, to };
                let step = Step::To(Place::Blocks { relation, end, at: to });
                Ok(NextRows { stretch, share: CERTAIN, step })
            }
            Place::Keys { task, after, last, .. } => {
                let job = Arc::clone(&self.job);
                let range = Range::Keys { key: &job.key, after: after.as_ref(), to: last.as_ref() };
                let to = self.end_of(range, rows)?;
                let upper = to.clone().or_else(|| last.clone());
                let stretch = Stretch::Keys { after: after.clone(), to: upper };
                let step = Step::To(passed_to(task, after, last, to));
                Ok(NextRows { stretch, share: CERTAIN, step })
            }
        }
    }

    fn pending(
        &mut self,
        rows: Rows<'_>,
        share: u32,
        most: Option<u64>,
    ) -> Result<Vec<Pending>, BackfillError> {
        let key = &self.job.key;
        if matches!(rows, Rows::These(_, [])) {
            return Ok(Vec::new());
        }
        let found = self.session.query(self.job.fill.read(key, rows, share, most).as_str())?;
        let read = |mut row: Vec<Option<String>>| {
            let mut rest = row.split_off(key.len().min(row.len()));
            let inputs = rest.split_off(rest.len().min(1));
            let mark = rest.pop().flatten().unwrap_or_default();
            Ok(Pending { key: self.job.tuple(row)?, mark, inputs })
        };
        found.into_iter().map(read).collect()
    }

    /// Computes the values of rows, but for those that are known as they are.
    fn values(
        &mut self,
        code: Filler<'_>,
        pending: &[Pending],
        known: &mut HashMap<(String, String), Option<Value>>,
    ) -> Result<Values, BackfillError> {
        let name = |row: &Pending| (row.key.to_string(), row.mark.clone());
        let unknown: Vec<&Pending> =
            pending.iter().filter(|row| !known.contains_key(&name(row))).collect();
        let anew = unknown.len() as u64;
        if !unknown.is_empty() {
            let inputs: Vec<&[Option<String>]> =
                unknown.iter().map(|row| row.inputs.as_slice()).collect();
            let started = Instant::now();
            let values = code.compute(&inputs).map_err(|failed| self.failed(failed, &unknown))?;
            let seconds = started.elapsed().as_secs_f64().max(1e-6);
            let fit = COMPUTING.as_secs_f64() * unknown.len() as f64 / seconds;
            self.code_rows = (fit as u64).max(FEWEST);
            known.extend(unknown.into_iter().map(name).zip(values));
        }
        let all = pending.iter().map(|row| known.get(&name(row)).cloned().flatten()).collect();
        Ok(Values { all, anew })
    }

    fn failed(&self, failed: Failed, rows: &[&Pending]) -> BackfillError {
        let column = self.record.column().clone();
        let key = |at: usize| rows.get(at).map(|row| row.describe()).unwrap_or_default();
        match failed {
            Failed::Row(at, source) => BackfillError::Input { column, key: key(at), source },
            Failed::Code(source) => BackfillError::Code { column, key: key(0), source },
            Failed::Values(values) => {
                BackfillError::Values { column, key: key(0), rows: rows.len(), values }
            }
        }
    }

    /// Writes values and, where none is missing or it is the last round, how far the part is.
    fn apply(
        &mut self,
        part: &mut Part,
        next: &NextRows,
        values: &[(&Pending, &Value)],
        asked: &Asked,
    ) -> Result<Applied, BackfillError> {
        let job = Arc::clone(&self.job);
        let backend = self.session.backend();
        let range = next.stretch.range(&job);
        let keys: Vec<KeyTuple> = values.iter().map(|(row, _)| row.key.clone()).collect();
        let these = Rows::These(&job.key, &keys);
        let rows = if asked.round == 1 { Rows::Within(range) } else { these };
        let held = match backend {
            Backend::Postgres if skips(backend, asked.tries) => Held::Skip,
            Backend::Postgres | Backend::Mysql | Backend::Sqlite => Held::Wait,
        };
        let computed: Vec<Computed<'_>> = values
            .iter()
            .map(|(row, value)| Computed { key: &row.key, mark: &row.mark, value })
            .collect();
        let product = self.session.server().product;
        let statements = job.fill.assign(product, &job.key, rows, &computed, held);
        let statements = statements.map_err(|source| BackfillError::Value {
            column: self.record.column().clone(),
            source,
        })?;
        let started = Instant::now();
        let begin = match backend {
            Backend::Postgres | Backend::Mysql => "BEGIN",
            Backend::Sqlite => "BEGIN IMMEDIATE",
        };
        self.session.batch(&joined(begin, &job.care.before))?;
        if !self.record.hold(&mut self.session, part, &self.name)? {
            self.session.batch("ROLLBACK")?;
            return Ok(Applied::Lost);
        }
        let is_proving = part.place.task() == Task::Prove;
        let mut gain = Gain::default();
        for statement in &statements {
            gain.filled += self.session.execute(statement.as_str())?;
        }
        let missed = (values.len() as u64).saturating_sub(gain.filled);
        // Without a key there is no way to find a row that moved.
        let again = missed > 0 && asked.round < ROUNDS && !job.key.is_empty();
        let filled = gain.filled;
        let mut sizes = (asked.rows.max(filled), asked.filled + filled);
        if !again {
            if is_proving {
                let counts = Counts::read(&mut self.session, &job.fill, range)?;
                (gain.rows, gain.empty) = (counts.rows, counts.empty);
                if missed > 0 && !job.key.is_empty() {
                    let left = self.session.value(job.fill.still_pending(these).as_str())?;
                    gain.differing = left.and_then(|rows| rows.parse().ok()).unwrap_or(missed);
                } else {
                    gain.differing = missed;
                }
                sizes = (counts.rows, counts.rows.max(asked.rows));
            }
            part.place = match &next.step {
                Step::To(place) => place.clone(),
                Step::Visit { relation, end, visit } => {
                    let filled = asked.filled + filled;
                    sizes = (visit.passed, filled);
                    self.end_visit(relation.clone(), *end, *visit, filled)?
                }
            };
            if is_proving && part.place.is_done() {
                sizes.1 = gain.rows;
            }
        }
        let advance = self.record.advance(part, &self.name, gain);
        let mut end = job.care.after.iter().map(SqlText::as_str).collect::<Vec<_>>();
        end.push(&advance);
        let statement = started.elapsed();
        self.committing();
        let started = Instant::now();
        self.session.batch(&format!("{}; COMMIT", end.join("; ")))?;
        if again {
            return Ok(Applied::Again { filled });
        }
        let (passed, sized) = sizes;
        let commit = started.elapsed();
        Ok(Applied::Done(Batch { filled, passed, sized, statement, commit, ..Batch::default() }))
    }
}

/// What a transaction is part of.
struct Asked {
    /// Rows of the batch, about.
    rows: u64,
    /// How often the batch was tried.
    tries: u32,
    /// How often its rows were computed, this time included.
    round: u32,
    /// Rows filled by the rounds before.
    filled: u64,
}

struct Values {
    all: Vec<Option<Value>>,
    /// How many of them were computed now.
    anew: u64,
}

impl Pending {
    /// Names the row for people.
    fn describe(&self) -> String {
        if self.key.0.is_empty() {
            // Of a mark of PostgreSQL, the place.
            return self.mark.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        self.key.describe()
    }
}
