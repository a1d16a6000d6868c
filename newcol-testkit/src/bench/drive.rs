//! Users who come when they come, whether the server is ready for them or not.
//!
//! Requests are due at moments drawn beforehand, and their latency is counted from then, not from
//! when a connection was free to send them. A server that stands still for a second is thus met by
//! everybody who came in that second; a client that waits for its answer before it asks again would
//! have noticed one slow request (coordinated omission).

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use newcol_core::{
    bench::{
        arrivals::{Arrival, Arrivals},
        latency::Histogram,
        load::{Load, Phase, PhaseLoad, Second},
    },
    db::{DatabaseUrl, DbError, OpenOptions, Session},
};

use crate::scratch::error::chain;

/// What users send.
pub trait Requests: Sync {
    /// Returns the statements' names, each with its weight.
    fn statements(&self) -> Vec<(String, f64)>;

    /// Returns the SQL of a request.
    ///
    /// # Errors
    ///
    /// Where its parameters have no values.
    fn sql(&self, arrival: &Arrival) -> Result<String, String>;
}

/// Users of one database.
pub struct Users<'a> {
    /// The database.
    pub url: &'a DatabaseUrl,
    /// What they send.
    pub requests: &'a dyn Requests,
    /// Connections, so the most requests at a time.
    pub connections: NonZeroU32,
    /// What decides when they come and what they ask.
    pub seed: u64,
}

/// What users' sessions are called at the server.
pub(super) const SESSIONS: &str = "newcol-bench users";

/// A request that is sent so much after it was due is late.
const LATE: Duration = Duration::from_millis(1);

/// How long requests that are still due are sent after the end.
const LAST_CALL: Duration = Duration::from_secs(10);

/// What failed requests are kept of.
const FAILURES: usize = 5;

/// Where a run is, for those who send and those who conduct.
struct Stage {
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    arrivals: Arrivals,
    /// Phases with the moment at which each began.
    phases: Vec<(Phase, Duration)>,
    /// When the run ended, once it has.
    end: Option<Duration>,
}

/// Says what phase it is while users come.
pub struct Conductor<'a>(&'a Stage);

impl Conductor<'_> {
    /// Begins a phase.
    pub fn enter(&self, phase: Phase) {
        let now = self.0.now();
        self.0.lock().phases.push((phase, now));
    }

    /// Lets time pass. Stops early, and returns `false`, when `go_on` says so; asked all 100 ms.
    #[must_use]
    pub fn rest(&self, time: Duration, go_on: &dyn Fn() -> bool) -> bool {
        const ASKED: Duration = Duration::from_millis(100);
        let until = self.0.now() + time;
        loop {
            if !go_on() {
                return false;
            }
            let left = until.saturating_sub(self.0.now());
            if left.is_zero() {
                return true;
            }
            // Nobody wakes it: only the end of a run does, and that is after the conductor's.
            drop(self.0.wait(self.0.lock(), left.min(ASKED)));
        }
    }

    /// Returns when users began to come.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.0.started
    }
}

impl Stage {
    fn new(arrivals: Arrivals) -> Self {
        let state = State { arrivals, phases: Vec::new(), end: None };
        Self { started: Instant::now(), state: Mutex::new(state), changed: Condvar::new() }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&'s self, state: MutexGuard<'s, State>, time: Duration) -> MutexGuard<'s, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    fn end(&self) {
        let now = self.now();
        self.lock().end = Some(now);
        self.changed.notify_all();
    }

    /// Returns the next request when it is due; `None` when none comes any more.
    fn next(&self) -> Option<Arrival> {
        let mut state = self.lock();
        let arrival = state.arrivals.next()?;
        loop {
            if state.end.is_some_and(|end| arrival.at > end) {
                return None;
            }
            let left = arrival.at.saturating_sub(self.now());
            if left.is_zero() {
                return Some(arrival);
            }
            state = self.wait(state, left);
        }
    }

    /// Returns which phase a moment is in, by its number.
    fn phase_at(&self, moment: Duration) -> usize {
        let state = self.lock();
        state.phases.partition_point(|(_, from)| *from <= moment).saturating_sub(1)
    }

    /// Whether a moment lies so much after the end.
    fn is_over(&self, moment: Duration, by: Duration) -> bool {
        self.lock().end.is_some_and(|end| moment > end + by)
    }
}

/// What one connection met.
#[derive(Default)]
struct Tally {
    phases: Vec<PhaseLoad>,
    seconds: BTreeMap<(u32, u16), Histogram>,
    failures: Vec<String>,
}

impl Tally {
    fn phase(&mut self, at: usize, statements: usize) -> &mut PhaseLoad {
        while self.phases.len() <= at {
            self.phases.push(PhaseLoad::new(Phase::Idle, statements));
        }
        &mut self.phases[at]
    }

    fn add(&mut self, other: Self, statements: usize) {
        for (at, theirs) in other.phases.iter().enumerate() {
            self.phase(at, statements).add(theirs);
        }
        for (second, theirs) in other.seconds {
            self.seconds.entry(second).or_insert_with(|| Histogram::with_digits(2)).add(&theirs);
        }
        self.failures.extend(other.failures);
        self.failures.truncate(FAILURES);
    }
}

