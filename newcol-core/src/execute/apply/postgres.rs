//! One try of a migration on PostgreSQL.

use std::{collections::BTreeMap, time::Instant};

use super::{
    Direction, Event, LockTaken, Run,
    migration::{Attempt, Failed, Piece, Script},
    run::remember,
    watch::Patience,
};
use crate::{
    backend::Backend,
    db::{DbError, Session},
    plan::effect::Lock,
};

/// The locks that somebody notices, from the weakest; `pg_locks` spells them in one word.
const MODES: &[(&str, Lock)] = &[
    ("RowExclusiveLock", Lock::RowExclusive),
    ("ShareUpdateExclusiveLock", Lock::ShareUpdateExclusive),
    ("ShareLock", Lock::Share),
    ("ShareRowExclusiveLock", Lock::ShareRowExclusive),
    ("AccessExclusiveLock", Lock::AccessExclusive),
];

/// Reports whether the role may have the server look for deadlocks early.
///
/// PostgreSQL cancels an autovacuum for whoever waits for its lock, but only once it looks for a
/// deadlock: after `deadlock_timeout`, a second, which is later than we wait.
pub(super) fn may_end_vacuums(session: &mut Session) -> Result<bool, DbError> {
    let sql = match (session.backend(), session.server().at_least(15, 0)) {
        (Backend::Mysql | Backend::Sqlite, _) => return Ok(false),
        (Backend::Postgres, true) => "SELECT has_parameter_privilege('deadlock_timeout', 'SET')",
        (Backend::Postgres, false) => {
            "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"
        }
    };
    session.query_bool(sql)
}

/// What a transaction holds, and since when.
#[derive(Default)]
struct Holding {
    tables: BTreeMap<String, Held>,
    /// Scans by table's number that the server had not added up when the transaction began.
    scans: BTreeMap<String, u64>,
    /// When the first lock was granted that holds programs up.
    since: Option<Instant>,
}

/// What is known of a table that a transaction has locked.
#[derive(Clone)]
struct Held {
    /// The strongest lock.
    lock: Lock,
    oid: String,
    /// The file of its rows.
    file: String,
    /// How often it was read whole.
    scans: u64,
}

