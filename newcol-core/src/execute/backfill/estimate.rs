//! What a job may take and write, judged from the table's size: nothing is changed to find out.

use super::{
    blame::is_of_a_row,
    job::{Job, Route},
    place::Window,
    sample::Sample,
    tune::VISITS,
};
use crate::{
    backend::Backend,
    db::{DbError, Session},
};

/// Rows per second that servers fill, slow and fast, at the default pace: half the time is rest.
const SLOW: u64 = 5_000;
const FAST: u64 = 100_000;

/// What a job may take and write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Rows of the table, as the server estimates them.
    pub rows: Option<u64>,
    /// Bytes of the table.
    pub table: Option<u64>,
    /// Bytes by which it grows.
    pub grown: Option<u64>,
    /// Bytes of the server's log.
    pub log: Option<u64>,
    /// Seconds at the default pace, least and most.
    pub seconds: Option<(u64, u64)>,
}

impl Estimate {
    pub(super) fn of(job: &Job, session: &mut Session) -> Result<Self, DbError> {
        let rows = job.plan.facts.rows;
        let seconds = |rows| (rows / FAST, rows / SLOW + 1);
        let nothing =
            Self { rows, table: None, grown: None, log: None, seconds: rows.map(seconds) };
        let Route::Blocks(relations) = &job.route else { return Ok(nothing) };
        let Some(largest) = relations.iter().max_by_key(|relation| relation.blocks) else {
            return Ok(nothing);
        };
        if job.fill.backend != Backend::Postgres || largest.blocks == 0 {
            return Ok(nothing);
        }
        let sample = match Sample::read(job, session, &largest.name) {
            // An expression that fails for some row is the run's to report, which finds the row.
            Err(error) if error.failure().is_some_and(is_of_a_row) => {
                Sample::count(job, session, &largest.name)?
            }
            sample => sample?,
        };
        let (size, added) = (sample.row(), sample.added);
        let blocks: u64 = relations.iter().map(|relation| relation.blocks).sum();
        let tuner = sample.tuner();
        let window: Window = tuner.window(0, 1, 0);
        // The first visit's rows move to other pages; the rest stay.
        let moved = if window.visits == VISITS { window.part(0) } else { 1.0 };
        let rows = rows.unwrap_or(blocks * sample.rows / sample.blocks);
        // A record in the log has some 75 bytes besides the values; a row that moves is written
        // whole, with an entry in every index; and a page that a checkpoint saw is logged whole.
        let stays = 75.0 + added as f64;
        let moves = (75 + size + added) as f64 + 75.0;
        let per_row = (1.0 - moved) * stays + moved * moves + size as f64;
        let table = blocks * 8192;
        Ok(Self {
            rows: Some(rows),
            table: Some(table),
            grown: Some((table as f64 * moved * f64::from(window.growth) / 1000.0) as u64),
            log: Some((rows as f64 * per_row) as u64),
            seconds: Some(seconds(rows)),
        })
    }
}
