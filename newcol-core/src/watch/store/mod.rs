//! What has been seen of one column, in a SQLite file beside its contract.
//!
//! Everything of a snapshot is written in one transaction, and one watcher writes at a time: a second
//! one waits for a few seconds, then says so. The file is versioned; what is newer or damaged is
//! refused with its name. Through [`crate::db`], so it needs the feature `sqlite`.

mod error;
mod plans;
mod schema;
mod written;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

pub use self::error::StoreError;
use self::written::number;
pub(super) use self::written::{Known, Last, Track};
use super::{
    identity::{Gap, Identity, Taken},
    involve::{Involvement, role_name, role_of},
    moments::Cumulative,
    series::{QueryId, Role, Series, Window},
    session::Fields,
    snapshot::{Counters, Measure},
};
use crate::{
    backend::Backend,
    db::{Access, DatabaseUrl, OpenOptions, Row, Session, quote::literal},
    ident::ColumnPath,
};

/// Returns where the file of a column is, given the directory of its contract.
pub fn path(contracts: &Utf8Path, column: &ColumnPath) -> Utf8PathBuf {
    contracts.join(".watch").join(format!("{column}.db"))
}

/// The file of one column.
#[derive(Debug)]
pub struct Store {
    session: Session,
    path: Utf8PathBuf,
}

/// One snapshot, without what it says of statements.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Number in the file.
    pub id: i64,
    /// Numbers of statements mean the same within one.
    pub epoch: i64,
    /// What it was of.
    pub identity: Identity,
    /// When.
    pub taken: Taken,
    /// Whether it was asked for as a baseline.
    pub is_baseline: bool,
    /// How long the server worked for it, as seen from the watcher.
    pub busy_ms: f64,
    /// Time of all statements that clients sent, since the statistics were reset.
    pub all_ms: f64,
    /// The same of the watcher's own.
    pub own_ms: f64,
    /// Statements whose number the role could not see.
    pub hidden: u64,
    /// Whether there were statistics of statements.
    pub has_statements: bool,
}

/// A gap as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredGap {
    /// The snapshot at which it ended.
    pub snapshot: i64,
    /// The statement, if it is of one alone.
    pub statement: Option<QueryId>,
    /// Why nothing can be said.
    pub gap: Gap,
}

/// What is known of a statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Its number.
    pub id: QueryId,
    /// Its text.
    pub text: Option<String>,
    /// Whether it was seen while the column, as it now is, was not there.
    pub is_of_old: bool,
    /// How it uses the column, and which evidence decided; `None` while its text is not read.
    pub involvement: Option<Involvement>,
    /// What it has in common with those that differ only in the column's place in lists.
    pub lineage: Option<String>,
    /// What its counters held when it was first seen.
    pub history: Window,
}

/// A number that is not of a statement, at one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The snapshot.
    pub snapshot: i64,
    /// What was measured.
    pub measure: Measure,
}

