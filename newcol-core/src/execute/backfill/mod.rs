//! Fills a column in rows that exist already: a resumable job of many small transactions.
//!
//! [`Backfill::run`] reads the table and what an UPDATE would do besides ([`Job`]), then walks
//! through it in passes: the first fills, every later one looks at each row and fills what was
//! missed, until a pass finds nothing pending. Each batch changes rows and the job's record in one
//! transaction, so a run that is killed anywhere goes on where it was, on this machine or another.
//!
//! [`Backfill::verify`] looks at every row and changes none; [`Backfill::repair`] fills what that
//! found, and nothing else. [`Backfill::losses`] finds what would be lost with the column.
//!
//! What it does not do: decide how fast (that is [`super::pace`]), or judge side effects (that is
//! [`super::side_effects`]).
//!
//! Synchronous, with a thread and a connection for each worker. From async code, call it inside
//! `tokio::task::spawn_blocking`.

mod ahead;
mod batch;
mod blame;
mod chunk;
mod code;
mod computed;
mod counts;
mod error;
mod estimate;
mod job;
mod lag;
mod loss;
mod pass;
mod place;
mod receipt;
mod record;
mod repair;
mod sample;
mod sessions;
mod start;
mod stretch;
mod sweep;
mod tune;
mod verify;
mod walk;
mod worker;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use self::{code::Filler, record::Record, worker::Worker};
pub use self::{
    code::{PerRow, RowFill, per_row},
    error::BackfillError,
    estimate::Estimate,
    job::{Job, Relation, Route},
    loss::{Counted, LossError, Losses},
    receipt::Receipt,
    record::{FORMAT, JobRecord, Order, Phase, RECORD_TABLES, Totals, clear, forgetting, remains},
    repair::{Repair, Repaired},
    verify::{BadChunk, Recorded, Verification},
    worker::Storing,
};
use super::{
    apply::Budget,
    pace::{self, Decision, Limit, Next},
    peers::Peer,
    side_effects::Triggers,
    signal::Signal,
};
use crate::{
    contract::Contract,
    db::{DatabaseUrl, OpenOptions, Session},
};

/// How a backfill is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Workers of this run; others may join from other machines.
    pub workers: NonZeroU32,
    /// How fast each of them works.
    pub pace: pace::Settings,
    /// How long it waits at its start for those who hold the table. Of a batch, the pace decides.
    pub budget: Budget,
    /// What triggers of the table do meanwhile.
    pub triggers: Triggers,
    /// Walks by key also where blocks would do (PostgreSQL).
    pub by_key: bool,
    /// Forgets a record that there is, and begins anew; filled rows keep their values.
    pub restart: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: NonZeroU32::MIN,
            pace: pace::Settings::default(),
            budget: Budget::default(),
            triggers: Triggers::default(),
            by_key: false,
            restart: false,
        }
    }
}

/// What a run tells while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The work begins or goes on.
    Began {
        /// Estimated rows of the table; `None` where nobody knows.
        rows: Option<u64>,
        /// What was done before, where an earlier run had begun.
        resumed: Option<Totals>,
        /// What the user should know, one sentence each.
        notices: Vec<String>,
    },
    /// A pass over the table begins.
    Pass {
        /// What it does.
        phase: Phase,
        /// Its number, counted from 1.
        pass: u32,
    },
    /// A batch is about to be committed. Whoever asks the server now sees what it holds, and holds
    /// it up meanwhile.
    Committing {
        /// The worker's session, as the server numbers it; on SQLite its process.
        session: String,
    },
    /// A batch was committed.
    Batch {
        /// Rows that it filled.
        filled: u64,
        /// Rows that it went past, as far as known.
        passed: u64,
        /// What limits the pace now.
        limit: Limit,
    },
    /// Nothing is done for a moment, and this is why.
    Waiting(Limit),
    /// Others hold the table, so nothing is begun yet; it is tried again.
    Held {
        /// How often it was tried.
        tries: u32,
        /// What the server said.
        why: String,
        /// Who they are, where the server tells.
        by: Vec<Peer>,
    },
    /// A batch was rolled back and is tried again.
    Retry {
        /// How often it was tried.
        tries: u32,
        /// What the server said.
        why: String,
    },
    /// Rows were changed by others while code computed their values, which was done anew.
    Recomputed {
        /// How many.
        rows: u64,
    },
    /// The connection broke and is made again; whoever does not want to wait may stop.
    Connecting {
        /// Which try it is.
        tries: u32,
    },
    /// The connection broke and was made again.
    Reconnected,
}

/// What those who are told an event want; it holds until the next event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Go,
    /// Rest; [`Event::Waiting`] asks again about once a second.
    Pause,
    /// Leave after the batch that is under way.
    Stop,
}

