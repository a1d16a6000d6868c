//! The concurrent build of an index on PostgreSQL, from any state in which an earlier try left it.
//!
//! A build that is broken off leaves an index that is not valid: it costs every write and serves
//! nobody, and its name is taken. Such a leftover is dropped and built again. A valid index is never
//! dropped.

use std::time::{Duration, Instant};

use super::{
    ApplyError, BlockerPolicy, Budget, Direction, Event, MigrationReport, Run,
    migration::{Attempt, Failed, Script},
    run::remember,
    watch::{Meeting, Patience},
    wish::{Concurrent, Wish},
};
use crate::{
    backend::Backend,
    db::DbError,
    execute::peers::{self, Peer},
    render::text::{exact_literal, quote},
};

/// What a table has under the name of the wished index.
pub(super) enum Found {
    Nothing,
    /// A leftover, or one that another session builds.
    Invalid {
        name: String,
    },
    Valid {
        definition: String,
        is_same: bool,
    },
    /// An equal one under another name.
    Twin {
        name: String,
    },
}

/// How a wish ended.
pub(super) enum Settled {
    /// A valid index is there.
    There {
        /// Its name, which is another one where an equal index was there.
        name: String,
    },
    /// There is none any more.
    Gone,
    Stopped,
    Failed(Failed),
}

impl<'r> Run<'r> {
    /// How a statement is watched that waits for every transaction older than itself.
    fn long<'a>(&self, migration: &'a str) -> Patience<'a>
    where
        'r: 'a,
    {
        let meeting = Meeting { policy: self.settings.blockers, age: self.settings.budget.old };
        Patience::Long { told: self.told, migration, meeting: Some(meeting) }
    }
}

