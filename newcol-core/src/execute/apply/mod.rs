//! Applies migrations to a live database: as Diesel does, and so that nobody notices.
//!
//! The same table is kept, the same files are run in the same order, whole or not at all where the
//! engine can. What is added: one runner at a time; a bound on every wait for a lock, with rests in
//! between; whoever stands in the way is named; concurrent builds of an index begin again where
//! they broke off; and what each statement did to others is reported.
//!
//! Everything here blocks. From async code, call it inside `tokio::task::spawn_blocking`.

mod budget;
mod error;
mod index;
mod migration;
mod postgres;
mod privileges;
mod report;
mod runner;
mod source;
mod watch;

use std::time::{Duration, Instant};

use diesel::migration::CREATE_MIGRATIONS_TABLE;

pub use self::{
    budget::Budget,
    error::ApplyError,
    report::{LockTaken, MigrationReport, Report, StatementReport},
    source::SqlMigration,
    watch::LOOKS,
};
use self::{migration::Attempt, watch::Watcher};
use super::{
    peers::{self, Peer, PeerKind},
    signal::Signal,
};
use crate::{
    backend::{Backend, Product},
    db::{DatabaseUrl, DbError, OpenOptions, Session},
};

/// A transaction that has held a lock on the table for longer than this is not queued behind.
const LONG: Duration = Duration::from_secs(1);

/// So many times a lock is asked for without waiting, where the server can do that (MariaDB):
/// whoever waits holds up all that come later, and ends transactions that have read the table and go
/// on to write it, since such a deadlock is always theirs.
const QUIET_TRIES: u32 = 100;

/// The longest rest between two of these.
const QUIET_REST: Duration = Duration::from_millis(200);

/// What happens, as it happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Another runner is at work.
    Queued {
        /// Who, where the server tells.
        by: Vec<Peer>,
    },
    /// Nothing has changed; whoever listens may stop.
    Waiting,
    /// A migration begins.
    Began {
        /// Its name.
        migration: String,
    },
    /// Long transactions hold the table: no lock is asked for while they do.
    Held {
        /// The migration that waits.
        migration: String,
        /// Who they are.
        by: Vec<Peer>,
    },
    /// A try got no lock, or a deadlock was broken; nothing of it is left.
    Retry {
        /// The migration.
        migration: String,
        /// Tries so far.
        tries: u32,
        /// What the server said.
        why: String,
        /// Who stood in the way.
        by: Vec<Peer>,
    },
    /// An index is built while programs go on.
    Building {
        /// What the server does.
        phase: String,
        /// How much of this phase is done, from 0 to 1.
        done: Option<f64>,
        /// Whose transaction must end before it goes on.
        waits_for: Option<Peer>,
    },
    /// Blockers were cancelled, as it was asked for.
    Cancelled {
        /// Who they were.
        by: Vec<Peer>,
    },
    /// Something worth knowing.
    Note(String),
    /// A migration is applied, or taken back.
    Done(MigrationReport),
}

/// What whoever listens wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Go,
    /// Stop before the next statement; the concurrent build of an index is cancelled and cleaned up.
    Stop,
}

/// Told what happens, from any thread.
pub type Listener<'a> = dyn Fn(&Event) -> Answer + Sync + 'a;

/// What to do about others that hold what a migration needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlockerPolicy {
    /// Leave, and say who they are.
    Show,
    /// Wait for them, asking for the lock again and again.
    #[default]
    Wait,
    /// End their statement or idle transaction; never those of superusers, replicas and vacuums.
    Cancel,
}

/// What to do about another runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Others {
    /// Wait until it is done, then apply what is left.
    #[default]
    Wait,
    /// Leave with [`ApplyError::AnotherRunner`].
    Leave,
}

/// How migrations are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Limits of waiting.
    pub budget: Budget,
    /// What to do about others that hold what a migration needs.
    pub blockers: BlockerPolicy,
    /// What to do about another runner.
    pub others: Others,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything wanted is applied, or taken back.
    Done(Report),
    /// Whoever listens wanted to stop.
    Stopped(Report),
}

impl Outcome {
    /// Returns what was done.
    pub fn report(&self) -> &Report {
        match self {
            Self::Done(report) | Self::Stopped(report) => report,
        }
    }
}

/// Which way a migration goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// Applies migrations to one database.
///
/// An application that migrates when it starts:
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use diesel_migrations::FileBasedMigrations;
/// use newcol_core::{
///     db::{DatabaseUrl, OpenOptions},
///     execute::apply::{Answer, Apply, SqlMigration},
/// };
///
/// # #[cfg(feature = "postgres")]
/// # {
/// // or `embed_migrations!()`
/// let source = FileBasedMigrations::find_migrations_directory()?;
/// let migrations = SqlMigration::of_source::<diesel::pg::Pg>(&source)?;
/// let url = DatabaseUrl::parse("postgres://localhost/app")?;
/// Apply::new(&url, OpenOptions::write()).run(&migrations, &|_| Answer::Go)?;
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Apply<'a> {
    url: &'a DatabaseUrl,
    open: OpenOptions,
    settings: Settings,
}

