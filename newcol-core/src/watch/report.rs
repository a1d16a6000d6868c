//! What a file of the watch says: each statement before and after the column, table, indexes, and what
//! watching has cost. Judges nothing.

mod intervals;
mod lines;
mod measured;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use self::intervals::{Interval, intervals_of};
use self::{
    intervals::{Side, intervals},
    lines::lines,
    measured::{Measures, indexes, judged, percentiles, table_points, table_use},
};
use super::{
    attribution::{Attributed, Attribution, attribute},
    identity::Gap,
    involve::Layer,
    series::{QueryId, Role, Window},
    store::{Measured, Store, StoreError, Stored, StoredGap},
};
use crate::ident::TableName;

/// In the name of what is measured of a statement.
pub(super) const STATEMENT: &str = "statement ";

/// What statements touch, where the server counts it.
pub const BLOCKS: &str = "blocks";

/// What MariaDB counts instead.
const EXAMINED: &str = "rows examined";

/// All that is known of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How many snapshots there are.
    pub snapshots: usize,
    /// When the first and the last one were taken, by the server's clock.
    pub span: (f64, f64),
    /// When the column was last seen not to be there; `None` where it was always there.
    pub absent_until: Option<f64>,
    /// When the column was first seen; `None` while it is not there.
    pub present_since: Option<f64>,
    /// Seconds that windows cover, before and after.
    pub covered: (f64, f64),
    /// Statements on the table, and those whose text is not known.
    pub lines: Vec<Line>,
    /// How many statements of other tables are kept to compare with.
    pub controls: usize,
    /// The table before and after.
    pub table: (TableUse, TableUse),
    /// The table over time.
    pub table_points: Vec<TablePoint>,
    /// Its indexes.
    pub indexes: Vec<IndexUse>,
    /// The index of the column that is judged, by its name, and who used it; `None` while there is none.
    pub used: Option<(String, Attribution)>,
    /// What stands between snapshots.
    pub gaps: Vec<GapLine>,
    /// What watching has cost.
    pub own: OwnCost,
    /// Statements whose number the role could not see, at the last snapshot.
    pub hidden: u64,
    /// What the blocks of statements stand for: those of PostgreSQL, or rows that MariaDB has looked
    /// at.
    pub touched: &'static str,
    /// Whether the last snapshot had statistics of statements.
    pub has_statements: bool,
}

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its number.
    pub id: QueryId,
    /// Its text.
    pub text: Option<String>,
    /// How it uses the column, above all.
    pub role: Role,
    /// Every use.
    pub uses: BTreeSet<Role>,
    /// Which evidence decided.
    pub layer: Layer,
    /// What more there is to say.
    pub why: Option<String>,
    /// Whether it is on the table.
    pub on_table: bool,
    /// Whether it was there before the column.
    pub is_of_old: bool,
    /// What it did before the column came.
    pub before: Option<Spell>,
    /// Whether `before` is what the server had counted before the first snapshot.
    pub is_history: bool,
    /// What it did since.
    pub after: Option<Spell>,
    /// How long half of its executions took at most, 95 and 99 of 100, where the application measures
    /// it (since its process began) or MySQL has histograms (since it began to count).
    pub percentiles: Option<[f64; 3]>,
    /// Statements of old that differ from it only in the column's place in lists.
    pub heirs_of: Vec<QueryId>,
}

/// What a statement did in some time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spell {
    /// How long was looked.
    pub seconds: f64,
    /// Executions.
    pub calls: u64,
    /// Time of one.
    pub mean_ms: f64,
    /// Its standard deviation.
    pub sd_ms: Option<f64>,
    /// Rows returned or changed.
    pub rows: u64,
    /// Shared blocks hit and read.
    pub blocks: u64,
    /// Bytes of log.
    pub wal_bytes: Option<u64>,
}

/// What happened to the table in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TableUse {
    /// Rows inserted.
    pub inserted: Option<f64>,
    /// Rows updated.
    pub updated: Option<f64>,
    /// Of these, those that no index had to hear of.
    pub hot: Option<f64>,
    /// Rows changed in any way, and entries of indexes with them (MariaDB's `userstat`).
    pub changed: Option<(f64, f64)>,
}

/// The table between two snapshots.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TablePoint {
    /// Seconds since the epoch.
    pub at: f64,
    /// Share of updates that stayed on their page; no number without updates.
    pub hot: f64,
    /// Dead rows.
    pub dead: f64,
}

/// One index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexUse {
    /// Its name.
    pub name: String,
    /// Whether it holds the column.
    pub has_column: bool,
    /// Whether the column comes first in it.
    pub leads: bool,
    /// Whether it is whole and used.
    pub is_valid: bool,
    /// Whether it refuses duplicates.
    pub is_unique: bool,
    /// Whether statements may not use it.
    pub is_ignored: bool,
    /// The word by which the server does without it: `IGNORED` on MariaDB, `INVISIBLE` on MySQL.
    pub off: Option<&'static str>,
    /// How many statements of the application have it in their plan, where plans were asked for.
    pub plans: Option<f64>,
    /// Rows that were read through it since the column came, where scans are not counted.
    pub rows_read: Option<f64>,
    /// Its size; `None` where a lock stood in the way.
    pub bytes: Option<f64>,
    /// Scans that were counted since the column came.
    pub scans: Option<f64>,
}

/// One gap.
#[derive(Debug, Clone, PartialEq)]
pub struct GapLine {
    /// From the snapshot before to the one after.
    pub span: (f64, f64),
    /// The statement, if it is of one alone.
    pub statement: Option<QueryId>,
    /// Why nothing can be said.
    pub gap: Gap,
}