/// Is told every event, by several workers at once.
pub type Listener<'a> = dyn Fn(&Event) -> Answer + Sync + 'a;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every row that the expression has a value for holds one.
    Done(Receipt),
    /// It was asked to stop; the next run goes on.
    Stopped(Totals),
    /// Rows stay NULL, because the expression yields NULL for them, and the column is required.
    Unfillable {
        /// How many.
        rows: u64,
        /// The first of them, by key.
        keys: Vec<String>,
        /// Everything else is done.
        totals: Totals,
    },
}

/// A backfill of one column on one database.
#[derive(Debug, Clone)]
pub struct Backfill<'a> {
    contract: &'a Contract,
    url: &'a DatabaseUrl,
    open: OpenOptions,
    settings: Settings,
    code: Option<Filler<'a>>,
}

/// What all workers of a run share.
struct Shared<'a> {
    listener: &'a Listener<'a>,
    stop: Signal,
    pause: AtomicBool,
    /// Computes the values, where SQL does not.
    code: Option<Filler<'a>>,
}

impl<'a> Shared<'a> {
    fn new(listener: &'a Listener<'a>, code: Option<Filler<'a>>) -> Self {
        Self { listener, stop: Signal::default(), pause: AtomicBool::new(false), code }
    }

    fn tell(&self, event: &Event) {
        let answer = (self.listener)(event);
        self.pause.store(answer == Answer::Pause, Ordering::SeqCst);
        if answer == Answer::Stop {
            self.stop();
        }
    }

    fn is_paused(&self) -> bool {
        self.pause.load(Ordering::SeqCst)
    }

    /// Lets all workers leave after their batch; those that rest wake up.
    fn stop(&self) {
        self.stop.raise();
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_raised()
    }

    /// Waits so long, or until it is to stop.
    fn rest(&self, time: Duration) {
        self.stop.wait(time);
    }

    /// Takes the rest that a pace wants, and returns how many rows are next; `None` where it must look
    /// at the signals first. Whoever wants to stop is asked: a rest may be long.
    fn wait(&self, decision: Decision) -> Option<u64> {
        self.rest(decision.pause);
        match decision.next {
            Next::Batch { rows } => (!self.is_stopped()).then_some(rows),
            Next::Recheck => {
                if !decision.pause.is_zero() {
                    self.tell(&Event::Waiting(decision.limit));
                }
                None
            }
        }
    }
}

/// Where the application's code panics, the other workers leave, too, after their batch.
struct StopOnPanic<'a>(&'a Shared<'a>);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

impl<'a> Backfill<'a> {
    /// Prepares the backfill of a contract's column.
    pub fn new(contract: &'a Contract, url: &'a DatabaseUrl, open: OpenOptions) -> Self {
        Self { contract, url, open, settings: Settings::default(), code: None }
    }

