//! Keeps a column from being dropped with a value that no count has seen: when nobody can write any
//! longer, the table is looked at once more.

use std::time::{Duration, Instant};

use super::{
    ApplyError, MigrationReport, Run, SqlMigration,
    migration::{Attempt, Failed, Script},
    watch::{LOOKS, Patience},
};
use crate::{backend::Backend, db::DbError, ident::TableName, render::text::SqlText};

/// What the server says where a value would be lost; short, because on SQLite it is a name.
pub(in crate::execute) const STOPS: &str = "newcol: a value would be lost";

/// Stops the drop of a column where a value would be lost that no count has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    pub(in crate::execute) way: Way,
    /// How long the look may take.
    pub(in crate::execute) look: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::execute) enum Way {
    /// What the transaction begins with that drops the column.
    Begins(SqlText),
    /// The drop is no part of a transaction: the session locks the table before (MariaDB).
    Locks(LockedLook),
}

/// A look at a table that stays locked until its column is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::execute) struct LockedLook {
    pub(in crate::execute) table: TableName,
    /// Locks everything that is used until then.
    pub(in crate::execute) lock: SqlText,
    /// Asks whether a value would be lost.
    pub(in crate::execute) is_lost: SqlText,
}

/// Why a column was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// A program has written a value since the count.
    Written,
    /// The table is too large to be looked through in the time given.
    TooLarge(Duration),
}

impl Guard {
    /// Returns the migrations that are taken back, the last of which drops the column.
    pub(super) fn before(&self, migrations: &[SqlMigration]) -> Vec<SqlMigration> {
        let mut guarded = migrations.to_vec();
        if let (Way::Begins(sql), Some(last)) = (&self.way, guarded.last_mut()) {
            last.begin_down_with(sql.as_str());
        }
        guarded
    }

    /// Returns the look for which the session locks the table.
    pub(super) fn locked(&self) -> Option<&LockedLook> {
        match &self.way {
            Way::Begins(_) => None,
            Way::Locks(look) => Some(look),
        }
    }

    /// Tells why it stopped, where an error is its.
    pub fn stopped(&self, error: &ApplyError) -> Option<Stopped> {
        let source = match error {
            ApplyError::Kept { stopped, .. } => return Some(*stopped),
            ApplyError::Failed { source, .. } => source,
            _ => return None,
        };
        let said = source.failure()?;
        if said.message.contains(STOPS) {
            return Some(Stopped::Written);
        }
        // Its statement was cancelled: the only one that has so little time.
        (source.sqlstate() == Some("57014")).then_some(Stopped::TooLarge(self.look))
    }
}

impl Run<'_> {
    /// Takes a migration back that drops a column, with the table locked from the look to the end.
    pub(super) fn under_lock(
        &mut self,
        script: &Script<'_>,
        (guard, look): (&LockedLook, Duration),
        wait: Duration,
        mut report: MigrationReport,
    ) -> Result<Attempt, Failed> {
        let kept = self.look_and_change(script, (guard, look), wait, &mut report);
        // Nothing else can be asked before; a lost session has no locks.
        let unlocked = self.session.batch("UNLOCK TABLES; SET SESSION max_statement_time = 0");
        if let Some(stopped) = kept? {
            return Ok(Attempt::Kept(stopped));
        }
        unlocked?;
        self.session.batch(&script.record(Backend::Mysql))?;
        Ok(Attempt::Done(report))
    }

    /// Returns why the column is kept, where it is.
    fn look_and_change(
        &mut self,
        script: &Script<'_>,
        (guard, look): (&LockedLook, Duration),
        wait: Duration,
        report: &mut MigrationReport,
    ) -> Result<Option<Stopped>, Failed> {
        let started = Instant::now();
        let (statement, by) = self.watched(guard.lock.as_str(), Patience::Brief)?;
        report.statements.push(statement);
        report.blockers = by;
        // Whoever came while the lock was waited for waits for the look, too.
        let left = if wait.is_zero() { look } else { wait.saturating_sub(started.elapsed()) };
        let limit = look.min(left.max(LOOKS));
        self.limit(limit)?;
        match self.session.query_bool(guard.is_lost.as_str()) {
            Ok(false) => {}
            Ok(true) => return Ok(Some(Stopped::Written)),
            Err(error) if is_cut(&error) && limit == look => {
                return Ok(Some(Stopped::TooLarge(look)));
            }
            // The wait has left it too little time, which the next one may not.
            Err(error) if is_cut(&error) => {
                let failed = Failed::new(error, Vec::new());
                return Err(Failed { is_passing: true, ..failed });
            }
            Err(error) => return Err(error.into()),
        }
        // The server drops a column in a moment, or else writes the whole table anew.
        self.limit(look.max(LOOKS * 4))?;
        match self.watched(&script.text, Patience::Brief) {
            Ok((statement, _)) => report.statements.push(statement),
            Err(failed) if is_cut(&failed.source) => return Ok(Some(Stopped::TooLarge(look))),
            Err(failed) => return Err(failed),
        }
        report.held = Some(started.elapsed());
        Ok(None)
    }

    /// Lets no statement take longer.
    fn limit(&mut self, time: Duration) -> Result<(), DbError> {
        self.session.batch(&format!("SET SESSION max_statement_time = {:.3}", time.as_secs_f64()))
    }
}

/// Reports whether a statement ran out of time.
fn is_cut(error: &DbError) -> bool {
    error.errno() == Some(1969)
}
