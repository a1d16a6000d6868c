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
mod guard;
mod index;
mod locking;
mod migration;
mod partitions;
mod postgres;
mod privileges;
mod report;
mod run;
mod runner;
mod source;
mod watch;
mod wish;

use std::time::Duration;

use diesel::migration::CREATE_MIGRATIONS_TABLE;

use self::run::{Ended, Run};
pub use self::{
    budget::Budget,
    error::ApplyError,
    guard::{Guard, Stopped},
    report::{LockTaken, MigrationReport, Report, StatementReport},
    source::SqlMigration,
    watch::LOOKS,
};
pub(super) use self::{
    guard::{LockedLook, STOPS, Way},
    watch::{Patience, Watcher},
};
use super::{peers::Peer, signal::Signal};
use crate::db::{DatabaseUrl, DbError, OpenOptions, Session};

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
    guard: Option<&'a Guard>,
}

impl<'a> Apply<'a> {
    /// Prepares a run; the options must allow changes.
    pub fn new(url: &'a DatabaseUrl, open: OpenOptions) -> Self {
        Self { url, open, settings: Settings::default(), guard: None }
    }

    /// Chooses how migrations are applied.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Looks at the rows once more before the last migration that is taken back drops their column.
    #[must_use]
    pub fn guarded(self, guard: &'a Guard) -> Self {
        Self { guard: Some(guard), ..self }
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
        self.go(Direction::Up, migrations, None, listener)
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
        let Some(guard) = self.guard else {
            return self.go(Direction::Down, migrations, None, listener);
        };
        let look = guard.locked().map(|locked| (locked, guard.look));
        self.go(Direction::Down, &guard.before(migrations), look, listener)
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
        privileges::check(session, Direction::Up, migrations, None)?;
        Ok(privileges::unseen(session)?)
    }

    fn go(
        &self,
        direction: Direction,
        migrations: &[SqlMigration],
        look: Option<(&LockedLook, Duration)>,
        listener: &Listener<'_>,
    ) -> Result<Outcome, ApplyError> {
        let told = Told { listener, stop: Signal::default() };
        let mut session = Session::open_direct(self.url, &self.open)?;
        session.must_write()?;
        let mut watcher = Watcher::beside(&mut session)?;
        let locked = look.map(|(look, _)| &look.table);
        privileges::check(&mut session, direction, migrations, locked)?;
        let mut report = Report::default();
        let runner = runner::take(&mut watcher.session, self.settings.others, &told)?;
        let Some(_runner) = runner else { return Ok(Outcome::Stopped(report)) };
        make_table(&mut session)?;
        let ends_vacuums = postgres::may_end_vacuums(&mut session)?;
        let settings = &self.settings;
        let mut run =
            Run { settings, told: &told, session, watcher, ends_vacuums, left: None, look: None };
        for (index, migration) in migrations.iter().enumerate() {
            told.tell(&Event::Waiting);
            if told.is_stopped() {
                return Ok(Outcome::Stopped(report));
            }
            // Its session holds the right to run: once it is lost, another runner may be at work.
            run.watcher.session.value("SELECT 1")?;
            run.look = look.filter(|_| index + 1 == migrations.len());
            let ended = run.one(direction, migration);
            if !matches!(ended, Ok(Ended::Done(_) | Ended::AlreadyThere)) {
                run.say_what_is_left();
            }
            match ended? {
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
pub(super) struct Told<'a> {
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
