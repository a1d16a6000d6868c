//! Compares the column with what its fill yields, row by row, and changes nothing.
//!
//! Each piece of the table is read in a transaction of its own that is read-only and short, so no
//! snapshot is held. What moves meanwhile may be missed or met twice: the counts are of a table
//! that is in use, and NOT NULL is what proves that no row is empty.

use super::{
    Backfill, BackfillError, Event, Listener, Phase, Receipt, Settings, Shared,
    chunk::Chunk,
    counts::Counts,
    job::Job,
    record::Record,
    start,
    walk::{Ended, Passed, Walk},
};
use crate::{
    contract::{Contract, OldRows},
    db::{Access, DbError, OpenOptions, Session},
    keys::KeyColumn,
    plan::facts::Volatility,
    render::backfill::{Range, Which},
};

/// Rows that are named in a chunk, of each kind.
const NAMED: usize = 5;

/// What a walk through the table found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Rows of the table.
    pub rows: u64,
    /// Of those, NULL.
    pub empty: u64,
    /// Of those, NULL though the fill yields a value; where it cannot be asked again, all of them.
    pub pending: u64,
    /// Rows with a value that is not what the fill yields: written by programs that know the
    /// column, or computed from values that changed since. `None` where it cannot be asked again.
    pub differing: Option<u64>,
    /// Where rows lack their value or have another one; what lies side by side is one chunk.
    pub bad: Vec<BadChunk>,
    /// What the backfill's record says.
    pub recorded: Recorded,
    /// Whether the finished column is NOT NULL.
    pub is_required: bool,
    /// Whether it went through the whole table, as opposed to being stopped.
    pub is_whole: bool,
}

/// Rows that lie side by side, some of which lack their value or have another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadChunk {
    pub(super) chunk: Chunk,
    /// Its rows.
    pub rows: u64,
    /// Of those, NULL.
    pub empty: u64,
    /// Of those, NULL though the fill yields a value.
    pub pending: u64,
    /// Rows with a value that is not what the fill yields.
    pub differing: u64,
    /// The first rows that lack their value, by key.
    pub lacking_keys: Vec<String>,
    /// The first rows with another value, by key.
    pub differing_keys: Vec<String>,
}

/// What the record of the backfill says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// No backfill was begun, or none of which this role can see the record.
    Nothing,
    /// One was begun and is not done.
    Unfinished(Phase),
    /// One was done.
    Done(Receipt),
    /// One was begun with another type or another fill than the contract has now.
    Other,
    /// By a version whose record this one cannot read.
    Newer {
        /// The other version.
        made_by: String,
    },
}

impl Recorded {
    /// Reads what the record says of a contract's backfill. Only asks.
    pub fn read(contract: &Contract, session: &mut Session) -> Result<Self, BackfillError> {
        recorded(&Job::read_only(contract, session, &Settings::default())?, session)
    }
}

impl Verification {
    /// Reports whether every row has the value it should have; NULL is one where the column is
    /// optional and the fill yields it.
    pub fn is_filled(&self) -> bool {
        self.lacking() == 0
    }

    /// Returns how many rows lack their value: those that are pending, and in a required column
    /// those that the fill has nothing for.
    pub fn lacking(&self) -> u64 {
        if self.is_required { self.empty } else { self.pending }
    }

    /// Returns whether what the receipt says is still so: no row lacks its value. `None` where
    /// there is no receipt, or not the whole table was looked at.
    pub fn receipt_holds(&self) -> Option<bool> {
        match self.recorded {
            Recorded::Done(_) if self.is_whole || !self.is_filled() => Some(self.is_filled()),
            Recorded::Done(_)
            | Recorded::Nothing
            | Recorded::Unfinished(_)
            | Recorded::Other
            | Recorded::Newer { .. } => None,
        }
    }

    fn nothing(job: &Job, recorded: Recorded) -> Self {
        let comparable = job.fill.volatility == Volatility::Immutable;
        Self {
            differing: comparable.then_some(0),
            recorded,
            is_whole: true,
            ..Self::unseen(&job.plan.contract)
        }
    }

