//! What happened between two snapshots, statement by statement.

use std::fmt;

/// The server's number of a normalised statement (`pg_stat_statements.queryid`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub i64);

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a statement uses the column, from what an index could gain to what cannot see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `WHERE`, `HAVING`: an index may serve it.
    Filter,
    /// The condition of a join.
    Join,
    /// `ORDER BY`, `GROUP BY`, `DISTINCT`.
    Order,
    /// `SET column = …`: pays for the index.
    Assigned,
    /// In the column list of an `INSERT`: pays for the index.
    Inserted,
    /// In a select list or `RETURNING` only: reads wider rows, gains nothing from an index.
    Projected,
    /// `*`, a whole row or `COPY`.
    Star,
    /// Writes the table without naming the column: may pay for the index.
    Writes,
    /// Provably does not touch the column.
    Control,
    /// Not to be told.
    Unknown,
}

/// Counters of one statement between two snapshots.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Seconds since the epoch, by the server's clock.
    pub from: f64,
    /// Seconds since the epoch, by the server's clock.
    pub to: f64,
    /// Executions.
    pub calls: u64,
    /// Their times together.
    pub total_ms: f64,
    /// Of one execution, in this window; `None` where the server does not say it.
    pub sd_ms: Option<f64>,
    /// Rows returned or changed.
    pub rows: u64,
    /// Shared blocks hit and read.
    pub blocks: u64,
    /// Bytes of log written; `None` where the server does not say it.
    pub wal_bytes: Option<u64>,
}

impl Window {
    /// Returns the mean time of one execution; `None` without calls.
    pub fn mean_ms(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.total_ms / self.calls as f64)
    }
}

/// One statement over time; windows are in order and do not overlap, but may have gaps.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Whose series it is.
    pub id: QueryId,
    /// How the statement uses the column.
    pub role: Role,
    /// What happened, window by window.
    pub windows: Vec<Window>,
}
