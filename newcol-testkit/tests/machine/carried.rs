//! Carries stages out while transactions of the application may be open, and runs the job in parts.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, OpenOptions},
    execute::{
        backfill::{Answer, Backfill, Event, Listener, Outcome, Settings},
        pace,
    },
    plan::Transaction,
};
use newcol_testkit::{
    life::{Action, LifeError, Script},
    wait::wait_until,
};

use super::{
    client::{LIMIT, chain, kill, open, run},
    model::{Machine, Way},
    moves::End,
};

/// The longest that a migration may wait for a lock; SQLite's is five seconds.
pub(crate) const BUDGET: Duration = Duration::from_secs(6);

impl Machine<'_> {
    /// Carries an action out, or takes it back, and returns whether it got its lock. One that did not
    /// has done nothing, which the next look at the rows shows.
    pub(super) fn carry_out(&mut self, action: &Action, way: Way) -> Result<bool, String> {
        if matches!(action, Action::Backfill(_)) && self.backend() == Backend::Sqlite {
            // One writer: the job would wait for five seconds, and then again.
            self.end_all(End::Commit)?;
        }
        let is_busy = self.transactions_have_written();
        if is_busy && self.waits(action) {
            return self.outlive_transactions(action, way).map(|()| true);
        }
        let started = Instant::now();
        let mut session = open(self.db.url());
        let done = match way {
            Way::Up => action.run(&mut session),
            Way::Down => action.undo(&mut session),
        };
        let took = started.elapsed();
        match done {
            Ok(()) => Ok(true),
            Err(error) if is_busy && error.is_conflict() && took < BUDGET => Ok(false),
            Err(error) if is_busy && error.is_conflict() => {
                Err(format!("it waited for {took:?}: {}", chain(&error)))
            }
            Err(error) => Err(chain(&error)),
        }
    }

    /// Reports whether an action waits for transactions as long as they take: the job, which holds
    /// nobody up, and a concurrent index.
    fn waits(&self, action: &Action) -> bool {
        match action {
            Action::Backfill(_) => true,
            Action::Migration(Script { transaction, .. }) => {
                self.backend() == Backend::Postgres && *transaction == Transaction::Bare
            }
            Action::Statements { .. } => false,
        }
    }

    /// Carries an action out; open transactions end when it waits for them.
    fn outlive_transactions(&mut self, action: &Action, way: Way) -> Result<(), String> {
        let url = self.db.url().to_owned();
        let waits = AtomicBool::new(false);
        thread::scope(|scope| {
            let worker = scope.spawn(|| -> Result<(), LifeError> {
                let told = |event: &Event| {
                    waits.fetch_or(matches!(event, Event::Retry { .. }), Ordering::SeqCst);
                    Answer::Go
                };
                match way {
                    Way::Up => action.run_told(&mut open(&url), &told),
                    Way::Down => action.undo(&mut open(&url)),
                }
            });
            let is_over = || worker.is_finished() || waits.load(Ordering::SeqCst);
            let seen = wait_until("end of a stage, or its wait", LIMIT, || {
                is_over() || self.somebody_waits()
            });
            if !worker.is_finished() {
                self.end_all(End::Commit)?;
            }
            let done = worker.join().unwrap_or_else(|panic| resume_unwind(panic));
            seen.map_err(|error| error.to_string())?;
            done.map_err(|error| chain(&error))
        })
    }

    fn somebody_waits(&mut self) -> bool {
        let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity \
             WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0)";
        self.backend() == Backend::Postgres && self.control.query_bool(sql).unwrap()
    }

    /// Begins a migration in a session that ends before it commits. MySQL and MariaDB commit every
    /// statement that changes a schema, so there is nothing to lose there.
    pub(super) fn dies(&mut self, action: &Action) -> Result<(), String> {
        let Action::Migration(Script { up, transaction: Transaction::Wrapped, .. }) = action else {
            return Ok(());
        };
        let mut session = open(self.db.url());
        run(&mut session, "BEGIN")?;
        // What keeps it from landing is told when it is carried out.
        session.batch(up).ok();
        Ok(())
    }

    /// Runs so many batches of the job, of a row each.
    pub(super) fn fill(&mut self, batches: u8) -> Result<(), String> {
        let left = AtomicU8::new(batches);
        self.job(&|event| match event {
            Event::Batch { .. } if left.fetch_sub(1, Ordering::SeqCst) <= 1 => Answer::Stop,
            // Rows that an open transaction holds are for another time.
            Event::Retry { .. } => Answer::Stop,
            _ => Answer::Go,
        })
    }

    /// Runs the job up to its first commit, where its process dies.
    pub(super) fn fill_that_dies(&mut self) -> Result<(), String> {
        /// What tells this end from a real panic.
        struct Died;
        let job = AssertUnwindSafe(|| {
            self.job(&|event| match event {
                Event::Committing { .. } => resume_unwind(Box::new(Died)),
                Event::Retry { .. } => Answer::Stop,
                _ => Answer::Go,
            })
        });
        match catch_unwind(job) {
            Err(panic) if !panic.is::<Died>() => resume_unwind(panic),
            Err(_died) => Ok(()),
            Ok(done) => done,
        }
    }

    /// Runs the job, whose session is killed at its first commit; it ends after the next ones.
    pub(super) fn fill_that_is_killed(&mut self) -> Result<(), String> {
        let other = Mutex::new(open(self.db.url()));
        self.struck(&|session| kill(&mut other.lock().unwrap(), session).unwrap())
    }

    /// Runs the job, at whose first commit the server crashes; it ends after the next ones.
    pub(super) fn fill_through_a_crash(&mut self) -> Result<(), String> {
        let db = self.db;
        self.struck(&|_session| db.crash_server().unwrap())
    }

    fn struck(&mut self, strike: &(dyn Fn(&str) + Sync)) -> Result<(), String> {
        let (is_struck, left) = (AtomicBool::new(false), AtomicU8::new(3));
        self.job(&|event| match event {
            Event::Committing { session } if !is_struck.swap(true, Ordering::SeqCst) => {
                strike(session);
                Answer::Go
            }
            Event::Batch { .. } if left.fetch_sub(1, Ordering::SeqCst) <= 1 => Answer::Stop,
            Event::Retry { .. } => Answer::Stop,
            _ => Answer::Go,
        })
    }

    fn job(&mut self, told: &Listener<'_>) -> Result<(), String> {
        if self.backend() == Backend::Sqlite && self.transactions_have_written() {
            // One writer: the job would wait for five seconds, and then again.
            return Ok(());
        }
        let url = DatabaseUrl::parse(self.db.url()).unwrap();
        let pace = pace::Settings { first_rows: 1, min_rows: 1, max_rows: 1, ..Default::default() };
        let settings = Settings { pace, ..Settings::default() };
        let contract = &self.life.plan.contract;
        let job = Backfill::new(contract, &url, OpenOptions::write()).settings(settings);
        match job.run(told) {
            Ok(Outcome::Done(_) | Outcome::Stopped(_)) => Ok(()),
            Ok(outcome @ Outcome::Unfillable { .. }) => Err(format!("{outcome:?}")),
            Err(error) => Err(chain(&error)),
        }
    }
}
