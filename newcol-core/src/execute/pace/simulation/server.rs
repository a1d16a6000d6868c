//! A server with a price per row, per statement, per commit and in log bytes; it can stall, its
//! prices can change and be noisy, and a replica replays its log. Time is virtual, noise comes from
//! a seed: every run is the same.

use std::collections::VecDeque;

use super::*;

/// What reading the signals and beginning a transaction takes.
const ROUND_TRIP: f64 = 0.000_3;

const NEVER: [f64; 2] = [f64::INFINITY; 2];

/// A batch that ran.
pub(super) struct Entry {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) asked: u64,
    pub(super) bytes: f64,
    /// What was decided after it.
    pub(super) limit: Limit,
}

impl Entry {
    pub(super) fn took(&self) -> f64 {
        self.end - self.start
    }
}

pub(super) struct Server {
    /// Seconds per row, statement and commit.
    pub(super) row: f64,
    pub(super) statement: f64,
    pub(super) commit: f64,
    /// Bytes of log per row.
    pub(super) wal: f64,
    /// Bytes per second that a commit can bring to the disk.
    pub(super) disk: f64,
    /// How far all of it strays, as a share.
    pub(super) noise: f64,
    /// Bytes per second that the replica replays, if there is one.
    pub(super) replay: Option<f64>,
    /// Its lag is asked for this often, in seconds; in between, the last answer stands.
    pub(super) asking: f64,
    /// From when to when its lag cannot be read, there is a pause file, the server does nothing.
    pub(super) lost: [f64; 2],
    pub(super) paused: [f64; 2],
    pub(super) stalled: [f64; 2],
    pub(super) now: f64,
    /// What the replica has not replayed: when it was written, and bytes.
    pub(super) backlog: VecDeque<[f64; 2]>,
    pub(super) answer: [f64; 2],
    pub(super) worst_lag: f64,
    pub(super) seed: u64,
    pub(super) log: Vec<Entry>,
}

impl Server {
    pub(super) fn new(row: f64) -> Self {
        Self {
            row,
            statement: 0.000_3,
            commit: 0.002,
            wal: 300.0,
            disk: f64::INFINITY,
            noise: 0.0,
            replay: None,
            asking: 0.0,
            lost: NEVER,
            paused: NEVER,
            stalled: NEVER,
            now: 0.0,
            backlog: VecDeque::new(),
            answer: [0.0; 2],
            worst_lag: 0.0,
            seed: 7,
            log: Vec::new(),
        }
    }