    /// Runs it in another way than by default.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Computes the values in this code, as a contract with `[old_rows] rust = "…"` wants it.
    ///
    /// The code runs outside of transactions. A row that others change meanwhile is not written: its
    /// value is computed again.
    ///
    /// ```
    /// # #[cfg(not(feature = "sqlite"))]
    /// # fn main() {}
    /// # #[cfg(feature = "sqlite")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// use newcol_core::{
    ///     contract::read::read,
    ///     db::{DatabaseUrl, OpenOptions, Session},
    ///     execute::backfill::{Answer, Backfill, Outcome, per_row},
    /// };
    ///
    /// newcol_core::row! {
    ///     struct User {
    ///         email: String,
    ///     }
    /// }
    ///
    /// /// A function of the application.
    /// fn domain(email: &str) -> Option<String> {
    ///     email.split_once('@').map(|(_, domain)| domain.to_lowercase())
    /// }
    ///
    /// let text = "
    ///     format = 1
    ///     table = 'users'
    ///     column = 'domain'
    ///     why = 'the new page groups users by it'
    ///     type = 'text'
    ///     required = true
    ///     [old_rows]
    ///     rust = 'crate::domain'
    ///     [old_writers]
    ///     by = 'nobody'
    /// ";
    /// let contract = read(text).map_err(|_| "the contract is wrong")?.contract;
    /// let dir = tempfile::tempdir()?;
    /// let url = DatabaseUrl::parse(&format!("{}/app.db", dir.path().display()))?;
    /// let mut session = Session::open(&url, &OpenOptions::create())?;
    /// session.batch("CREATE TABLE users (id integer PRIMARY KEY, email text, domain text)")?;
    /// session.batch("INSERT INTO users (email) VALUES ('ada@example.org'), ('bob@example.net')")?;
    ///
    /// // Where the values come from: a function of the application, called for each row.
    /// let fill = per_row(|user: &User| Ok(domain(&user.email)));
    /// let job = Backfill::new(&contract, &url, OpenOptions::write()).rust(&fill);
    /// let Outcome::Done(receipt) = job.run(&|_event| Answer::Go)? else { panic!("not done") };
    ///
    /// assert_eq!((receipt.filled, receipt.empty), (2, 0));
    /// let ada = session.value("SELECT domain FROM users WHERE id = 1")?;
    /// assert_eq!(ada.as_deref(), Some("example.org"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn rust<F: RowFill>(self, fill: &'a F) -> Self {
        Self { code: Some(Filler::new(fill)), ..self }
    }

    /// Fills the column, from the start or from where an earlier run stopped.
    ///
    /// # Errors
    ///
    /// Before anything is written: when the table, a side effect or an earlier record stand in the
    /// way. Later: when the server refuses a batch for good; all batches before it stay.
    pub fn run(&self, listener: &Listener<'_>) -> Result<Outcome, BackfillError> {
        let mut session = Session::open_direct(self.url, &self.open)?;
        let workers = self.settings.workers.get();
        let record = Record::new(session.backend(), self.contract.path());
        let shared = Shared::new(listener, self.code);
        let begun = self.patiently(&mut session, &shared, |session| {
            let job = Arc::new(self.job(session)?);
            if workers > 1 && job.fill.backend == crate::backend::Backend::Sqlite {
                return Err(BackfillError::OneWriter);
            }
            record.create(session)?;
            let resumed = pass::begin(&record, session, &job, &self.settings)?;
            Ok((job, resumed))
        })?;
        let Some((job, resumed)) = begun else {
            let known = record.read(&mut session)?;
            let totals = known.map(|_| record.totals(&mut session)).transpose()?;
            return Ok(Outcome::Stopped(totals.unwrap_or_default()));
        };
        shared.tell(&Event::Began {
            rows: job.plan.facts.rows,
            resumed,
            notices: job.care.notices.clone(),
        });
        let work = |session| {
            let _stop = StopOnPanic(&shared);
            let done = Worker::new(&job, &record, &self.settings, &shared, session).work();
            if done.is_err() {
                // The others finish their batch; what they did stays.
                shared.stop();
            }
            done
        };
        let others = (1..workers).map(|_| session.again()).collect::<Result<Vec<_>, _>>()?;
        thread::scope(|scope| {
            let handles: Vec<_> =
                others.into_iter().map(|session| scope.spawn(|| work(session))).collect();
            let mine = work(session);
            let theirs = handles.into_iter().map(|handle| {
                handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            // An error of any worker counts; else the first one saw how it ended.
            let theirs = theirs.collect::<Result<Vec<_>, _>>();
            mine.and_then(|outcome| theirs.map(|_| outcome))
        })
    }

    /// Reads what a run would work on, and estimates what it may take; `None` where it was asked to
    /// stop while others held the table. Only asks.
    ///
    /// # Errors
    ///
    /// As [`Self::run`], before anything is written.
    pub fn look(&self, listener: &Listener<'_>) -> Result<Option<(Job, Estimate)>, BackfillError> {
        let mut session = Session::open_direct(self.url, &self.open)?;
        let shared = Shared::new(listener, self.code);
        self.patiently(&mut session, &shared, |session| {
            let job = self.job(session)?;
            let estimate = Estimate::of(&job, session)?;
            Ok((job, estimate))
        })
    }

    fn patiently<T>(
        &self,
        session: &mut Session,
        shared: &Shared<'_>,
        work: impl FnMut(&mut Session) -> Result<T, BackfillError>,
    ) -> Result<Option<T>, BackfillError> {
        start::patiently(session, self.contract.path(), &self.settings.budget, shared, work)
    }

    fn job(&self, session: &mut Session) -> Result<Job, BackfillError> {
        let wanted = self.code.map(Filler::wanted);
        Job::read(self.contract, session, &self.settings, wanted.as_deref())
    }

    /// Asks all workers of a job, on whatever machine, to pause, to leave or to go on.
    ///
    /// Returns whether there is such a job.
    pub fn order(&self, order: Order) -> Result<bool, BackfillError> {
        let mut session = Session::open_direct(self.url, &self.open)?;
        let record = Record::new(session.backend(), self.contract.path());
        match record.read(&mut session)? {
            None => Ok(false),
            Some(_) => Ok(record.order(&mut session, order)? > 0),
        }
    }

    /// Reads how far the job is; `None` where none was begun. Only asks.
    pub fn status(&self) -> Result<Option<(JobRecord, Totals)>, BackfillError> {
        let mut session = Session::open_direct(self.url, &self.open)?;
        let record = Record::new(session.backend(), self.contract.path());
        let Some(job) = record.read(&mut session)? else { return Ok(None) };
        Ok(Some((job, record.totals(&mut session)?)))
    }
}