    /// What is known where nothing was looked at.
    fn unseen(contract: &Contract) -> Self {
        Self {
            rows: 0,
            empty: 0,
            pending: 0,
            differing: None,
            bad: Vec::new(),
            recorded: Recorded::Nothing,
            is_required: contract.required(),
            is_whole: false,
        }
    }

    /// Adds what a piece has.
    pub(super) fn add(&mut self, piece: BadChunk) {
        self.rows += piece.rows;
        self.empty += piece.empty;
        self.pending += piece.pending;
        if let Some(differing) = &mut self.differing {
            *differing += piece.differing;
        }
        if !piece.is_bad(self.is_required) {
            return;
        }
        if let Some(last) = self.bad.last_mut()
            && last.is_like(&piece, self.is_required)
            && last.chunk.append(&piece.chunk)
        {
            last.absorb(piece);
        } else {
            self.bad.push(piece);
        }
    }

    /// Takes back what a chunk had, because it was looked at again.
    pub(super) fn subtract(&mut self, chunk: &BadChunk) {
        self.rows = self.rows.saturating_sub(chunk.rows);
        self.empty = self.empty.saturating_sub(chunk.empty);
        self.pending = self.pending.saturating_sub(chunk.pending);
        if let Some(differing) = &mut self.differing {
            *differing = differing.saturating_sub(chunk.differing);
        }
    }
}

impl BadChunk {
    /// Says where it is, for people.
    pub fn place(&self) -> String {
        self.chunk.describe()
    }

    /// Returns how many of its rows lack their value.
    pub fn lacking(&self, is_required: bool) -> u64 {
        if is_required { self.empty } else { self.pending }
    }

    fn is_bad(&self, is_required: bool) -> bool {
        self.lacking(is_required) > 0 || self.differing > 0
    }

    /// Only what has the same kinds of rows is put together, so that a repair of one kind passes
    /// over chunks that have none of it.
    fn is_like(&self, other: &Self, is_required: bool) -> bool {
        let kinds =
            |chunk: &Self| (chunk.lacking(is_required) > 0, chunk.pending > 0, chunk.differing > 0);
        kinds(self) == kinds(other)
    }

    fn absorb(&mut self, next: Self) {
        let Self { chunk: _, rows, empty, pending, differing, lacking_keys, differing_keys } = next;
        self.rows += rows;
        self.empty += empty;
        self.pending += pending;
        self.differing += differing;
        self.lacking_keys.extend(lacking_keys);
        self.lacking_keys.truncate(NAMED);
        self.differing_keys.extend(differing_keys);
        self.differing_keys.truncate(NAMED);
    }
}

impl Backfill<'_> {
    /// Looks at every row and compares it with what the fill yields. Only asks, in a session that
    /// the server keeps from writing; needs no right but to read the table.
    ///
    /// Of fills that are not immutable, and of those in Rust, only NULL can be found.
    ///
    /// # Errors
    ///
    /// When the table cannot be read, or a policy hides rows of it from this role.
    pub fn verify(&self, listener: &Listener<'_>) -> Result<Verification, BackfillError> {
        let mut session = self.reading_session()?;
        let shared = Shared::new(listener, None);
        let begun = self.patiently(&mut session, &shared, |session| {
            let job = Job::read_only(self.contract, session, &self.settings)?;
            let recorded = recorded(&job, session)?;
            let last = start::last(&job, session)?;
            Ok((job, recorded, last))
        })?;
        let Some((job, recorded, last)) = begun else {
            return Ok(Verification::unseen(self.contract));
        };
        shared.tell(&Event::Began {
            rows: job.plan.facts.rows,
            resumed: None,
            notices: notices(&job),
        });
        shared.tell(&Event::Pass { phase: Phase::Proving, pass: 1 });
        let mut found = Verification::nothing(&job, recorded);
        let chunks = Chunk::whole(&job.route, last);
        let mut walk = Walk::new(&job, session, &self.settings, &shared)?;
        for chunk in &chunks {
            if look(&mut walk, chunk, &mut found)? == Ended::Stopped {
                found.is_whole = false;
                break;
            }
        }
        Ok(found)
    }

    pub(super) fn reading_session(&self) -> Result<Session, DbError> {
        Session::open_direct(self.url, &OpenOptions { access: Access::Read, ..self.open.clone() })
    }
}