impl<'a> Apply<'a> {
    /// Prepares a run; the options must allow changes.
    pub fn new(url: &'a DatabaseUrl, open: OpenOptions) -> Self {
        Self { url, open, settings: Settings::default() }
    }

    /// Chooses how migrations are applied.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Applies what is not applied yet of these migrations, in the order given.
    ///
    /// # Errors
    ///
    /// At the first migration that cannot be applied; those before it are, and nothing is half done
    /// that the next run would not take up, except where [`ApplyError::Failed`] says so.
    pub fn run(
        &self,
        migrations: &[SqlMigration],
        listener: &Listener<'_>,
    ) -> Result<Outcome, ApplyError> {
        self.go(Direction::Up, migrations, listener)
    }

    /// Takes back what is applied of these migrations, in the order given.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub fn revert(
        &self,
        migrations: &[SqlMigration],
        listener: &Listener<'_>,
    ) -> Result<Outcome, ApplyError> {
        self.go(Direction::Down, migrations, listener)
    }

    /// Asks whether the user may do what these migrations need, and returns what it may not see, a
    /// sentence each. [`Self::run`] asks by itself; whoever runs in several parts asks for all of
    /// them before the first.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Privilege`] and [`ApplyError::ReadOnly`].
    pub fn check(
        session: &mut Session,
        migrations: &[SqlMigration],
    ) -> Result<Vec<String>, ApplyError> {
        privileges::check(session, Direction::Up, migrations)?;
        Ok(privileges::unseen(session)?)
    }

    fn go(
        &self,
        direction: Direction,
        migrations: &[SqlMigration],
        listener: &Listener<'_>,
    ) -> Result<Outcome, ApplyError> {
        let told = Told { listener, stop: Signal::default() };
        let mut session = Session::open_direct(self.url, &self.open)?;
        session.must_write()?;
        let mut watcher = Watcher::beside(&mut session)?;
        privileges::check(&mut session, direction, migrations)?;
        let mut report = Report::default();
        let runner = runner::take(&mut watcher.session, self.settings.others, &told)?;
        let Some(_runner) = runner else { return Ok(Outcome::Stopped(report)) };
        make_table(&mut session)?;
        let ends_vacuums = postgres::may_end_vacuums(&mut session)?;
        let settings = &self.settings;
        let mut run = Run { settings, told: &told, session, watcher, ends_vacuums };
        for migration in migrations {
            told.tell(&Event::Waiting);
            if told.is_stopped() {
                return Ok(Outcome::Stopped(report));
            }
            // Its session holds the right to run: once it is lost, another runner may be at work.
            run.watcher.session.value("SELECT 1")?;
            match run.one(direction, migration)? {
                Ended::Done(done) => {
                    told.tell(&Event::Done(done.clone()));
                    report.migrations.push(done);
                }
                Ended::AlreadyThere => {}
                Ended::Stopped => return Ok(Outcome::Stopped(report)),
            }
        }
        Ok(Outcome::Done(report))
    }
}

/// Whoever listens, and what they want.
struct Told<'a> {
    listener: &'a Listener<'a>,
    stop: Signal,
}

impl Told<'_> {
    fn tell(&self, event: &Event) {
        if (self.listener)(event) == Answer::Stop {
            self.stop.raise();
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_raised()
    }
}

/// How one migration ended.
enum Ended {
    Done(MigrationReport),
    /// Nothing had to be done.
    AlreadyThere,
    Stopped,
}

/// A run under way.
struct Run<'a> {
    settings: &'a Settings,
    told: &'a Told<'a>,
    session: Session,
    watcher: Watcher,
    /// Whether the server cancels an autovacuum before we stop waiting for it.
    ends_vacuums: bool,
}