/// What watching has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OwnCost {
    /// Time that the server worked for snapshots, as seen from here: more than it has.
    pub busy_ms: f64,
    /// Time between the first and the last snapshot.
    pub seconds: f64,
    /// Time that the server counted for our statements.
    pub own_ms: f64,
    /// The same of all statements.
    pub all_ms: f64,
}

impl OwnCost {
    /// Returns our share of the time of all statements.
    pub fn share(&self) -> Option<f64> {
        (self.all_ms > 0.0).then(|| self.own_ms / self.all_ms)
    }
}

impl Spell {
    /// Returns how often it ran in an hour.
    pub fn per_hour(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.calls as f64 * 3600.0 / self.seconds)
    }

    /// Returns blocks for one execution.
    pub fn blocks_per_call(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.blocks as f64 / self.calls as f64)
    }

    /// Returns bytes of log for one row.
    pub fn wal_per_row(&self) -> Option<f64> {
        let bytes = self.wal_bytes?;
        (self.rows > 0 && bytes > 0).then(|| bytes as f64 / self.rows as f64)
    }
}

impl IndexUse {
    /// Returns what has the server do without an index of the column, for people to run before they
    /// drop it; `None` where the server has no such thing, or the index is needed.
    pub fn trial(&self, table: &TableName) -> Option<String> {
        let off = self.off.filter(|_| self.has_column && !self.is_unique && !self.is_ignored);
        off.map(|off| {
            let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
            let (table, index) = (quoted(table.name.as_str()), quoted(&self.name));
            format!("ALTER TABLE {table} ALTER INDEX {index} {off}")
        })
    }
}

impl TableUse {
    /// Returns how many entries of indexes were written with a row.
    pub fn entries_per_row(&self) -> Option<f64> {
        self.changed.filter(|(rows, _)| *rows > 0.0).map(|(rows, entries)| entries / rows)
    }

    /// Returns the share of updates that no index had to hear of.
    pub fn hot_share(&self) -> Option<f64> {
        self.hot.zip(self.updated).filter(|(_, all)| *all > 0.0).map(|(hot, all)| hot / all)
    }
}

impl Report {
    /// Returns the index of the column that is judged.
    pub fn judged_index(&self) -> Option<&IndexUse> {
        judged(&self.indexes)
    }

    /// Returns what a statement's plan says of that index.
    pub fn attributed(&self, id: QueryId) -> Option<&Attributed> {
        self.used.as_ref()?.1.statements.iter().find(|one| one.id == id)
    }
}

impl Report {
    /// Reads a file; `None` where it has no snapshot.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn of(store: &mut Store) -> Result<Option<Self>, StoreError> {
        let all = store.snapshots()?;
        let (Some(first), Some(last)) = (all.first(), all.last()) else { return Ok(None) };
        let snapshots: Vec<&Stored> = all.iter().filter(|s| s.epoch == last.epoch).collect();
        let gaps = store.gaps()?;
        let intervals = intervals(&snapshots, &gaps);
        let seconds = |side: Side| {
            intervals.iter().filter(|i| i.side == Some(side)).map(Interval::seconds).sum()
        };
        let covered = (seconds(Side::Before), seconds(Side::After));
        let current = last.identity.column;
        let is_absent = |s: &&&Stored| current.is_none() || s.identity.column != current;
        let measured = store.measures()?;
        let measures: Measures<'_> = measured
            .iter()
            .map(|Measured { snapshot, measure }| {
                ((*snapshot, measure.object.as_str(), measure.name.as_str()), measure.value)
            })
            .collect();
        let indexes = indexes(&measures, &intervals, last.id, &store.column_indexes()?);
        let used = match judged(&indexes) {
            Some(index) => attribute(store, &index.name)?.map(|used| (index.name.clone(), used)),
            None => None,
        };
        let windows: BTreeMap<QueryId, Vec<Window>> =
            store.series()?.into_iter().map(|series| (series.id, series.windows)).collect();
        let statements = store.statements()?;
        let mut lines = lines(&statements, &windows, &intervals, &gaps);
        for line in &mut lines {
            line.percentiles = percentiles(&measures, line.id, last.id);
        }
        let own = snapshots.windows(2).zip(&intervals).filter(|(_, interval)| interval.is_whole);
        let mut cost = OwnCost {
            busy_ms: snapshots.iter().map(|s| s.busy_ms).sum(),
            seconds: last.taken.server - first.taken.server,
            ..OwnCost::default()
        };
        for (two, _) in own {
            cost.own_ms += (two[1].own_ms - two[0].own_ms).max(0.0);
            cost.all_ms += (two[1].all_ms - two[0].all_ms).max(0.0);
        }
        let at = |id: i64| all.iter().find(|s| s.id == id).map(|s| s.taken.server);
        let gap_line = |found: &StoredGap| {
            let to = at(found.snapshot)?;
            let from = at(found.snapshot - 1).unwrap_or(to);
            Some(GapLine { span: (from, to), statement: found.statement, gap: found.gap.clone() })
        };
        Ok(Some(Self {
            snapshots: all.len(),
            span: (first.taken.server, last.taken.server),
            absent_until: snapshots.iter().rfind(is_absent).map(|s| s.taken.server),
            present_since: snapshots
                .iter()
                .find(|s| current.is_some() && s.identity.column == current)
                .map(|s| s.taken.server),
            covered,
            controls: statements.len() - lines.len(),
            table: (
                table_use(&measures, &intervals, Side::Before),
                table_use(&measures, &intervals, Side::After),
            ),
            table_points: table_points(&measures, &intervals),
            indexes,
            used,
            gaps: gaps.iter().filter_map(gap_line).collect(),
            own: cost,
            hidden: last.hidden,
            touched: if last.identity.has_digests() || last.identity.is_measured() {
                EXAMINED
            } else {
                BLOCKS
            },
            has_statements: last.has_statements,
            lines,
        }))
    }
}
