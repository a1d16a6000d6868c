//! One try of one migration, on any engine.

use std::{
    borrow::Cow,
    ops::Range,
    time::{Duration, Instant},
};

use super::{
    ApplyError, Direction, MigrationReport, Run, SqlMigration, StatementReport, guard,
    locking::Locking,
    partitions::Parts,
    watch::Patience,
    wish::{self, Concurrent},
};
use crate::{
    backend::Backend,
    db::{DbError, one_line},
    execute::peers::Peer,
    render::{migrations::owner, text::exact_literal},
    sql::{self, Statement},
};

/// Statements of a migration that are sent and looked at one by one. To look takes about a
/// millisecond, for which the locks are held.
const ONE_BY_ONE: usize = 16;

/// What a migration runs, and what is known of it beforehand.
pub(super) struct Script<'a> {
    pub(super) migration: &'a SqlMigration,
    pub(super) direction: Direction,
    /// All that is run: without the limit that the file sets for other runners.
    pub(super) text: Cow<'a, str>,
    /// Its statements, where the engine is given them one by one.
    pub(super) statements: Vec<Piece<'a>>,
    /// The statement that builds or drops an index concurrently, where it is one.
    pub(super) concurrent: Option<Concurrent>,
    /// The index that it puts together, where the table is partitioned.
    pub(super) parts: Option<Parts>,
    /// What is locked, where programs have to wait for that.
    pub(super) holds_up: Option<Locking>,
    /// Whether it builds an index concurrently under a name that is not known beforehand: what a try
    /// leaves of it, no later one finds.
    pub(super) builds_nameless: bool,
    /// Whether a failed try leaves nothing, or nothing that hinders the next one.
    pub(super) may_repeat: bool,
    /// Whether the server may refuse its lock at once, and nobody ever waits for it.
    pub(super) may_be_quiet: bool,
}

/// What is sent at once.
pub(super) struct Piece<'a> {
    pub(super) sql: Cow<'a, str>,
    /// Programs read and write meanwhile, so it may take as long as the table is large.
    pub(super) is_gentle: bool,
}

/// How a try ended.
pub(super) enum Attempt {
    Done(MigrationReport),
    /// Another program applied it meanwhile.
    AlreadyThere,
    Stopped,
    /// The column is not dropped.
    Kept(guard::Stopped),
    Failed(Failed),
}

/// A try that failed.
pub(super) struct Failed {
    pub(super) source: DbError,
    /// Whether others held it up, so that the next try may go well.
    pub(super) is_passing: bool,
    /// Who did.
    pub(super) by: Vec<Peer>,
    /// Whether it was cancelled rather than wait for them any longer.
    pub(super) is_left: bool,
}

impl Failed {
    pub(super) fn new(source: DbError, by: Vec<Peer>) -> Self {
        let is_passing = source.failure().is_some_and(|said| {
            !said.lost && (said.is_lock_timeout() || said.is_deadlock() || said.is_overtaken())
        });
        Self { source, is_passing, by, is_left: false }
    }
}

impl Failed {
    /// Reports whether the connection went with it.
    pub(super) fn is_lost(&self) -> bool {
        self.source.failure().is_some_and(|said| said.lost)
    }
}

impl From<DbError> for Failed {
    fn from(source: DbError) -> Self {
        Self::new(source, Vec::new())
    }
}

