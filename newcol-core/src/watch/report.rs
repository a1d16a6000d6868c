//! What a file of the watch says: each statement before and after the column, table, indexes, and what
//! watching has cost. Judges nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    attribution::{Attributed, Attribution, attribute},
    identity::Gap,
    index::Index,
    involve::Layer,
    moments::Moments,
    series::{QueryId, Role, Window},
    store::{Measured, Statement, Store, StoreError, Stored, StoredGap},
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
    /// it: since its process began.
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
    /// Whether statements may not use it (`IGNORED`).
    pub is_ignored: bool,
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
        let of_mariadb = self.rows_read.is_some() && self.has_column;
        (of_mariadb && !self.is_unique && !self.is_ignored).then(|| {
            let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
            let (table, index) = (quoted(table.name.as_str()), quoted(&self.name));
            format!("ALTER TABLE {table} ALTER INDEX {index} IGNORED")
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

/// Before the column came, since it is there, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
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

/// Returns the times between the snapshots of the last epoch.
pub(super) fn intervals_of(store: &mut Store) -> Result<Vec<Interval>, StoreError> {
    let all = store.snapshots()?;
    let Some(last) = all.last() else { return Ok(Vec::new()) };
    let snapshots: Vec<&Stored> = all.iter().filter(|s| s.epoch == last.epoch).collect();
    Ok(intervals(&snapshots, &store.gaps()?))
}

/// The time between two snapshots.
#[derive(Debug)]
pub(super) struct Interval {
    /// Numbers of the two snapshots.
    pub(super) ends: (i64, i64),
    pub(super) span: (f64, f64),
    /// `None` where the column came in it, or nothing can be said of it.
    side: Option<Side>,
    /// Whether something can be said of it.
    is_whole: bool,
}

impl Interval {
    pub(super) fn seconds(&self) -> f64 {
        self.span.1 - self.span.0
    }

    /// Reports whether the column was there all the time, and something can be said of it.
    pub(super) fn is_after(&self) -> bool {
        self.side == Some(Side::After)
    }
}

fn intervals(snapshots: &[&Stored], gaps: &[StoredGap]) -> Vec<Interval> {
    let current = snapshots.last().and_then(|last| last.identity.column);
    let interval = |two: &[&Stored]| {
        let [from, to] = two else { return None };
        let is_hidden = gaps.iter().any(|found| {
            found.snapshot == to.id && found.statement.is_none() && found.gap.hides_all()
        });
        let is_whole = from.has_statements && to.has_statements && !is_hidden;
        let is_there = |s: &Stored| current.is_some() && s.identity.column == current;
        let side = match (is_there(from), is_there(to)) {
            (false, false) => Some(Side::Before),
            (true, true) => Some(Side::After),
            _ => None,
        };
        Some(Interval {
            ends: (from.id, to.id),
            span: (from.taken.server, to.taken.server),
            side: side.filter(|_| is_whole),
            is_whole,
        })
    };
    snapshots.windows(2).filter_map(interval).collect()
}

fn lines(
    statements: &[Statement],
    windows: &BTreeMap<QueryId, Vec<Window>>,
    intervals: &[Interval],
    gaps: &[StoredGap],
) -> Vec<Line> {
    let of_interest =
        |s: &&Statement| s.involvement.as_ref().is_none_or(|involvement| involvement.on_table);
    let mut heirs: BTreeMap<&str, Vec<QueryId>> = BTreeMap::new();
    for statement in statements.iter().filter(of_interest).filter(|s| s.is_of_old) {
        if let Some(lineage) = &statement.lineage {
            heirs.entry(lineage).or_default().push(statement.id);
        }
    }
    let line = |statement: &Statement| {
        let own = windows.get(&statement.id).map(Vec::as_slice).unwrap_or_default();
        let missing: BTreeSet<i64> = gaps
            .iter()
            .filter(|found| found.statement == Some(statement.id))
            .map(|found| found.snapshot)
            .collect();
        let spell = |side| spell(own, intervals, &missing, side);
        let mut before = spell(Side::Before);
        let history = Some(&statement.history).filter(|h| statement.is_of_old && h.calls > 0);
        let is_history = before.is_none() && history.is_some();
        if let Some(history) = history.filter(|_| is_history) {
            before = Some(Spell {
                seconds: history.to - history.from,
                calls: history.calls,
                mean_ms: history.mean_ms().unwrap_or_default(),
                sd_ms: history.sd_ms,
                rows: history.rows,
                blocks: history.blocks,
                wal_bytes: history.wal_bytes,
            });
        }
        let involvement = statement.involvement.as_ref();
        let heirs_of = statement.lineage.as_deref().filter(|_| !statement.is_of_old);
        Line {
            id: statement.id,
            text: statement.text.clone(),
            role: involvement.map_or(Role::Unknown, |i| i.role()),
            uses: involvement.map(|i| i.uses.clone()).unwrap_or_default(),
            layer: involvement.map_or(Layer::Nothing, |i| i.layer),
            why: involvement.and_then(|i| i.why.clone()),
            on_table: involvement.is_some_and(|i| i.on_table),
            is_of_old: statement.is_of_old,
            before,
            is_history,
            after: spell(Side::After),
            percentiles: None,
            heirs_of: heirs_of.and_then(|own| heirs.get(own)).cloned().unwrap_or_default(),
        }
    };
    let mut lines: Vec<Line> = statements.iter().filter(of_interest).map(line).collect();
    let time = |line: &Line| {
        let all = [line.after, line.before].into_iter().flatten();
        all.map(|spell| spell.calls as f64 * spell.mean_ms).sum::<f64>()
    };
    lines.sort_by(|a, b| a.role.cmp(&b.role).then(time(b).total_cmp(&time(a))));
    lines
}

/// Adds up what a statement did on one side; `None` where it was not seen there.
fn spell(
    windows: &[Window],
    intervals: &[Interval],
    missing: &BTreeSet<i64>,
    side: Side,
) -> Option<Spell> {
    let mut all: Option<(Moments, u64, u64, Option<u64>)> = None;
    let mut seconds = 0.0;
    for interval in intervals.iter().filter(|interval| interval.side == Some(side)) {
        if missing.contains(&interval.ends.1) {
            continue;
        }
        seconds += interval.seconds();
        let near = |window: &&Window| (window.to - interval.span.1).abs() < 1e-3;
        let Some(window) = windows.iter().find(near) else { continue };
        let Some(mean_ms) = window.mean_ms() else { continue };
        let moments = Moments { calls: window.calls, mean_ms, sd_ms: window.sd_ms };
        all = Some(match all {
            None => (moments, window.rows, window.blocks, window.wal_bytes),
            Some((so_far, rows, blocks, wal)) => (
                so_far.merge(moments),
                rows + window.rows,
                blocks + window.blocks,
                wal.zip(window.wal_bytes).map(|(a, b)| a + b),
            ),
        });
    }
    all.map(|(moments, rows, blocks, wal_bytes)| Spell {
        seconds,
        calls: moments.calls,
        mean_ms: moments.mean_ms,
        sd_ms: moments.sd_ms,
        rows,
        blocks,
        wal_bytes,
    })
}

/// Measures by snapshot, object and name.
type Measures<'m> = BTreeMap<(i64, &'m str, &'m str), f64>;

/// Returns how far a counter went between two snapshots; `None` where it is not known or was reset.
fn grown(measures: &Measures<'_>, interval: &Interval, object: &str, name: &str) -> Option<f64> {
    let at = |snapshot: i64| measures.get(&(snapshot, object, name)).copied();
    let (from, to) = (at(interval.ends.0)?, at(interval.ends.1)?);
    (to >= from).then_some(to - from)
}

fn percentiles(measures: &Measures<'_>, of: QueryId, last: i64) -> Option<[f64; 3]> {
    let object = format!("{STATEMENT}{of}");
    let value = |name: &str| measures.get(&(last, object.as_str(), name)).copied();
    Some([value("p50_ms")?, value("p95_ms")?, value("p99_ms")?])
}

fn table_use(measures: &Measures<'_>, intervals: &[Interval], side: Side) -> TableUse {
    let of_side = || intervals.iter().filter(|i| i.side == Some(side));
    let grown = |name: &str| -> Option<f64> {
        of_side().next()?;
        of_side().map(|interval| grown(measures, interval, "", name)).sum()
    };
    TableUse {
        inserted: grown("n_tup_ins"),
        updated: grown("n_tup_upd"),
        hot: grown("n_tup_hot_upd"),
        changed: grown("rows_changed").zip(grown("rows_changed_x_indexes")),
    }
}

fn table_points(measures: &Measures<'_>, intervals: &[Interval]) -> Vec<TablePoint> {
    let point = |interval: &Interval| {
        let updated = grown(measures, interval, "", "n_tup_upd")?;
        let hot = grown(measures, interval, "", "n_tup_hot_upd")?;
        let dead = measures.get(&(interval.ends.1, "", "n_dead_tup")).copied()?;
        Some(TablePoint { at: interval.span.1, hot: hot / updated, dead })
    };
    intervals.iter().filter_map(point).collect()
}

fn indexes(
    measures: &Measures<'_>,
    intervals: &[Interval],
    last: i64,
    known: &[Index],
) -> Vec<IndexUse> {
    let of_last = || measures.range((last, "", "")..).take_while(move |(key, _)| key.0 == last);
    let names: BTreeSet<&str> = of_last()
        .map(|((_, object, _), _)| *object)
        .filter(|name| !name.is_empty() && !name.starts_with(STATEMENT))
        .collect();
    let index = |name: &str| {
        let value = |of: &str| measures.get(&(last, name, of)).copied();
        let is = |of: &str| value(of).is_some_and(|value| value != 0.0);
        // An index that came later has no count before.
        let since = |of: &str| -> Option<f64> {
            let after = intervals.iter().filter(|interval| interval.is_after());
            let counts: Vec<f64> =
                after.filter_map(|interval| grown(measures, interval, name, of)).collect();
            (!counts.is_empty()).then(|| counts.iter().sum())
        };
        IndexUse {
            name: name.to_owned(),
            has_column: is("has_column"),
            leads: known.iter().any(|one| one.name == name && one.leads),
            is_valid: is("is_valid") && is("is_ready"),
            is_unique: is("is_unique"),
            is_ignored: is("is_ignored"),
            plans: value("plans"),
            rows_read: since("rows_read"),
            bytes: value("bytes"),
            scans: since("idx_scan"),
        }
    };
    names.into_iter().map(index).collect()
}

/// Chooses the index that is judged: one that begins with the column, and that its readers alone need.
fn judged(indexes: &[IndexUse]) -> Option<&IndexUse> {
    let of_column = indexes.iter().filter(|index| index.has_column);
    of_column.min_by_key(|index| (!index.leads, index.is_unique))
}