impl Store {
    /// Opens the file to read it; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Where it is damaged, newer, or of another column.
    pub fn read(path: &Utf8Path, column: &ColumnPath) -> Result<Option<Self>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        Self::open(path, column, Access::Read).map(Some)
    }

    /// Opens the file to add to it, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// As [`Store::read`], and where it cannot be written.
    pub fn write(path: &Utf8Path, column: &ColumnPath) -> Result<Self, StoreError> {
        if let Some(dir) = path.parent() {
            let failed = |path: &Utf8Path| {
                let path = path.to_owned();
                move |source| StoreError::File { path, source }
            };
            std::fs::create_dir_all(dir).map_err(failed(dir))?;
            let ignore = dir.join(".gitignore");
            if !ignore.exists() {
                // Texts of statements and the names in them are nothing to commit by accident.
                std::fs::write(&ignore, "*\n").map_err(failed(&ignore))?;
            }
        }
        Self::open(path, column, Access::Create)
    }

    fn open(path: &Utf8Path, column: &ColumnPath, access: Access) -> Result<Self, StoreError> {
        let failed = |source| StoreError::of(path, source);
        let url = DatabaseUrl::parse(path.as_str()).map_err(|error| failed(error.into()))?;
        let options = OpenOptions { access, ..OpenOptions::default() };
        let session = Session::open(&url, &options).map_err(failed)?;
        let mut store = Self { session, path: path.to_owned() };
        store.check(column, access)?;
        Ok(store)
    }

    /// Runs a change, all or nothing; nobody else writes meanwhile.
    pub(super) fn change<T, E: From<StoreError>>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.batch("BEGIN IMMEDIATE")?;
        let done = change(self);
        let end = self.batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" });
        let done = done?;
        end?;
        Ok(done)
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.session.batch(sql).map_err(|source| StoreError::of(&self.path, source))
    }

    fn rows(&mut self, sql: &str) -> Result<Vec<Row>, StoreError> {
        self.session.query(sql).map_err(|source| StoreError::of(&self.path, source))
    }

    /// Returns all snapshots, oldest first.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn snapshots(&mut self) -> Result<Vec<Stored>, StoreError> {
        let rows = self.rows(&format!("SELECT {} FROM snapshot ORDER BY id", schema::SNAPSHOT))?;
        Ok(rows.into_iter().map(written::snapshot).collect())
    }

    /// Returns all gaps, oldest first.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn gaps(&mut self) -> Result<Vec<StoredGap>, StoreError> {
        let rows = self
            .rows("SELECT snapshot, statement, reason, more FROM gap ORDER BY snapshot, rowid")?;
        let gap = |row| {
            let mut fields = Fields::from(row);
            let snapshot = fields.number();
            let statement = fields.maybe_number().map(QueryId);
            let gap = Gap::read(&fields.text(), &fields.text())?;
            Some(StoredGap { snapshot, statement, gap })
        };
        Ok(rows.into_iter().filter_map(gap).collect())
    }

    /// Returns what is known of the statements on the table and of the controls, in the last epoch.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn statements(&mut self) -> Result<Vec<Statement>, StoreError> {
        let rows = self.rows(
            "SELECT id, text, of_old, role, layer, uses, why, on_table, lineage, \
             history_from, history_to, history_calls, history_total, history_sd, history_rows, history_blocks, \
             history_wal FROM statement WHERE epoch = (SELECT max(epoch) FROM snapshot) \
             AND track IN ('table', 'control', 'unread') ORDER BY id",
        )?;
        Ok(rows.into_iter().map(written::statement).collect())
    }

    /// Returns what statements did between snapshots, in the last epoch.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn series(&mut self) -> Result<Vec<Series>, StoreError> {
        let rows = self.rows(
            "SELECT w.statement, s.role, w.begun, w.ended, w.calls, w.total, w.sd, w.rows, \
             w.blocks, w.wal FROM window w JOIN snapshot n ON n.id = w.snapshot \
             JOIN statement s ON s.epoch = n.epoch AND s.id = w.statement \
             WHERE n.epoch = (SELECT max(epoch) FROM snapshot) \
             AND s.track IN ('table', 'control', 'unread') ORDER BY w.statement, w.snapshot",
        )?;
        let mut all: Vec<Series> = Vec::new();
        for row in rows {
            let mut fields = Fields::from(row);
            let id = QueryId(fields.number());
            let role = fields.maybe().map_or(Role::Unknown, |role| role_of(&role));
            let window = written::window(&mut fields);
            match all.last_mut().filter(|series| series.id == id) {
                Some(series) => series.windows.push(window),
                None => all.push(Series { id, role, windows: vec![window] }),
            }
        }
        Ok(all)
    }

    /// Returns what was measured beside statements, in the last epoch.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn measures(&mut self) -> Result<Vec<Measured>, StoreError> {
        let rows = self.rows(
            "SELECT m.snapshot, m.object, m.name, m.value FROM measure m \
             JOIN snapshot n ON n.id = m.snapshot \
             WHERE n.epoch = (SELECT max(epoch) FROM snapshot) ORDER BY m.snapshot",
        )?;
        let measured = |row| {
            let mut fields = Fields::from(row);
            let snapshot = fields.number();
            let (object, name) = (fields.text(), fields.text());
            Measured { snapshot, measure: Measure { object, name, value: fields.number() } }
        };
        Ok(rows.into_iter().map(measured).collect())
    }

    /// Returns the last snapshot with all that the next one is held against.
    pub(super) fn last(&mut self) -> Result<Option<Last>, StoreError> {
        let sql = format!("SELECT {} FROM snapshot ORDER BY id DESC LIMIT 1", schema::SNAPSHOT);
        let Some(row) = self.rows(&sql)?.into_iter().next() else { return Ok(None) };
        let stored = written::snapshot(row);
        let epoch = stored.epoch;
        let since = |what: &str, condition: &str| {
            format!("SELECT max({what}) FROM snapshot WHERE epoch = {epoch} AND {condition}")
        };
        let texts_at = Fields::of(self.rows(&since("server", "has_texts"))?).maybe_number();
        let absent_at = Fields::of(self.rows(&since("server", "column IS NULL"))?).maybe_number();
        let mut counters = BTreeMap::new();
        // As many digits as a double has: windows are differences.
        for row in self.rows(&format!(
            "SELECT id, caller, is_top, calls, printf('%!.17g', total), printf('%!.17g', mean), \
             CASE WHEN stddev IS NOT NULL THEN printf('%!.17g', stddev) END, rows, blocks, wal, \
             CASE WHEN since IS NOT NULL THEN printf('%!.17g', since) END \
             FROM counter WHERE epoch = {epoch}"
        ))? {
            let found = written::counters(row);
            counters.insert((found.id, found.caller.clone(), found.is_top), found);
        }
        let mut statements = BTreeMap::new();
        for row in self.rows(&format!(
            "SELECT id, first_column, is_first_absent, text, track, of_old, role, layer FROM statement \
             WHERE epoch = {epoch}"
        ))? {
            let (id, known) = written::known(row);
            statements.insert(id, known);
        }
        Ok(Some(Last { stored, texts_at, absent_at, counters, statements }))
    }

    /// Writes a snapshot's own row and its measures, and returns its number.
    pub(super) fn add_snapshot(
        &mut self,
        stored: &Stored,
        has_texts: bool,
        measures: &[Measure],
    ) -> Result<i64, StoreError> {
        let Identity {
            system,
            database,
            version,
            started,
            timeline,
            extension,
            stats_reset,
            evictions,
            table,
            column,
        } = &stored.identity;
        self.batch(&format!(
            "INSERT INTO snapshot (epoch, server, local, is_baseline, busy_ms, all_ms, own_ms, \
             hidden, has_statements, has_texts, system, database, version, started, timeline, extension, \
             stats_reset, evictions, \"table\", column) VALUES ({})",
            [
                stored.epoch.to_string(),
                number(stored.taken.server),
                number(stored.taken.local),
                i32::from(stored.is_baseline).to_string(),
                number(stored.busy_ms),
                number(stored.all_ms),
                number(stored.own_ms),
                stored.hidden.to_string(),
                i32::from(stored.has_statements).to_string(),
                i32::from(has_texts).to_string(),
                maybe(system.as_deref().map(text)),
                text(database),
                version.to_string(),
                number(*started),
                maybe(timeline.map(|timeline| timeline.to_string())),
                maybe(extension.as_deref().map(text)),
                maybe(stats_reset.map(number)),
                maybe(evictions.map(|times| times.to_string())),
                maybe(table.as_deref().map(text)),
                maybe(column.map(|column| column.to_string())),
            ]
            .join(", ")
        ))?;
        let id = Fields::of(self.rows("SELECT last_insert_rowid()")?).number();
        let rows = measures.iter().map(|Measure { object, name, value }| {
            format!("({id}, {}, {}, {})", text(object), text(name), number(*value))
        });
        self.insert("measure (snapshot, object, name, value)", rows)?;
        Ok(id)
    }

    /// Writes rows of one table.
    fn insert(&mut self, into: &str, rows: impl Iterator<Item = String>) -> Result<(), StoreError> {
        // SQLite reads a statement as a whole: not too many rows at once.
        const AT_ONCE: usize = 200;
        let rows: Vec<String> = rows.collect();
        for some in rows.chunks(AT_ONCE) {
            self.batch(&format!("INSERT OR REPLACE INTO {into} VALUES {}", some.join(", ")))?;
        }
        Ok(())
    }

    pub(super) fn add_gaps(
        &mut self,
        snapshot: i64,
        gaps: &[(Option<QueryId>, Gap)],
    ) -> Result<(), StoreError> {
        let rows = gaps.iter().map(|(statement, gap)| {
            let (name, more) = gap.stored();
            let statement = maybe(statement.map(|id| id.0.to_string()));
            format!("({snapshot}, {statement}, {}, {})", text(name), text(&more))
        });
        self.insert("gap (snapshot, statement, reason, more)", rows)
    }

    pub(super) fn add_windows<'w>(
        &mut self,
        snapshot: i64,
        windows: impl Iterator<Item = (QueryId, &'w Window)>,
    ) -> Result<(), StoreError> {
        let rows = windows.map(|(id, window)| {
            let Window { from, to, calls, total_ms, sd_ms, rows, blocks, wal_bytes } = window;
            format!(
                "({snapshot}, {id}, {}, {}, {calls}, {}, {}, {rows}, {blocks}, {})",
                number(*from),
                number(*to),
                number(*total_ms),
                maybe(sd_ms.map(number)),
                maybe(wal_bytes.map(|bytes| bytes.to_string())),
            )
        });
        self.insert(
            "window (snapshot, statement, begun, ended, calls, total, sd, rows, blocks, wal)",
            rows,
        )
    }

    /// Replaces the counters that the next snapshot is held against.
    pub(super) fn replace_counters<'c>(
        &mut self,
        epoch: i64,
        counters: impl Iterator<Item = &'c Counters>,
    ) -> Result<(), StoreError> {
        self.batch("DELETE FROM counter")?;
        let rows = counters.map(|c| {
            let Cumulative { calls, total_ms, mean_ms, stddev_ms } = c.times;
            format!(
                "({epoch}, {}, {}, {}, {calls}, {}, {}, {}, {}, {}, {}, {})",
                c.id,
                text(&c.caller),
                i32::from(c.is_top),
                number(total_ms),
                number(mean_ms),
                maybe(stddev_ms.map(number)),
                c.rows,
                c.blocks,
                maybe(c.wal_bytes.map(|bytes| bytes.to_string())),
                maybe(c.since.map(number)),
            )
        });
        self.insert(
            "counter (epoch, id, caller, is_top, calls, total, mean, stddev, rows, blocks, wal, \
             since)",
            rows,
        )
    }

    /// Notes statements that were not seen before, with what their counters hold.
    pub(super) fn add_statements<'h>(
        &mut self,
        (epoch, snapshot): (i64, i64),
        column: Option<i32>,
        found: impl Iterator<Item = (QueryId, &'h Window)>,
    ) -> Result<(), StoreError> {
        let rows = found.map(|(id, w)| {
            format!(
                "({epoch}, {id}, {snapshot}, {}, {}, 'unread', {}, {}, {}, {}, {}, {}, {}, {})",
                maybe(column.map(|column| column.to_string())),
                i32::from(column.is_none()),
                number(w.from),
                number(w.to),
                w.calls,
                number(w.total_ms),
                maybe(w.sd_ms.map(number)),
                w.rows,
                w.blocks,
                maybe(w.wal_bytes.map(|bytes| bytes.to_string())),
            )
        });
        self.insert(
            "statement (epoch, id, first_snapshot, first_column, is_first_absent, track, \
             history_from, history_to, history_calls, history_total, history_sd, history_rows, \
             history_blocks, history_wal)",
            rows,
        )
    }

    /// Notes what has been found out of a statement.
    pub(super) fn judge(
        &mut self,
        epoch: i64,
        id: QueryId,
        known: &Known,
        involvement: &Involvement,
    ) -> Result<(), StoreError> {
        let Involvement { uses, layer, on_table, is_command: _, why } = involvement;
        let uses: Vec<&str> = uses.iter().map(|role| role_name(*role)).collect();
        self.batch(&format!(
            "UPDATE statement SET text = {}, track = {}, of_old = {}, role = {}, layer = {}, \
             uses = {}, why = {}, on_table = {}, lineage = {} WHERE epoch = {epoch} AND id = {id}",
            maybe(known.text.as_deref().map(text)),
            text(known.track.name()),
            i32::from(known.is_of_old),
            text(role_name(involvement.role())),
            text(layer.name()),
            text(&uses.join(" ")),
            maybe(why.as_deref().map(text)),
            i32::from(*on_table),
            maybe(known.lineage.as_deref().map(text)),
        ))
    }

    /// Forgets what statements did that turned out to be of no interest.
    pub(super) fn forget_ignored(&mut self) -> Result<(), StoreError> {
        self.batch(
            "DELETE FROM window WHERE statement IN (SELECT id FROM statement \
             WHERE track IN ('ignored', 'own')); \
             DELETE FROM gap WHERE statement IN (SELECT id FROM statement \
             WHERE track IN ('ignored', 'own'))",
        )
    }
}

fn text(value: &str) -> String {
    literal(Backend::Sqlite, value)
}

fn maybe(value: Option<String>) -> String {
    value.unwrap_or_else(|| "NULL".to_owned())
}