    /// Yields numbers from zero to one (splitmix64).
    pub(super) fn random(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.seed;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn noisy(&mut self, value: f64) -> f64 {
        value * (1.0 + self.noise * (2.0 * self.random() - 1.0))
    }

    pub(super) fn is_in(&self, times: [f64; 2]) -> bool {
        (times[0]..times[1]).contains(&self.now)
    }

    pub(super) fn wait(&mut self, seconds: f64) {
        self.now += seconds;
        let mut replayed = self.replay.unwrap_or(f64::INFINITY) * seconds;
        while let Some([_, bytes]) = self.backlog.front_mut() {
            if *bytes > replayed {
                *bytes -= replayed;
                break;
            }
            replayed -= *bytes;
            self.backlog.pop_front();
        }
        self.worst_lag = self.worst_lag.max(self.true_lag());
    }

    /// Works for so long, or longer if the server stalls meanwhile.
    pub(super) fn work(&mut self, seconds: f64) -> Duration {
        let first = self.now.max(self.stalled[0]);
        let stands = if first < self.now + seconds { self.stalled[1] - first } else { 0.0 };
        let seconds = seconds + stands.max(0.0);
        self.wait(seconds);
        Duration::from_secs_f64(seconds)
    }

    /// Returns the age of the oldest change that the replica lacks.
    pub(super) fn true_lag(&self) -> f64 {
        self.backlog.front().map_or(0.0, |[written, _]| self.now - written)
    }

    pub(super) fn signals(&mut self) -> Signals {
        if self.now >= self.answer[0] + self.asking {
            self.answer = [self.now, self.true_lag()];
        }
        let lag = match self.replay {
            None => Lag::NotAsked,
            Some(_) if self.is_in(self.lost) => Lag::Lost,
            Some(_) => Lag::Behind(Duration::from_secs_f64(self.answer[1])),
        };
        let operator = if self.is_in(self.paused) { Operator::Pause } else { Operator::Go };
        Signals { lag, horizon: None, operator }
    }

    pub(super) fn batch(&mut self, asked: u64) -> Observation {
        let start = self.now;
        let seconds = self.noisy(self.statement + asked as f64 * self.row);
        let statement = self.work(seconds);
        let bytes = self.noisy(asked as f64 * self.wal).round();
        let seconds = self.noisy(self.commit) + bytes / self.disk;
        let commit = self.work(seconds);
        self.backlog.push_back([self.now, bytes]);
        self.log.push(Entry { start, end: self.now, asked, bytes, limit: Limit::Growth });
        Observation {
            outcome: Outcome::Done { rows: asked },
            statement,
            commit,
            wal: Some(bytes as u64),
            waiters: 0,
        }
    }

    /// Does what the pace decided, once; `meanwhile` may change the server, and what is seen of a
    /// batch.
    pub(super) fn step(
        &mut self,
        pace: &mut Pace,
        meanwhile: impl FnOnce(&mut Self, &mut Observation),
    ) {
        let decision = pace.next();
        assert!(decision.pause <= Duration::from_secs(1));
        self.wait(decision.pause.as_secs_f64() + ROUND_TRIP);
        match decision.next {
            Next::Recheck => {
                pace.recheck(&self.signals());
            }
            Next::Batch { rows } => {
                // The last look was at most a quarter of a second ago.
                for [from, to] in [self.lost, self.paused] {
                    assert!(!(from + 0.26..to).contains(&self.now), "{}", self.now);
                }
                let max_lag = pace.settings.max_lag.unwrap_or(Duration::MAX);
                assert!(self.answer[1] <= max_lag.as_secs_f64(), "{}", self.answer[1]);
                let mut batch = self.batch(rows);
                meanwhile(self, &mut batch);
                let decision = pace.observe(&batch, &self.signals());
                self.log.last_mut().unwrap().limit = decision.limit;
            }
        }
    }

    pub(super) fn batches(&mut self, pace: &mut Pace, count: usize) -> &[Entry] {
        let first = self.log.len();
        while self.log.len() < first + count {
            self.step(pace, |_, _| {});
        }
        &self.log[first..]
    }

    pub(super) fn run_until(&mut self, pace: &mut Pace, time: f64) {
        while self.now < time {
            self.step(pace, |_, _| {});
        }
    }

    pub(super) fn batches_in(&self, times: [f64; 2]) -> usize {
        self.log.iter().filter(|entry| (times[0]..times[1]).contains(&entry.start)).count()
    }

    pub(super) fn bytes(&self) -> f64 {
        self.log.iter().map(|entry| entry.bytes).sum()
    }

    pub(super) fn largest_batch(&self) -> f64 {
        self.log.iter().map(|entry| entry.bytes).fold(0.0, f64::max)
    }

    /// Returns the most bytes written in any stretch of so many seconds, when the bytes of a batch
    /// are spread over its duration.
    pub(super) fn most_bytes_in(&self, seconds: f64) -> f64 {
        let mut written = vec![0.0];
        for entry in &self.log {
            written.push(written.last().unwrap() + entry.bytes);
        }
        let until = |time: f64| {
            let after = self.log.partition_point(|entry| entry.start <= time);
            let Some(last) = after.checked_sub(1) else { return 0.0 };
            let entry = &self.log[last];
            written[last] + entry.bytes * ((time - entry.start) / entry.took()).min(1.0)
        };
        // The most is found where a stretch starts with a batch or ends with one.
        let ends = self.log.iter().flat_map(|entry| [entry.start + seconds, entry.end]);
        ends.map(|end| until(end) - until(end - seconds)).fold(0.0, f64::max)
    }
}
