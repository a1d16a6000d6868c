//! Fills again what a look at the table found bad, and nothing else.
//!
//! Batches are as those of the job, with the same care; only there is no record, because a repair
//! that is stopped or killed is found out by looking again.

use super::{
    Backfill, BackfillError, Event, Listener, Phase, Shared, batch,
    counts::Counts,
    job::Job,
    verify::{self, BadChunk, Verification},
    walk::{Ended, Passed, Walk},
};
use crate::{db::Session, plan::facts::Volatility, render::backfill::CERTAIN};

/// Which rows are repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Rows that are pending.
    Pending,
    /// Those, and rows whose value is not what the fill yields, whoever wrote it; where it yields
    /// NULL, the value stays.
    Differing,
}

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Pending rows that were filled.
    pub filled: u64,
    /// Rows that had another value.
    pub replaced: u64,
    /// What was found before, with the repaired chunks as they were found afterwards.
    pub now: Verification,
}

impl Backfill<'_> {
    /// Finds out whether a repair would be refused, before the long look at the table. Only asks.
    ///
    /// # Errors
    ///
    /// As [`Self::repair`].
    pub fn check_repair(&self, what: Repair, listener: &Listener<'_>) -> Result<(), BackfillError> {
        self.ready_to_repair(what, &Shared::new(listener, None)).map(drop)
    }

    /// `None` where whoever listens wants to stop.
    fn ready_to_repair(
        &self,
        what: Repair,
        shared: &Shared<'_>,
    ) -> Result<Option<(Job, Session)>, BackfillError> {
        let mut session = Session::open_direct(self.url, &self.open)?;
        session.must_write()?;
        let job = self.patiently(&mut session, shared, |session| {
            Job::read(self.contract, session, &self.settings, None)
        })?;
        let Some(job) = job else { return Ok(None) };
        if what == Repair::Differing && job.fill.volatility != Volatility::Immutable {
            return Err(BackfillError::NotComparable { column: self.contract.path().clone() });
        }
        Ok(Some((job, session)))
    }

    /// Fills the bad chunks that [`Self::verify`] found, and looks at them again.
    ///
    /// # Errors
    ///
    /// As [`Self::run`]; and for [`Repair::Differing`] where the fill cannot be asked again.
    pub fn repair(
        &self,
        found: &Verification,
        what: Repair,
        listener: &Listener<'_>,
    ) -> Result<Repaired, BackfillError> {
        let shared = Shared::new(listener, None);
        let mut repaired = Repaired { filled: 0, replaced: 0, now: found.clone() };
        let Some((job, session)) = self.ready_to_repair(what, &shared)? else {
            repaired.now.is_whole = false;
            return Ok(repaired);
        };
        let wanted = |chunk: &BadChunk| match what {
            Repair::Pending => chunk.pending > 0,
            Repair::Differing => chunk.pending > 0 || chunk.differing > 0,
        };
        let (bad, others): (Vec<_>, Vec<_>) = found.bad.iter().cloned().partition(wanted);
        if bad.is_empty() {
            return Ok(repaired);
        }
        shared.tell(&Event::Began {
            rows: Some(bad.iter().map(|chunk| chunk.rows).sum()),
            resumed: None,
            notices: job.care.notices.clone(),
        });
        shared.tell(&Event::Pass { phase: Phase::Filling, pass: 2 });
        let mut walk = Walk::new(&job, session, &self.settings, &shared)?;
        for chunk in &bad {
            if change(&mut walk, chunk, what, &mut repaired)? == Ended::Stopped {
                repaired.now.is_whole = false;
                return Ok(repaired);
            }
        }
        shared.tell(&Event::Pass { phase: Phase::Proving, pass: 3 });
        let mut walk = Walk::new(&job, self.reading_session()?, &self.settings, &shared)?;
        repaired.now.bad = others;
        for chunk in &bad {
            repaired.now.subtract(chunk);
            if verify::look(&mut walk, &chunk.chunk, &mut repaired.now)? == Ended::Stopped {
                repaired.now.is_whole = false;
                break;
            }
        }
        Ok(repaired)
    }
}

fn change(
    walk: &mut Walk<'_>,
    chunk: &BadChunk,
    what: Repair,
    repaired: &mut Repaired,
) -> Result<Ended, BackfillError> {
    let job = walk.job;
    walk.through(
        &chunk.chunk,
        |session, piece, tries| {
            let range = piece.range(job);
            let Counts { rows, pending, differing, .. } = Counts::read(session, &job.fill, range)?;
            let mut done = Done::default();
            if pending > 0 {
                // Rows that others hold for long are left out; the look afterwards finds them.
                done.filled = batch::update(session, job, range, CERTAIN, tries)?;
            }
            if what == Repair::Differing && differing > pending {
                done.replaced = session.execute(job.fill.recompute(range).as_str())?;
            }
            Ok((Passed { rows, changed: done.filled + done.replaced }, done))
        },
        |done| {
            repaired.filled += done.filled;
            repaired.replaced += done.replaced;
        },
    )
}

/// What was done in a piece.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    filled: u64,
    replaced: u64,
}