impl Run<'_> {
    /// Tries a migration until it is done, or its time is over.
    fn one(&mut self, direction: Direction, migration: &SqlMigration) -> Result<Ended, ApplyError> {
        if self.is_recorded(migration)? == (direction == Direction::Up) {
            return Ok(Ended::AlreadyThere);
        }
        let script = migration.script(direction, self.session.backend())?;
        self.told.tell(&Event::Began { migration: migration.name.clone() });
        let started = Instant::now();
        let mut blockers: Vec<Peer> = Vec::new();
        for tries in 1.. {
            if !self.wait_for_holders(&script, started)? {
                return Ok(Ended::Stopped);
            }
            let quietly = script.may_be_quiet
                && self.settings.blockers == BlockerPolicy::Wait
                && self.session.server().product == Product::Mariadb
                && tries <= QUIET_TRIES;
            let wait = if quietly { Duration::ZERO } else { self.settings.budget.lock_timeout };
            let failed = match self.attempt(&script, wait)? {
                Attempt::Done(mut report) => {
                    report.tries = tries;
                    report.took = started.elapsed();
                    remember(&mut blockers, std::mem::take(&mut report.blockers));
                    return Ok(Ended::Done(MigrationReport { blockers, ..report }));
                }
                Attempt::AlreadyThere => return Ok(Ended::AlreadyThere),
                Attempt::Stopped => return Ok(Ended::Stopped),
                Attempt::Failed(failed) => failed,
            };
            remember(&mut blockers, failed.by.clone());
            let name = || migration.name.clone();
            // Diesel's own runner knows no lock, and may have been faster.
            if !failed.is_lost() && self.is_recorded(migration)? == (direction == Direction::Up) {
                return Ok(Ended::AlreadyThere);
            }
            if !failed.is_passing || !script.may_repeat {
                return Err(ApplyError::Failed {
                    migration: name(),
                    source: Box::new(failed.source),
                    in_part: !script.may_repeat,
                });
            }
            if quietly {
                self.told.tell(&Event::Waiting);
                if self.told.stop.wait(QUIET_REST.mul_f64(fastrand::f64())) {
                    return Ok(Ended::Stopped);
                }
                continue;
            }
            if self.settings.blockers == BlockerPolicy::Show {
                return Err(ApplyError::Blocked { migration: name(), by: failed.by });
            }
            let waited = started.elapsed();
            if waited >= self.settings.budget.max_wait {
                return Err(ApplyError::Busy { migration: name(), tries, waited, by: failed.by });
            }
            let why = failed.source.failure().map(|said| said.message.clone()).unwrap_or_default();
            self.told.tell(&Event::Retry { migration: name(), tries, why, by: failed.by.clone() });
            self.cancel(&failed.by)?;
            if self.told.stop.wait(self.settings.budget.rest(tries, fastrand::f64())) {
                return Ok(Ended::Stopped);
            }
        }
        unreachable!("tries are counted until something ends them")
    }

    fn is_recorded(&mut self, migration: &SqlMigration) -> Result<bool, DbError> {
        let sql = migration::recorded(self.session.backend(), &migration.version);
        self.session.query_bool(&sql)
    }

    fn cancel(&mut self, by: &[Peer]) -> Result<(), DbError> {
        if self.settings.blockers != BlockerPolicy::Cancel {
            return Ok(());
        }
        let by = peers::cancel(&mut self.watcher.session, by)?;
        if !by.is_empty() {
            self.told.tell(&Event::Cancelled { by });
        }
        Ok(())
    }

    /// Waits while a long transaction holds the table: whoever queued behind it would hold up all
    /// that come later. Returns `false` where whoever listens wants to stop.
    fn wait_for_holders(
        &mut self,
        script: &migration::Script<'_>,
        started: Instant,
    ) -> Result<bool, ApplyError> {
        /// How often the holders are asked for.
        const ASK: Duration = Duration::from_millis(100);
        let (Backend::Postgres, Some(table)) = (self.session.backend(), &script.holds_up) else {
            return Ok(true);
        };
        let mut is_told = false;
        loop {
            let id = self.watcher.id().to_owned();
            let mut by = peers::holders(&mut self.watcher.session, table, LONG, &id)?;
            by.retain(|peer| {
                !(self.ends_vacuums && peer.kind == PeerKind::Autovacuum { wraparound: false })
            });
            if by.is_empty() {
                return Ok(true);
            }
            let migration = script.migration.name.clone();
            if self.settings.blockers == BlockerPolicy::Show {
                return Err(ApplyError::Blocked { migration, by });
            }
            let waited = started.elapsed();
            if waited >= self.settings.budget.max_wait {
                return Err(ApplyError::Busy { migration, tries: 0, waited, by });
            }
            if std::mem::replace(&mut is_told, true) {
                self.told.tell(&Event::Waiting);
            } else {
                self.told.tell(&Event::Held { migration, by: by.clone() });
            }
            self.cancel(&by)?;
            if self.told.stop.wait(ASK) {
                return Ok(false);
            }
        }
    }
}

/// Makes Diesel's table where it is missing; its own runner may do the same at this moment.
fn make_table(session: &mut Session) -> Result<(), DbError> {
    if session.has_migrations_table()? {
        return Ok(());
    }
    match session.batch(CREATE_MIGRATIONS_TABLE) {
        Err(error) if !session.has_migrations_table()? => Err(error),
        _ => Ok(()),
    }
}

/// Adds blockers that are not known yet.
fn remember(known: &mut Vec<Peer>, seen: Vec<Peer>) {
    for blocker in seen {
        if !known.iter().any(|one| one.id == blocker.id) {
            known.push(blocker);
        }
    }
}
