//! How far the slowest replica is behind (PostgreSQL).
//!
//! A replica that hangs, or is cut off, keeps the lag that it reported last for up to a minute. So what
//! counts besides is for how long it has not said that it replayed what there was to replay, by our
//! own clock.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{backend::Backend, db::Session, execute::pace::Lag};

/// Where the log ends, where the slowest replica is, and the greatest lag that one reports: that of
/// one that has replayed everything does not count, since in silence it stays as it was.
///
/// Subscribers do not hear of all that is written, so only their reports count.
const QUESTION: &str = "\
    SELECT pg_current_wal_flush_lsn() - '0/0', \
      min(replay_lsn) FILTER (WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s \
        WHERE s.active_pid = r.pid AND s.slot_type = 'logical')) - '0/0', \
      (1000 * extract(epoch FROM max(CASE WHEN replay_lsn < pg_current_wal_flush_lsn() \
        THEN replay_lag ELSE interval '0' END)))::bigint \
    FROM pg_catalog.pg_stat_replication r \
    WHERE state = 'streaming' AND replay_lsn IS NOT NULL HAVING count(*) > 0";

/// Remembers where the log ended, until every replica has come there.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    ends: VecDeque<(Instant, u64)>,
}

impl Gauge {
    /// Asks how far the slowest replica is behind.
    pub(super) fn read(&mut self, session: &mut Session) -> Lag {
        if session.backend() != Backend::Postgres {
            return Lag::Lost;
        }
        let Some(row) = session.query(QUESTION).ok().and_then(|rows| rows.into_iter().next())
        else {
            return Lag::Lost;
        };
        let mut numbers = row.into_iter().map(|value| value?.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        let (Some(end), replayed, reported) = (next(), next(), next()) else { return Lag::Lost };
        let reported = Duration::from_millis(reported.unwrap_or_default());
        Lag::Behind(self.learn(Instant::now(), end, replayed.unwrap_or(end)).max(reported))
    }

    /// Returns for how long the log has gone on beyond what is replayed.
    fn learn(&mut self, now: Instant, end: u64, replayed: u64) -> Duration {
        while self.ends.front().is_some_and(|(_, end)| *end <= replayed) {
            self.ends.pop_front();
        }
        if replayed < end && self.ends.back().is_none_or(|(_, last)| *last < end) {
            self.ends.push_back((now, end));
        }
        self.ends.front().map_or(Duration::ZERO, |(since, _)| now.saturating_duration_since(*since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_replayed_gets_older() {
        let start = Instant::now();
        let mut gauge = Gauge::default();
        let mut learn = |second, end, replayed| {
            gauge.learn(start + Duration::from_secs(second), end, replayed).as_secs()
        };
        assert_eq!(learn(0, 100, 100), 0);
        assert_eq!(learn(1, 200, 100), 0);
        assert_eq!(learn(3, 300, 100), 2);
        // What came later is not as old.
        assert_eq!(learn(4, 300, 250), 1);
        assert_eq!(learn(90, 300, 250), 87);
        assert_eq!(learn(91, 300, 300), 0);
        assert_eq!(learn(92, 400, 300), 0);
    }
}