/// Looks at a chunk and adds what it has to what was found.
pub(super) fn look(
    walk: &mut Walk<'_>,
    chunk: &Chunk,
    found: &mut Verification,
) -> Result<Ended, BackfillError> {
    let job = walk.job;
    walk.through(
        chunk,
        |session, piece, _tries| {
            let seen = seen(session, job, piece)?;
            Ok((Passed { rows: seen.rows, changed: 0 }, seen))
        },
        |seen| found.add(seen),
    )
}

/// Counts a piece, and names the first rows of it that are not as they should be.
fn seen(session: &mut Session, job: &Job, piece: &Chunk) -> Result<BadChunk, DbError> {
    let range = piece.range(job);
    let Counts { rows, empty, pending, differing } = Counts::read(session, &job.fill, range)?;
    let mut seen = BadChunk {
        chunk: piece.clone(),
        rows,
        empty,
        pending,
        // Pending rows differ, too.
        differing: differing.saturating_sub(pending),
        lacking_keys: Vec::new(),
        differing_keys: Vec::new(),
    };
    let is_required = job.plan.contract.required();
    let which = if is_required { Which::Empty } else { Which::Pending };
    if seen.lacking(is_required) > 0 {
        seen.lacking_keys = named(session, job, range, which)?;
    }
    if seen.differing > 0 {
        seen.differing_keys = named(session, job, range, Which::Differing)?;
    }
    Ok(seen)
}

fn named(
    session: &mut Session,
    job: &Job,
    range: Range<'_>,
    which: Which,
) -> Result<Vec<String>, DbError> {
    let key: &[KeyColumn] = &job.key;
    let rows = session.query(job.fill.rows(range, which, key, NAMED as u64).as_str())?;
    let text = |row: Vec<Option<String>>| {
        let values: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
        values.join(", ")
    };
    Ok(rows.into_iter().map(text).collect())
}

/// Reads what the record says; a role that may not read it sees none.
fn recorded(job: &Job, session: &mut Session) -> Result<Recorded, BackfillError> {
    let record = Record::new(job.fill.backend, job.plan.contract.path());
    let found = match record.read(session) {
        Ok(found) => found,
        Err(BackfillError::Database(error)) if error.is_denied() => None,
        Err(BackfillError::TooNew { made_by, .. }) => return Ok(Recorded::Newer { made_by }),
        Err(error) => return Err(error),
    };
    let Some(found) = found else { return Ok(Recorded::Nothing) };
    let is_sql = !matches!(job.plan.contract.answers().old_rows, OldRows::Rust(_));
    if is_sql && found.job != job.fingerprint() {
        return Ok(Recorded::Other);
    }
    let receipt = found.receipt.and_then(|receipt| receipt.parse().ok());
    Ok(match (found.phase, receipt) {
        (Phase::Done, Some(receipt)) => Recorded::Done(receipt),
        (phase, _) => Recorded::Unfinished(phase),
    })
}

/// Says what cannot be found out.
fn notices(job: &Job) -> Vec<String> {
    let only_null = "only NULL can be found, not a wrong value";
    let notice = match (&job.plan.contract.answers().old_rows, job.fill.volatility) {
        (OldRows::Rust(path), _) => {
            format!("`{path}` fills the column, which only the application can run: {only_null}")
        }
        (OldRows::Sql(_) | OldRows::Unfilled, Volatility::Immutable) => return Vec::new(),
        (OldRows::Sql(_) | OldRows::Unfilled, Volatility::Stable) => {
            format!("the fill may yield another value at another time: {only_null}")
        }
        (OldRows::Sql(_) | OldRows::Unfilled, Volatility::Volatile) => {
            format!("the fill yields another value each time: {only_null}")
        }
        (OldRows::Sql(_) | OldRows::Unfilled, Volatility::Unknown) => {
            format!("nobody knows whether the fill yields the same value each time: {only_null}")
        }
    };
    vec![notice]
}