impl Run<'_> {
    /// Runs a migration in a transaction, statement by statement.
    pub(super) fn in_transaction(&mut self, script: &Script<'_>) -> Result<Attempt, Failed> {
        self.session.batch("BEGIN")?;
        let done = self.inside(script)?;
        if !matches!(done, Attempt::Done(_)) {
            self.session.batch("ROLLBACK")?;
        }
        Ok(done)
    }

    fn inside(&mut self, script: &Script<'_>) -> Result<Attempt, Failed> {
        let limits = self.limits("LOCAL");
        self.session.batch(&limits)?;
        if self.is_recorded(script.migration)? == (script.direction == Direction::Up) {
            return Ok(Attempt::AlreadyThere);
        }
        let migration = &script.migration.name;
        let mut report = script.report();
        let mut holding = Holding { scans: self.scans()?, ..Holding::default() };
        let locks = match &script.holds_up {
            Some(locking) => {
                locking.statement(&mut self.session, self.settings.budget.lock_timeout)?
            }
            None => None,
        };
        let locks = locks.map(|sql| Piece { sql: sql.into(), is_gentle: false });
        for piece in locks.iter().chain(&script.statements) {
            if self.told.is_stopped() {
                return Ok(Attempt::Stopped);
            }
            if piece.is_gentle {
                self.session.batch("SET LOCAL statement_timeout = 0")?;
            }
            let patience = if piece.is_gentle {
                Patience::Long { told: self.told, migration, meeting: None }
            } else {
                Patience::Brief
            };
            let started = Instant::now();
            let (mut statement, by) = self.watched(&piece.sql, patience)?;
            let granted = started + statement.waited.min(statement.took);
            statement.locks = self.taken(&mut holding, granted)?;
            report.statements.push(statement);
            remember(&mut report.blockers, by);
        }
        // At once: the locks are held until then.
        let record = script.record(Backend::Postgres);
        self.session.batch(&format!("{record}; COMMIT"))?;
        report.held = holding.since.map(|since| since.elapsed());
        Ok(Attempt::Done(report))
    }

    /// Runs a migration without transaction, as one query: several statements are one implicit
    /// transaction all the same.
    pub(super) fn bare(&mut self, script: &Script<'_>) -> Result<Attempt, Failed> {
        let mut report = script.report();
        let migration = &script.migration.name;
        let long = Patience::Long { told: self.told, migration, meeting: None };
        let done = if script.builds_nameless {
            let done = self.patiently(|run| run.watched(&script.text, long));
            if done.is_err() {
                self.name_invalid_indexes();
            }
            done
        } else {
            let limits = self.limits("SESSION");
            self.session.batch(&limits)?;
            let done = self.watched(&script.text, long);
            // The next migration sets its own; a lost session has none.
            let early = if self.ends_vacuums { "; RESET deadlock_timeout" } else { "" };
            self.session.batch(&format!("RESET lock_timeout{early}")).ok();
            done
        };
        let (statement, by) = done?;
        report.statements.push(statement);
        report.blockers = by;
        self.session.batch(&script.record(Backend::Postgres))?;
        Ok(Attempt::Done(report))
    }

    /// Says which indexes are not valid, where a build failed that is not known by its name.
    fn name_invalid_indexes(&mut self) {
        let sql = "SELECT string_agg(i.indexrelid::pg_catalog.regclass::text, ', ' ORDER BY i.indexrelid) \
                   FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
                   WHERE c.relkind = 'i' AND NOT i.indisvalid";
        // What failed first is the error.
        if let Ok(Some(names)) = self.watcher.session.value(sql) {
            self.told.tell(&Event::Note(format!(
                "not valid: {names}; what no build goes on with is dropped by DROP INDEX CONCURRENTLY"
            )));
        }
    }

    /// Makes the settings of a try.
    ///
    /// Where the role may, the server looks for deadlocks before we stop waiting: it is then that it
    /// cancels an autovacuum.
    fn limits(&self, scope: &str) -> String {
        let timeout = self.settings.budget.lock_timeout;
        let wait = timeout.as_millis().max(1);
        let limit = format!("SET {scope} lock_timeout = {wait}");
        if !self.ends_vacuums {
            return limit;
        }
        let early = (wait / 2).max(1);
        format!("{limit}; SET {scope} deadlock_timeout = {early}")
    }

    /// Returns how often tables were read whole by transactions before this one, as far as the
    /// server has not added that up yet: a session's counts run on over several of them.
    fn scans(&mut self) -> Result<BTreeMap<String, u64>, DbError> {
        let rows = self.session.query(
            "SELECT relid, seq_scan FROM pg_catalog.pg_stat_xact_user_tables WHERE seq_scan > 0",
        )?;
        let read = |row: Vec<Option<String>>| {
            let mut values = row.into_iter().map(Option::unwrap_or_default);
            Some((values.next()?, values.next()?.parse().ok()?))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Returns the locks that are new since the last statement, or whose table was written anew or
    /// read since.
    fn taken(
        &mut self,
        holding: &mut Holding,
        granted: Instant,
    ) -> Result<Vec<LockTaken>, DbError> {
        let rows = self.session.query(
            "SELECT c.oid::pg_catalog.regclass, l.mode, c.oid, c.relfilenode, pg_stat_get_xact_numscans(c.oid) \
             FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation \
             WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p', 'm') \
             AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
             AND c.relnamespace <> 'pg_catalog'::regnamespace ORDER BY 1",
        )?;
        let mut tables: BTreeMap<String, Held> = BTreeMap::new();
        for row in rows {
            let mut values = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || values.next().unwrap_or_default();
            let (table, mode, oid, file, scans) = (next(), next(), next(), next(), next());
            let Some((_, lock)) = MODES.iter().find(|(name, _)| *name == mode) else { continue };
            let scans = scans.parse().unwrap_or_default();
            let one = tables.entry(table).or_insert(Held { lock: *lock, oid, file, scans });
            one.lock = one.lock.max(*lock);
        }
        let mut new = Vec::new();
        for (table, held) in tables {
            if held.lock >= Lock::Share {
                holding.since.get_or_insert(granted);
            }
            let before = holding.tables.insert(table.clone(), held.clone());
            let file = match &before {
                Some(before) => Some(before.file.clone()),
                // Others see the file that was there before this transaction.
                None => self.watcher.session.value(&format!(
                    "SELECT relfilenode FROM pg_catalog.pg_class WHERE oid = {}",
                    held.oid
                ))?,
            };
            let rewritten = file.is_some_and(|file| file != held.file);
            let earlier = match &before {
                Some(before) => before.scans,
                None => holding.scans.get(&held.oid).copied().unwrap_or_default(),
            };
            let scans = held.scans.saturating_sub(earlier);
            let is_stronger = before.is_none_or(|before| before.lock != held.lock);
            if is_stronger || rewritten || scans > 0 {
                new.push(LockTaken { table, mode: held.lock.name(), rewritten, scans });
            }
        }
        Ok(new)
    }
}