impl SqlMigration {
    /// Reads what a way has to run.
    pub(super) fn script(
        &self,
        direction: Direction,
        backend: Backend,
    ) -> Result<Script<'_>, ApplyError> {
        let text = match direction {
            Direction::Up => self.up.as_str(),
            Direction::Down => self
                .down
                .as_deref()
                .ok_or_else(|| ApplyError::NoDown { migration: self.name.clone() })?,
        };
        let owner = owner(text);
        let found = sql::statements(text, backend);
        let own_timeout = |statement: &Statement| {
            owner.is_some()
                && [["SET", "LOCAL", "lock_timeout"], ["SET", "SESSION", "lock_wait_timeout"]]
                    .iter()
                    .any(|words| statement.starts(words))
        };
        let acting: Vec<&Statement> =
            found.iter().filter(|statement| !own_timeout(statement)).collect();
        let concurrent = match acting.as_slice() {
            [one] if backend == Backend::Postgres && !self.in_transaction => {
                wish::concurrent(one, &text[one.range()])
            }
            _ => None,
        };
        let builds_nameless = backend == Backend::Postgres
            && !self.in_transaction
            && concurrent.is_none()
            && acting.iter().any(|one| one.builds_concurrently());
        let parts = match &owner {
            Some((path, _))
                if backend == Backend::Postgres
                    && self.in_transaction
                    && direction == Direction::Up =>
            {
                let whole = acting.iter().find_map(|one| wish::ordinary(one, &text[one.range()]));
                whole.map(|whole| Parts { whole, column: path.column.clone() })
            }
            _ => None,
        };
        let is_gentle = |one: &&Statement| {
            one.is_gentle() || !(one.is_ddl() || one.starts(&["DO"]) || one.starts(&["LOCK"]))
        };
        let holds_up = owner
            .as_ref()
            .filter(|_| !acting.iter().all(is_gentle))
            .map(|(column, _)| Locking::of(column.table.clone(), text, &acting));
        let controls = acting.iter().any(|one| {
            ["BEGIN", "COMMIT", "START", "ROLLBACK", "END"].iter().any(|word| one.starts(&[word]))
        });
        let may_repeat = match backend {
            // All of it is one transaction, whoever begins it.
            Backend::Postgres => !controls && !builds_nameless,
            // Each statement is committed by itself; ours begin with what may be done twice.
            Backend::Mysql => {
                owner.is_some() || acting.iter().filter(|one| !one.starts(&["SET"])).count() <= 1
            }
            Backend::Sqlite => self.in_transaction || owner.is_some(),
        };
        // What is over in a moment may ask again and again; a long build would begin anew each time.
        let mut changes = acting.iter().filter(|one| one.is_ddl()).peekable();
        let may_be_quiet = backend == Backend::Mysql
            && may_repeat
            && changes.peek().is_some()
            && changes.all(|one| one.is_instant());
        let lead = match (backend, acting.first()) {
            (Backend::Mysql, Some(first)) => first.range().start,
            (Backend::Postgres | Backend::Mysql | Backend::Sqlite, _) => 0,
        };
        let limits = found.iter().filter(|one| own_timeout(one)).map(Statement::range);
        let cuts = limits.filter(|limit| limit.start >= lead);
        let whole = without(text, (lead > 0).then_some(0..lead).into_iter().chain(cuts));
        let statements = match backend {
            Backend::Postgres
                if self.in_transaction && (1..=ONE_BY_ONE).contains(&acting.len()) =>
            {
                let piece = |one: &&Statement| Piece {
                    sql: text[one.range()].into(),
                    is_gentle: one.is_gentle(),
                };
                acting.iter().map(piece).collect()
            }
            Backend::Postgres | Backend::Mysql | Backend::Sqlite => {
                vec![Piece { sql: whole.clone(), is_gentle: acting.iter().all(is_gentle) }]
            }
        };
        Ok(Script {
            migration: self,
            direction,
            text: whole,
            statements,
            concurrent,
            builds_nameless,
            parts,
            holds_up,
            may_repeat,
            may_be_quiet,
        })
    }
}

/// Cuts parts out of a text, each with its semicolon, and leaves the rest as it is.
fn without(text: &str, cuts: impl Iterator<Item = Range<usize>>) -> Cow<'_, str> {
    let mut rest = Cow::Borrowed(text);
    for cut in cuts.collect::<Vec<_>>().into_iter().rev() {
        let after = text[cut.end..].trim_start();
        let end = text.len() - after.strip_prefix(';').unwrap_or(after).len();
        rest.to_mut().replace_range(cut.start..end, "");
    }
    rest
}

impl Statement {
    /// Reports whether PostgreSQL lets programs read and write while it runs.
    pub(super) fn is_gentle(&self) -> bool {
        let words = self.words();
        self.starts(&["COMMENT"])
            || words.iter().any(|word| word == "CONCURRENTLY")
            || words.windows(2).any(|two| two == ["VALIDATE", "CONSTRAINT"])
    }

    /// Reports whether PostgreSQL builds an index, which programs use only afterwards.
    fn builds_concurrently(&self) -> bool {
        (self.starts(&["CREATE"]) || self.starts(&["REINDEX"]))
            && self.words().iter().any(|word| word == "CONCURRENTLY")
    }

    /// Reports whether MySQL and MariaDB change only what is known of the table.
    fn is_instant(&self) -> bool {
        self.words().windows(2).any(|two| two == ["ALGORITHM", "INSTANT"])
            || self.starts(&["CREATE", "TRIGGER"])
            || self.starts(&["DROP", "TRIGGER"])
    }
}