impl Users<'_> {
    /// Lets users come at a rate while `conduct` works, and returns what both met.
    ///
    /// # Errors
    ///
    /// Where they cannot connect.
    pub fn during<T>(
        &self,
        rate: f64,
        conduct: impl FnOnce(&Conductor<'_>) -> T,
    ) -> Result<(Load, T), DbError> {
        let statements = self.requests.statements();
        let weights: Vec<f64> = statements.iter().map(|(_, weight)| *weight).collect();
        let sessions = self.sessions()?;
        let stage = Stage::new(Arrivals::new(self.seed, rate, &weights));
        let (tally, done) = std::thread::scope(|scope| {
            let stage = &stage;
            let work = |session| scope.spawn(move || self.serve(stage, session));
            let threads: Vec<_> = sessions.into_iter().map(work).collect();
            // Whatever becomes of the conductor, users have to go home.
            let end = EndOnDrop(stage);
            let done = conduct(&Conductor(stage));
            drop(end);
            let mut sum = Tally::default();
            for thread in threads {
                let tally = thread.join().unwrap_or_else(|p| std::panic::resume_unwind(p));
                sum.add(tally, weights.len());
            }
            (sum, done)
        });
        Ok((self.load(rate, statements, &stage, tally), done))
    }

    /// Sends as fast as answers come, each connection one request at a time, and returns how many
    /// were answered in a second. That finds what a server can do, and says nothing of latency.
    ///
    /// # Errors
    ///
    /// Where they cannot connect.
    pub fn capacity(
        &self,
        time: Duration,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<f64, DbError> {
        let answered = self.closed(time, go_on)?;
        Ok(answered.len() as f64 / time.as_secs_f64().max(1e-9))
    }

    /// As [`Self::capacity`], and returns what such clients believe to have met.
    ///
    /// # Errors
    ///
    /// Where they cannot connect.
    pub fn closed(
        &self,
        time: Duration,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<Histogram, DbError> {
        let weights: Vec<f64> = self.requests.statements().iter().map(|one| one.1).collect();
        let sessions = self.sessions()?;
        let started = Instant::now();
        let all = std::thread::scope(|scope| {
            let work = |(seed, mut session): (u64, Session)| {
                let mut arrivals = Arrivals::new(self.seed.wrapping_add(seed), 1.0, &weights);
                scope.spawn(move || {
                    let mut met = Histogram::default();
                    while started.elapsed() < time && go_on() {
                        let Some(arrival) = arrivals.next() else { break };
                        let sent = Instant::now();
                        let sql = self.requests.sql(&arrival);
                        if sql.is_ok_and(|sql| session.batch(&sql).is_ok()) {
                            met.record(sent.elapsed());
                        }
                    }
                    met
                })
            };
            let threads: Vec<_> = (1..).zip(sessions).map(work).collect();
            let mut all = Histogram::default();
            for thread in threads {
                all.add(&thread.join().unwrap_or_else(|p| std::panic::resume_unwind(p)));
            }
            all
        });
        Ok(all)
    }

    fn sessions(&self) -> Result<Vec<Session>, DbError> {
        let options =
            OpenOptions { application_name: Some(SESSIONS.to_owned()), ..OpenOptions::write() };
        (0..self.connections.get()).map(|_| Session::open(self.url, &options)).collect()
    }

    /// One connection: takes requests as they become due.
    fn serve(&self, stage: &Stage, mut session: Session) -> Tally {
        let statements = self.requests.statements().len();
        let mut tally = Tally::default();
        while let Some(arrival) = stage.next() {
            let at = stage.phase_at(arrival.at);
            let taken = stage.now();
            let late = taken.saturating_sub(arrival.at) > LATE;
            if stage.is_over(taken, LAST_CALL) {
                let phase = tally.phase(at, statements);
                phase.due += 1;
                phase.skipped += 1;
                continue;
            }
            let sql = self.requests.sql(&arrival);
            let said = sql.and_then(|sql| session.batch(&sql).map_err(|error| chain(&error)));
            let done = stage.now();
            let in_time = stage.phase_at(done) == at && !stage.is_over(done, Duration::ZERO);
            let phase = tally.phase(at, statements);
            phase.due += 1;
            phase.late += u64::from(late);
            match said {
                Ok(()) => {
                    let took = done.saturating_sub(arrival.at);
                    phase.in_time += u64::from(in_time);
                    phase.statements[arrival.statement].record(took);
                    let second = (arrival.at.as_secs() as u32, arrival.statement as u16);
                    let seconds = tally.seconds.entry(second);
                    seconds.or_insert_with(|| Histogram::with_digits(2)).record(took);
                }
                Err(why) => {
                    phase.failed += 1;
                    if tally.failures.len() < FAILURES {
                        tally.failures.push(why);
                    }
                    // A connection that is gone answers nothing any more.
                    if session.value("SELECT 1").is_err()
                        && let Ok(again) = session.again()
                    {
                        session = again;
                    }
                }
            }
        }
        tally
    }

    fn load(
        &self,
        rate: f64,
        statements: Vec<(String, f64)>,
        stage: &Stage,
        mut tally: Tally,
    ) -> Load {
        let state = stage.lock();
        let end = state.end.unwrap_or_default();
        let ends = state.phases.iter().skip(1).map(|(_, from)| *from).chain([end]);
        if let Some(last) = state.phases.len().checked_sub(1) {
            tally.phase(last, statements.len());
        }
        for (load, ((phase, from), to)) in
            tally.phases.iter_mut().zip(state.phases.iter().zip(ends))
        {
            load.phase = *phase;
            load.from = from.as_secs_f64();
            load.to = to.as_secs_f64();
        }
        let seconds = tally.seconds.into_iter().map(|((second, statement), histogram)| Second {
            second,
            statement,
            histogram,
        });
        Load {
            rate,
            connections: self.connections.get(),
            statements: statements.into_iter().map(|(name, _)| name).collect(),
            phases: tally.phases,
            seconds: seconds.collect(),
            failures: tally.failures,
        }
    }
}

struct EndOnDrop<'a>(&'a Stage);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
