//! The tables of the file, and whether it is one of ours that we can read.

use super::{Store, StoreError, plans, text};
use crate::{db::Access, ident::ColumnPath, watch::session::Fields};

/// In the header of each of our files ("ncwd").
const APPLICATION: i64 = 0x6e63_7764;

/// Version of the tables; a later one is not read by earlier programs.
const VERSION: i64 = 1;

/// Columns of a snapshot, in the order in which they are read.
pub(super) const SNAPSHOT: &str = "id, epoch, printf('%!.17g', server), printf('%!.17g', local), \
    is_baseline, busy_ms, all_ms, own_ms, hidden, has_statements, system, database, version, \
    printf('%!.17g', started), timeline, extension, \
    CASE WHEN stats_reset IS NOT NULL THEN printf('%!.17g', stats_reset) END, evictions, \
    \"table\", column";

const TABLES: &str = "
CREATE TABLE subject (\"column\" TEXT NOT NULL);
CREATE TABLE snapshot (
    id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, server REAL NOT NULL, local REAL NOT NULL,
    is_baseline INTEGER NOT NULL, busy_ms REAL NOT NULL, all_ms REAL NOT NULL,
    own_ms REAL NOT NULL, hidden INTEGER NOT NULL,
    has_statements INTEGER NOT NULL, has_texts INTEGER NOT NULL,
    system TEXT, database TEXT NOT NULL, version INTEGER NOT NULL, started REAL NOT NULL,
    timeline INTEGER, extension TEXT, stats_reset REAL, evictions INTEGER, \"table\" TEXT,
    column INTEGER
);
CREATE TABLE statement (
    epoch INTEGER NOT NULL, id INTEGER NOT NULL, first_snapshot INTEGER NOT NULL,
    first_column INTEGER, is_first_absent INTEGER NOT NULL, track TEXT NOT NULL, text TEXT,
    of_old INTEGER NOT NULL DEFAULT 0, role TEXT, layer TEXT, uses TEXT, why TEXT,
    on_table INTEGER NOT NULL DEFAULT 0, lineage TEXT, history_from REAL, history_to REAL,
    history_calls INTEGER, history_total REAL, history_sd REAL, history_rows INTEGER,
    history_blocks INTEGER, history_wal INTEGER, PRIMARY KEY (epoch, id)
);
CREATE TABLE counter (
    epoch INTEGER NOT NULL, id INTEGER NOT NULL, caller TEXT NOT NULL, is_top INTEGER NOT NULL,
    calls INTEGER NOT NULL, total REAL NOT NULL, mean REAL NOT NULL, stddev REAL,
    rows INTEGER NOT NULL, blocks INTEGER NOT NULL, wal INTEGER, since REAL,
    PRIMARY KEY (id, caller, is_top)
);
CREATE TABLE window (
    snapshot INTEGER NOT NULL, statement INTEGER NOT NULL, begun REAL NOT NULL,
    ended REAL NOT NULL, calls INTEGER NOT NULL, total REAL NOT NULL, sd REAL,
    rows INTEGER NOT NULL, blocks INTEGER NOT NULL, wal INTEGER,
    PRIMARY KEY (snapshot, statement)
) WITHOUT ROWID;
CREATE TABLE gap (
    snapshot INTEGER NOT NULL, statement INTEGER, reason TEXT NOT NULL, more TEXT NOT NULL
);
CREATE TABLE measure (
    snapshot INTEGER NOT NULL, object TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL,
    PRIMARY KEY (snapshot, object, name)
) WITHOUT ROWID;
";

impl Store {
    /// Makes the tables in a file that has none, and refuses what is not ours.
    pub(super) fn check(&mut self, column: &ColumnPath, access: Access) -> Result<(), StoreError> {
        let own = column.to_string();
        if access == Access::Create {
            // Who comes second finds the tables of the first.
            self.change(|store| {
                let is_empty = store.rows("SELECT 1 FROM sqlite_master LIMIT 1")?.is_empty();
                if is_empty && store.pragma("application_id")? == 0 {
                    store.batch(&format!(
                        "{TABLES} INSERT INTO subject VALUES ({}); \
                         PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}",
                        text(&own)
                    ))?;
                }
                if store.pragma("application_id")? == APPLICATION {
                    store.batch(plans::TABLES)?;
                }
                Ok::<_, StoreError>(())
            })?;
        }
        if self.pragma("application_id")? != APPLICATION {
            return Err(StoreError::Foreign { path: self.path.clone() });
        }
        let found = self.pragma("user_version")?;
        if found != VERSION {
            return Err(StoreError::Newer { path: self.path.clone(), found });
        }
        let sound = Fields::of(self.rows("PRAGMA quick_check(1)")?).text();
        if sound != "ok" {
            return Err(StoreError::Damaged { path: self.path.clone(), said: sound });
        }
        let of = self.subject()?;
        if of != own {
            return Err(StoreError::OtherColumn { path: self.path.clone(), of });
        }
        Ok(())
    }

    fn pragma(&mut self, name: &str) -> Result<i64, StoreError> {
        Ok(Fields::of(self.rows(&format!("PRAGMA {name}"))?).number())
    }
}