impl Script<'_> {
    /// Returns the statement that changes Diesel's table.
    pub(super) fn record(&self, backend: Backend) -> String {
        let version = exact_literal(backend, &self.migration.version);
        match self.direction {
            Direction::Up => {
                format!("INSERT INTO __diesel_schema_migrations (version) VALUES ({version})")
            }
            Direction::Down => {
                format!("DELETE FROM __diesel_schema_migrations WHERE version = {version}")
            }
        }
    }

    pub(super) fn report(&self) -> MigrationReport {
        MigrationReport {
            version: self.migration.version.clone(),
            name: self.migration.name.clone(),
            tries: 1,
            took: Duration::ZERO,
            held: None,
            statements: Vec::new(),
            blockers: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Returns the question whether a version is in Diesel's table.
pub(super) fn recorded(backend: Backend, version: &str) -> String {
    let version = exact_literal(backend, version);
    format!("SELECT count(*) FROM __diesel_schema_migrations WHERE version = {version}")
}

impl Run<'_> {
    /// Tries a migration once.
    pub(super) fn attempt(
        &mut self,
        script: &Script<'_>,
        wait: Duration,
    ) -> Result<Attempt, ApplyError> {
        let tried = match (self.session.backend(), &script.concurrent) {
            (Backend::Postgres, Some(concurrent)) => {
                return self.concurrently(script, concurrent);
            }
            (Backend::Postgres, None) if script.migration.in_transaction => {
                self.in_transaction(script)
            }
            (Backend::Postgres, None) => self.bare(script),
            (Backend::Mysql, _) => self.committing(script, wait),
            (Backend::Sqlite, _) => self.one_writer(script),
        };
        Ok(tried.unwrap_or_else(|failed| {
            // What failed first is the error; most engines have nothing left to take back.
            self.session.batch("ROLLBACK").ok();
            if self.was_stopped(&failed) { Attempt::Stopped } else { Attempt::Failed(failed) }
        }))
    }

    /// Tells a statement that was cancelled for whoever listens from one that failed.
    pub(super) fn was_stopped(&self, failed: &Failed) -> bool {
        failed.source.sqlstate() == Some("57014") && self.told.is_stopped()
    }

    /// Runs a statement, looked at from outside.
    pub(super) fn watched(
        &mut self,
        sql: &str,
        patience: Patience<'_>,
    ) -> Result<(StatementReport, Vec<Peer>), Failed> {
        let started = Instant::now();
        let Self { session, watcher, .. } = self;
        let (done, seen) = watcher.during(patience, || session.batch(sql));
        done.map_err(|error| {
            let is_left = seen.is_left && error.sqlstate() == Some("57014");
            Failed { is_left, ..Failed::new(error, seen.blockers.clone()) }
        })?;
        let report = StatementReport {
            sql: one_line(sql),
            took: started.elapsed(),
            waited: seen.waited,
            locks: Vec::new(),
            blocked: seen.blocked,
        };
        Ok((report, seen.blockers))
    }

    /// Tries a migration on MySQL or MariaDB, which commit each statement by itself: a session of
    /// its own has nothing left of the try before.
    fn committing(&mut self, script: &Script<'_>, wait: Duration) -> Result<Attempt, Failed> {
        self.session = self.session.again()?;
        self.watcher.turn_to(&mut self.session)?;
        if self.is_recorded(script.migration)? == (script.direction == Direction::Up) {
            return Ok(Attempt::AlreadyThere);
        }
        let mut report = script.report();
        if self.has_landed(script)? {
            report.notes.push("an earlier run did it and could not write it down".to_owned());
        } else {
            let seconds = wait.as_secs_f64().ceil();
            let for_rows = seconds.max(1.0);
            self.session.batch(&format!(
                "SET SESSION lock_wait_timeout = {seconds}, SESSION innodb_lock_wait_timeout = {for_rows}"
            ))?;
            if let Some(guarded) = self.look {
                let whole = Duration::from_secs_f64(if wait.is_zero() { 0.0 } else { for_rows });
                return self.under_lock(script, guarded, whole, report);
            }
            if script.migration.in_transaction {
                self.session.batch("BEGIN")?;
            }
            let (statement, by) = self.watched(&script.text, Patience::Brief)?;
            report.statements.push(statement);
            report.blockers = by;
        }
        self.session.batch(&script.record(Backend::Mysql))?;
        if script.migration.in_transaction {
            self.session.batch("COMMIT")?;
        }
        Ok(Attempt::Done(report))
    }

    /// Reports whether the server shows that a migration has been carried out, or taken back: whoever
    /// did it before could not write it down.
    fn has_landed(&mut self, script: &Script<'_>) -> Result<bool, DbError> {
        let proofs = &script.migration.proofs;
        for proof in proofs {
            if self.session.query_bool(proof)? != (script.direction == Direction::Up) {
                return Ok(false);
            }
        }
        Ok(!proofs.is_empty())
    }

    /// Tries a migration on SQLite: whoever writes holds up all other writers, so the right to write
    /// comes first and is not waited for within a transaction.
    fn one_writer(&mut self, script: &Script<'_>) -> Result<Attempt, Failed> {
        // Its own PRAGMAs and a transaction that it left open go with the session.
        self.session = self.session.again()?;
        let milliseconds = self.settings.budget.lock_timeout.as_millis();
        self.session.batch(&format!("PRAGMA busy_timeout = {milliseconds}"))?;
        let is_wrapped = script.migration.in_transaction;
        if is_wrapped {
            self.session.batch("BEGIN IMMEDIATE")?;
        }
        if self.is_recorded(script.migration)? == (script.direction == Direction::Up) {
            if is_wrapped {
                self.session.batch("ROLLBACK")?;
            }
            return Ok(Attempt::AlreadyThere);
        }
        let started = Instant::now();
        let mut report = script.report();
        let (statement, _) = self.watched(&script.text, Patience::Brief)?;
        report.statements.push(statement);
        self.session.batch(&script.record(Backend::Sqlite))?;
        if is_wrapped {
            self.session.batch("COMMIT")?;
        }
        report.held = Some(started.elapsed());
        Ok(Attempt::Done(report))
    }
}