impl Run<'_> {
    /// Builds or drops an index concurrently, and writes it down.
    pub(super) fn concurrently(
        &mut self,
        script: &Script<'_>,
        concurrent: &Concurrent,
    ) -> Result<Attempt, ApplyError> {
        let mut report = script.report();
        let settled = self.patiently(|run| match concurrent {
            Concurrent::Create(wish) => run.build(script, wish, &mut report),
            Concurrent::Drop { index } => run.remove(script, index, &mut report),
        })?;
        let done = match settled {
            Settled::There { .. } | Settled::Gone => Attempt::Done(report),
            Settled::Stopped => Attempt::Stopped,
            Settled::Failed(failed) => Attempt::Failed(failed),
        };
        if matches!(done, Attempt::Done(_)) && !self.write_down(script)? {
            return Ok(Attempt::AlreadyThere);
        }
        Ok(done)
    }

    /// Changes Diesel's table; returns whether nobody else has.
    pub(super) fn write_down(&mut self, script: &Script<'_>) -> Result<bool, ApplyError> {
        let record = self.session.batch(&script.record(Backend::Postgres));
        // Diesel's own runner knows no lock: it may have waited for the same build.
        if record.is_err()
            && self.is_recorded(script.migration)? == (script.direction == Direction::Up)
        {
            return Ok(false);
        }
        record?;
        Ok(true)
    }

    /// Does what takes long and lets programs go on, under a limit of its own.
    pub(super) fn patiently<T, E: From<DbError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.wait_at_most(self.settings.budget.index_wait)?;
        self.session.batch("SET SESSION statement_timeout = 0")?;
        let done = work(self);
        // Whatever comes next sets its own; a lost session has none.
        self.session.batch("RESET lock_timeout; RESET statement_timeout").ok();
        done
    }

    fn wait_at_most(&mut self, time: Duration) -> Result<(), DbError> {
        // Zero would be no limit, and whoever waits for less sees nobody.
        let wait = time.max(self.settings.budget.lock_timeout).as_millis().max(1);
        self.session.batch(&format!("SET SESSION lock_timeout = {wait}"))
    }

    fn build(
        &mut self,
        script: &Script<'_>,
        wish: &Wish,
        report: &mut MigrationReport,
    ) -> Result<Settled, ApplyError> {
        if self.is_partitioned(&wish.table)? {
            let (index, table) = (wish.index.clone(), wish.table.clone());
            return Err(ApplyError::Partitioned { index, table });
        }
        let wished = self.definition(wish)?;
        let settled = self.settle(script, wish, wished.as_deref(), &script.text, report)?;
        if let Settled::There { name } = &settled {
            report.notes.extend(already(wish, name, !report.statements.is_empty()));
        }
        Ok(settled)
    }

    /// Sees to it that a valid index is there, by a statement that builds it.
    pub(super) fn settle(
        &mut self,
        script: &Script<'_>,
        wish: &Wish,
        wished: Option<&str>,
        sql: &str,
        report: &mut MigrationReport,
    ) -> Result<Settled, ApplyError> {
        let (index, migration) = (&wish.index, &script.migration.name);
        let long = self.long(migration);
        let deadline = Instant::now() + self.settings.budget.index_wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.found(wish, wished)? {
                Found::Valid { is_same: true, .. } => {
                    return Ok(Settled::There { name: index.clone() });
                }
                Found::Valid { definition, .. } => {
                    return Err(ApplyError::OtherIndex { index: index.clone(), found: definition });
                }
                Found::Twin { name } => return Ok(Settled::There { name }),
                Found::Invalid { .. } => {
                    self.wait_at_most(match self.settings.blockers {
                        BlockerPolicy::Show => self.settings.budget.lock_timeout,
                        BlockerPolicy::Wait | BlockerPolicy::Cancel => left,
                    })?;
                    let patience = Patience::Long { told: self.told, migration, meeting: None };
                    let name = match self.leftover(wish, patience) {
                        Ok((Some(name), _)) => name,
                        Ok((None, by)) => {
                            remember(&mut report.blockers, by);
                            continue;
                        }
                        Err(failed) => return self.ended_by(migration, failed),
                    };
                    self.told.tell(&Event::Note(format!(
                        "dropping index {name}: a build that broke off left it invalid"
                    )));
                    self.wait_at_most(left)?;
                    let drop = format!("DROP INDEX CONCURRENTLY {name}");
                    match self.watched(&drop, long) {
                        Ok((statement, _)) => report.statements.push(statement),
                        Err(failed) => {
                            self.left = (!failed.is_lost()).then_some(name);
                            return self.ended_by(migration, failed);
                        }
                    }
                    report.notes.push(format!(
                        "`{index}` was left invalid by a build that broke off; it was dropped and built again"
                    ));
                }
                Found::Nothing => {
                    if self.told.is_stopped() {
                        return Ok(Settled::Stopped);
                    }
                    self.meet_old_snapshots(migration, &mut report.blockers)?;
                    self.wait_at_most(left)?;
                    match self.watched(sql, long) {
                        Ok((statement, by)) => {
                            report.statements.push(statement);
                            remember(&mut report.blockers, by);
                        }
                        Err(failed) => return self.broken_off(wish, migration, failed),
                    }
                }
            }
        }
    }

    /// Cleans up after a build that failed or was cancelled.
    ///
    /// Until then every write pays for the index, so whoever uses the table is waited for, which holds
    /// up nobody; but not where the next try does it, nor by who wants to stop.
    fn broken_off(
        &mut self,
        wish: &Wish,
        migration: &str,
        failed: Failed,
    ) -> Result<Settled, ApplyError> {
        if !failed.is_lost()
            && let Found::Invalid { name } = self.found(wish, None)?
        {
            let Budget { lock_timeout, max_wait, .. } = self.settings.budget;
            let is_last = !failed.is_passing && !self.told.is_stopped();
            let (wait, patience) = if is_last {
                self.told.tell(&Event::Note(format!(
                    "dropping index {name}, which the build has left invalid"
                )));
                let told = self.told;
                (max_wait.max(lock_timeout), Patience::Long { told, migration, meeting: None })
            } else {
                (lock_timeout, Patience::Brief)
            };
            if self.drop_leftover(wish, wait, patience).is_err() {
                self.left = Some(name);
            }
        }
        self.ended_by(migration, failed)
    }

    /// Drops an index that is not valid and that nobody builds, within a time.
    fn drop_leftover(
        &mut self,
        wish: &Wish,
        wait: Duration,
        patience: Patience<'_>,
    ) -> Result<(), Failed> {
        self.wait_at_most(wait)?;
        let deadline = Instant::now() + wait;
        let (Some(name), _) = self.leftover(wish, patience)? else { return Ok(()) };
        // It waits for one after the other, each time as long as for a lock.
        let left = deadline.saturating_duration_since(Instant::now()).as_millis().max(1);
        self.session.batch(&format!("SET SESSION statement_timeout = {left}"))?;
        let dropped = self.watched(&format!("DROP INDEX CONCURRENTLY {name}"), patience);
        self.session.batch("SET SESSION statement_timeout = 0")?;
        dropped.map(drop)
    }

    /// Says which index is left invalid, where one is, what that means and what removes it.
    pub(super) fn say_what_is_left(&mut self) {
        let Some(name) = self.left.take() else { return };
        let state = format!(
            "SELECT i.indisready, i.indisunique FROM pg_catalog.pg_index i \
             WHERE i.indexrelid = to_regclass({}) AND NOT i.indisvalid",
            exact_literal(Backend::Postgres, &name)
        );
        // What failed first is the error; and whoever cannot look is told all the same.
        let state = self.watcher.session.query(&state);
        let Ok(Some(row)) = state.map(|rows| rows.into_iter().next()) else { return };
        let is = |at: usize| row.get(at).is_some_and(|value| value.as_deref() == Some("t"));
        let cost = match (is(0), is(1)) {
            (false, _) => "no query uses it, and it costs nothing but its name",
            (true, false) => "no query uses it, but every write pays for it",
            (true, true) => {
                "no query uses it, but every write pays for it, and it refuses duplicates"
            }
        };
        self.told.tell(&Event::Note(format!(
            "index {name} is left, because others use the table; it is not valid: {cost}. \
             The next run drops it, or drop it yourself: DROP INDEX CONCURRENTLY {name}"
        )));
    }

    /// Returns the name of an index that is not valid and that nobody builds, and who was waited for.
    ///
    /// Who builds it keeps a lock on its table until it is valid, and so everybody else who would
    /// take it; programs go on. Of its build the server need not tell us.
    fn leftover(
        &mut self,
        wish: &Wish,
        patience: Patience<'_>,
    ) -> Result<(Option<String>, Vec<Peer>), Failed> {
        let lock = format!("BEGIN; LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE", wish.table);
        let asked = self.watched(&lock, patience).and_then(|(_, by)| {
            let name = match self.found(wish, None)? {
                Found::Invalid { name } => Some(name),
                Found::Nothing | Found::Valid { .. } | Found::Twin { .. } => None,
            };
            Ok((name, by))
        });
        // What failed first is the error.
        let ended = self.session.batch("ROLLBACK");
        let asked = asked?;
        ended?;
        Ok(asked)
    }

    fn ended_by(&self, migration: &str, failed: Failed) -> Result<Settled, ApplyError> {
        if failed.is_left {
            return Err(ApplyError::Blocked { migration: migration.to_owned(), by: failed.by });
        }
        Ok(if self.was_stopped(&failed) { Settled::Stopped } else { Settled::Failed(failed) })
    }

    fn remove(
        &mut self,
        script: &Script<'_>,
        index: &str,
        report: &mut MigrationReport,
    ) -> Result<Settled, ApplyError> {
        let name = exact_literal(Backend::Postgres, index);
        if !self.session.query_bool(&format!("SELECT to_regclass({name}) IS NOT NULL"))? {
            report.notes.push(format!("there is no index {index}, so none was dropped"));
            return Ok(Settled::Gone);
        }
        match self.watched(&script.text, self.long(&script.migration.name)) {
            Ok((statement, by)) => {
                report.statements.push(statement);
                report.blockers = by;
                Ok(Settled::Gone)
            }
            Err(failed) => {
                // Its validity goes first.
                self.left = (!failed.is_lost()).then(|| index.to_owned());
                self.ended_by(&script.migration.name, failed)
            }
        }
    }

    /// Does with transactions that a build has to wait for as it is wished.
    fn meet_old_snapshots(
        &mut self,
        migration: &str,
        known: &mut Vec<Peer>,
    ) -> Result<(), ApplyError> {
        let id = self.watcher.id().to_owned();
        let old = peers::old_snapshots(&mut self.watcher.session, self.settings.budget.old, &id)?;
        if self.settings.blockers == BlockerPolicy::Show && !old.is_empty() {
            return Err(ApplyError::Blocked { migration: migration.to_owned(), by: old });
        }
        for blocker in &old {
            self.told.tell(&Event::Note(format!("the build has to wait for {blocker}")));
        }
        self.cancel(&old)?;
        remember(known, old);
        Ok(())
    }

    pub(super) fn found(&mut self, wish: &Wish, wished: Option<&str>) -> Result<Found, DbError> {
        let Wish { index, table, is_unique, .. } = wish;
        let table = exact_literal(Backend::Postgres, table);
        let rows = self.session.query(&format!(
            "SELECT c.relname, n.nspname, i.indisvalid AND i.indisready AND i.indislive, \
             pg_get_indexdef(c.oid), i.indisunique, i.indrelid = to_regclass({table}) \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
             WHERE c.relnamespace = (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = to_regclass({table})) \
             AND (c.relname = {} OR i.indrelid = to_regclass({table}))",
            exact_literal(Backend::Postgres, index)
        ))?;
        let mut twin = None;
        for row in rows {
            let mut values = row.into_iter();
            let mut next = || values.next().flatten();
            let (name, schema) = (next().unwrap_or_default(), next().unwrap_or_default());
            let is_valid = next().as_deref() == Some("t");
            let definition = next().unwrap_or_default();
            let same_kind = next().as_deref() == Some(if *is_unique { "t" } else { "f" });
            let same_table = next().as_deref() == Some("t");
            let is_same = same_kind
                && same_table
                && wished.is_none_or(|wished| method_on(&definition) == Some(wished));
            if name != *index {
                // Without its definition nobody can tell that it is the same.
                twin = twin.or((is_same && is_valid && wished.is_some()).then_some(name));
                continue;
            }
            if definition.is_empty() || is_valid || !same_table {
                let is_same = is_same && is_valid;
                let definition =
                    if definition.is_empty() { "no index".to_owned() } else { definition };
                return Ok(Found::Valid { is_same, definition });
            }
            let part = |name: &str| quote(Backend::Postgres, name);
            return Ok(Found::Invalid { name: format!("{}.{}", part(&schema), part(&name)) });
        }
        Ok(twin.map_or(Found::Nothing, |name| Found::Twin { name }))
    }

    /// Returns how the server would write the wished index, from its method on: built on an empty
    /// copy of the table that nobody else sees. `None` where the role may not make one.
    pub(super) fn definition(&mut self, wish: &Wish) -> Result<Option<String>, DbError> {
        let Wish { is_unique, table, rest, .. } = wish;
        let unique = if *is_unique { "UNIQUE " } else { "" };
        let copied = format!(
            "BEGIN; CREATE TEMPORARY TABLE newcol_wished (LIKE {table}); \
             CREATE {unique}INDEX newcol_wished_index ON newcol_wished{rest}"
        );
        let asked = self.session.batch(&copied).and_then(|()| {
            self.session.value("SELECT pg_get_indexdef('pg_temp.newcol_wished_index'::regclass)")
        });
        self.session.batch("ROLLBACK")?;
        // Whatever is wrong with it, the build says so.
        Ok(asked.ok().flatten().and_then(|text| method_on(&text).map(str::to_owned)))
    }
}

/// Says of an index that was not built why.
pub(super) fn already(wish: &Wish, name: &str, was_built: bool) -> Option<String> {
    let index = &wish.index;
    if name != index {
        Some(format!("index `{name}` is the same, so `{index}` was not built beside it"))
    } else if was_built {
        None
    } else {
        Some(format!("index `{index}` was there already, and is valid"))
    }
}

/// Cuts off what names the index and its table.
fn method_on(definition: &str) -> Option<&str> {
    definition.find(" USING ").map(|at| &definition[at..])
}
