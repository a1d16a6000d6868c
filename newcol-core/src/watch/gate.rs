//! When nothing can be said, and what would help.
//!
//! Numbers that look fine may compare two different things: counters that began anew, a server that is
//! another one now, an index that is not finished. Each such case closes a gate, and behind a closed
//! gate there is no verdict but `UNKNOWN`, with this reason. A gate is data: the same sentence stands
//! in the terminal, the report and the JSON.
//!
//! All gates are asked, not only up to the first that is closed, so that one visit is enough to learn
//! what is wrong.

use std::fmt;

use super::mysql::{OF_MARIADB, OF_MYSQL};

/// Below which share of calls that were seen in both snapshots a comparison is not one: the tenth that
/// postgres-checkup allows as well.
pub const COVERAGE: f64 = 0.9;
/// Below which share of filled rows a column is not what it will be.
pub const BACKFILLED: f64 = 0.5;
/// Seconds by which the server's clock may differ from the time that passed here.
pub const CLOCK: f64 = 5.0;
/// Which part of the time may be without a window.
pub const GAPS: f64 = 0.25;
/// Seconds that both sides must have: three blocks.
pub const SHORTEST: f64 = 2700.0;

/// Which server it is; any difference makes all counters another's.
///
/// What a role may not read is `None`, and differs from nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerIdentity {
    /// `pg_control_system().system_identifier`.
    pub system: Option<String>,
    /// The timeline: another one after a failover.
    pub timeline: Option<u32>,
    /// The number of the database.
    pub database: String,
    /// When it was started, in seconds since the epoch.
    pub started: f64,
    /// `server_version_num`.
    pub version: u32,
    /// The version of `pg_stat_statements`.
    pub extension: Option<String>,
}

/// What both ends of the time to be judged say of the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Surroundings {
    /// The server at the first and at the last snapshot.
    pub identity: (ServerIdentity, ServerIdentity),
    /// When its statistics were last reset, in seconds since the epoch, at both.
    pub stats_reset: (Option<f64>, Option<f64>),
    /// Times that statements were evicted, at both (`pg_stat_statements_info.dealloc`).
    pub dealloc: (u64, u64),
    /// Calls of statements that both snapshots have.
    pub matched_calls: u64,
    /// All calls between them.
    pub all_calls: u64,
    /// Seconds between both by the server's clock, and by ours.
    pub elapsed: (f64, f64),
    /// Seconds without a window, before and after.
    pub gaps: (f64, f64),
    /// Seconds of both sides.
    pub sides: (f64, f64),
    /// The index, if there is to be one.
    pub index: Option<IndexState>,
    /// How much of the column is filled, if the backfill is not over.
    pub backfilled: Option<f64>,
    /// When the backfill ended and when the table was last analyzed, in seconds since the epoch.
    pub analyzed: Option<Analyzed>,
}

/// Where an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexState {
    /// In use.
    Valid,
    /// `CREATE INDEX CONCURRENTLY` works on it.
    Building,
    /// What such a build left when it failed.
    Invalid,
    /// No statement may use it (`IGNORED` on MariaDB, `INVISIBLE` on MySQL).
    Ignored,
}

/// Ends of the backfill and of the last `ANALYZE` after or before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Analyzed {
    /// When the backfill ended.
    pub backfill: f64,
    /// When the table was last analyzed, by hand or by autovacuum.
    pub last: Option<f64>,
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// Counters began anew.
    StatsReset,
    /// Statements were evicted, and too much of the work with them.
    Evicted {
        /// Share of calls that both snapshots know.
        coverage: f64,
    },
    /// A restart without `pg_stat_statements.save`, or with it: caches are cold either way.
    Restarted,
    /// A standby was promoted, or the URL leads to another server.
    OtherServer,
    /// Another major version, or another version of the extension, numbers statements anew.
    Upgraded {
        /// From which.
        from: String,
        /// To which.
        to: String,
    },
    /// The index was left half-built.
    IndexInvalid,
    /// The index is not finished.
    IndexBuilding,
    /// No statement may use the index.
    IndexIgnored,
    /// Most rows have no value yet.
    HardlyBackfilled {
        /// Share of rows with a value.
        share: f64,
    },
    /// The planner does not know the new values.
    NotAnalyzed,
    /// A clock was set.
    ClockJump {
        /// By how many seconds.
        seconds: f64,
    },
    /// Too little was watched.
    Gaps {
        /// Share of the time without a window.
        share: f64,
    },
    /// There is nothing to compare with what was before.
    NoColumn,
    /// Too early.
    TooShort {
        /// Seconds of the shorter side.
        seconds: f64,
    },
}

impl Reason {
    /// Returns what would help.
    #[must_use]
    pub fn way_out(&self) -> &'static str {
        match self {
            Self::StatsReset => {
                "take a new baseline, and keep other tools from resetting statistics"
            }
            Self::Evicted { .. } => {
                "raise pg_stat_statements.max (MySQL and MariaDB: performance_schema_digests_size) and take a new baseline"
            }
            Self::Restarted | Self::OtherServer | Self::Upgraded { .. } => "take a new baseline",
            Self::IndexInvalid => {
                "run `cargo newcol apply`, which drops the rest and builds it again"
            }
            Self::IndexBuilding => {
                "wait until it is built; `cargo newcol status` shows how far it is"
            }
            Self::IndexIgnored => {
                "run `ALTER TABLE ... ALTER INDEX ... NOT IGNORED` (MySQL: `VISIBLE`), then watch on"
            }
            Self::HardlyBackfilled { .. } => "wait until the backfill is over",
            Self::NotAnalyzed => "run ANALYZE on the table",
            Self::ClockJump { .. } => "look at the time service of both machines, then watch on",
            Self::Gaps { .. } => "take snapshots more often, best by cron",
            Self::NoColumn => "release and apply `expand`, then watch on",
            Self::TooShort { .. } => "wait",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StatsReset => f.write_str("statistics were reset while we watched"),
            Self::Evicted { coverage } => write!(
                f,
                "statements were evicted: only {:.0} % of all calls can be followed",
                (coverage * 100.0).floor()
            ),
            Self::Restarted => f.write_str("the server was restarted while we watched"),
            Self::OtherServer => f.write_str("this is another server than the one of the baseline"),
            Self::Upgraded { from, to } => {
                write!(f, "the server went from {from} to {to}, which numbers statements anew")
            }
            Self::IndexInvalid => f.write_str("the index is invalid: its build failed"),
            Self::IndexBuilding => f.write_str("the index is still being built"),
            Self::IndexIgnored => {
                f.write_str("the index is IGNORED (MySQL: INVISIBLE): no statement may use it")
            }
            Self::HardlyBackfilled { share } => {
                write!(f, "only {:.0} % of the rows have a value", (share * 100.0).floor())
            }
            Self::NotAnalyzed => {
                f.write_str("the table was not analyzed since the backfill, so plans are guesses")
            }
            Self::ClockJump { seconds } => write!(f, "a clock jumped by {seconds:.0} s"),
            Self::Gaps { share } => {
                write!(f, "nothing was watched for {:.0} % of the time", (share * 100.0).ceil())
            }
            Self::NoColumn => f.write_str("the column is not there yet"),
            Self::TooShort { seconds } => write!(
                f,
                "{:.0} minutes are too short: both sides need {:.0}",
                (seconds / 60.0).floor(),
                SHORTEST / 60.0
            ),
        }
    }
}

/// Returns every reason why nothing can be said; none if something can.
///
/// Numbers that are none count against: a share that cannot be computed is no coverage.
#[must_use]
pub fn closed(seen: &Surroundings) -> Vec<Reason> {
    let mut reasons = Vec::new();
    reasons.extend(identity(&seen.identity.0, &seen.identity.1));
    if seen.stats_reset.0 != seen.stats_reset.1 {
        reasons.push(Reason::StatsReset);
    }
    // Fewer evictions than before are those of other counters.
    if seen.dealloc.1 < seen.dealloc.0 && seen.stats_reset.0 == seen.stats_reset.1 {
        reasons.push(Reason::StatsReset);
    }
    if seen.dealloc.1 != seen.dealloc.0 {
        let coverage = match seen.all_calls {
            0 => 0.0,
            all => seen.matched_calls as f64 / all as f64,
        };
        if coverage < COVERAGE {
            reasons.push(Reason::Evicted { coverage });
        }
    }
    match seen.index {
        Some(IndexState::Invalid) => reasons.push(Reason::IndexInvalid),
        Some(IndexState::Ignored) => reasons.push(Reason::IndexIgnored),
        Some(IndexState::Building) => reasons.push(Reason::IndexBuilding),
        Some(IndexState::Valid) | None => {}
    }
    if let Some(share) = seen.backfilled.filter(|share| at_most(*share, BACKFILLED)) {
        reasons.push(Reason::HardlyBackfilled { share });
    }
    let stale = |analyzed: Analyzed| !analyzed.last.is_some_and(|last| last >= analyzed.backfill);
    if seen.analyzed.is_some_and(stale) {
        reasons.push(Reason::NotAnalyzed);
    }
    let (theirs, ours) = seen.elapsed;
    if !at_most((theirs - ours).abs(), CLOCK) {
        reasons.push(Reason::ClockJump { seconds: theirs - ours });
    }
    let shorter = seen.sides.0.min(seen.sides.1);
    let share = |gap: f64, side: f64| if side > 0.0 { gap / side } else { 0.0 };
    let missing = share(seen.gaps.0, seen.sides.0).max(share(seen.gaps.1, seen.sides.1));
    if !at_most(missing, GAPS) {
        reasons.push(Reason::Gaps { share: missing });
    }
    if !at_most(SHORTEST, shorter) {
        reasons.push(Reason::TooShort { seconds: shorter });
    }
    reasons
}

/// Says no where either is no number.
fn at_most(value: f64, limit: f64) -> bool {
    value <= limit
}

fn identity(first: &ServerIdentity, last: &ServerIdentity) -> Option<Reason> {
    let version = |identity: &ServerIdentity| {
        let (major, minor) = (identity.version / 10_000, identity.version % 10_000);
        let server = format!("PostgreSQL {major}");
        match identity.extension.as_deref() {
            Some(OF_MARIADB) => format!("MariaDB {major}.{minor}"),
            Some(OF_MYSQL) => format!("MySQL {major}.{minor}"),
            Some(extension) => format!("{server} with pg_stat_statements {extension}"),
            None => server,
        }
    };
    let major = |identity: &ServerIdentity| identity.version / 10_000;
    let other_server = differ(first.system.as_ref(), last.system.as_ref())
        || differ(first.timeline.as_ref(), last.timeline.as_ref())
        || first.database != last.database;
    if major(first) != major(last) || differ(first.extension.as_ref(), last.extension.as_ref()) {
        Some(Reason::Upgraded { from: version(first), to: version(last) })
    } else if other_server {
        Some(Reason::OtherServer)
    } else {
        ((first.started, first.version) != (last.started, last.version))
            .then_some(Reason::Restarted)
    }
}

fn differ<T: PartialEq>(first: Option<&T>, last: Option<&T>) -> bool {
    matches!((first, last), (Some(first), Some(last)) if first != last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> ServerIdentity {
        ServerIdentity {
            system: Some("7".into()),
            timeline: Some(1),
            database: "5".into(),
            started: 5.0,
            version: 150_018,
            extension: Some("1.10".into()),
        }
    }

    fn sound() -> Surroundings {
        Surroundings {
            identity: (identity(), identity()),
            stats_reset: (Some(1.0), Some(1.0)),
            dealloc: (3, 3),
            matched_calls: 1000,
            all_calls: 1000,
            elapsed: (7200.0, 7200.5),
            gaps: (0.0, 120.0),
            sides: (3600.0, 3600.0),
            index: Some(IndexState::Valid),
            backfilled: None,
            analyzed: Some(Analyzed { backfill: 10.0, last: Some(11.0) }),
        }
    }

    /// Each case by what differs from a sound server, and what is said of it.
    #[test]
    fn each_gate_has_its_sentence() {
        let changed = |change: fn(&mut Surroundings)| {
            let mut seen = sound();
            change(&mut seen);
            let lines = closed(&seen).into_iter().map(|r| format!("{r}: {}\n", r.way_out()));
            lines.collect::<String>()
        };
        let cases: [fn(&mut Surroundings); 25] = [
            |_| {},
            |s| s.stats_reset.1 = Some(2.0),
            |s| s.stats_reset.1 = None,
            |s| s.dealloc.1 = 0,
            |s| (s.dealloc.1, s.matched_calls) = (9, 950),
            |s| (s.dealloc.1, s.matched_calls) = (9, 899),
            |s| (s.dealloc.1, s.matched_calls, s.all_calls) = (9, 0, 0),
            |s| s.identity.1.started = 6.0,
            |s| s.identity.1.version = 150_019,
            |s| s.identity.1.timeline = Some(2),
            |s| s.identity.1.system = Some("8".into()),
            |s| s.identity.1.database = "6".into(),
            |s| (s.identity.1.system, s.identity.1.timeline) = (None, None),
            |s| s.identity.1.version = 180_000,
            |s| s.identity.1.extension = Some("1.11".into()),
            |s| s.index = Some(IndexState::Ignored),
            |s| s.index = Some(IndexState::Invalid),
            |s| s.index = Some(IndexState::Building),
            |s| s.backfilled = Some(0.499),
            |s| s.analyzed = Some(Analyzed { backfill: 10.0, last: Some(9.0) }),
            |s| s.analyzed = Some(Analyzed { backfill: 10.0, last: None }),
            |s| s.elapsed = (3600.0, 7200.0),
            |s| s.gaps.1 = 1000.0,
            |s| s.sides.1 = 1200.0,
            |s| (s.elapsed.0, s.gaps.0) = (f64::NAN, f64::NAN),
        ];
        let said: Vec<String> = cases.into_iter().map(changed).collect();
        insta::assert_snapshot!(said.join("--\n"), @"
        --
        statistics were reset while we watched: take a new baseline, and keep other tools from resetting statistics
        --
        statistics were reset while we watched: take a new baseline, and keep other tools from resetting statistics
        --
        statistics were reset while we watched: take a new baseline, and keep other tools from resetting statistics
        --
        --
        statements were evicted: only 89 % of all calls can be followed: raise pg_stat_statements.max (MySQL and MariaDB: performance_schema_digests_size) and take a new baseline
        --
        statements were evicted: only 0 % of all calls can be followed: raise pg_stat_statements.max (MySQL and MariaDB: performance_schema_digests_size) and take a new baseline
        --
        the server was restarted while we watched: take a new baseline
        --
        the server was restarted while we watched: take a new baseline
        --
        this is another server than the one of the baseline: take a new baseline
        --
        this is another server than the one of the baseline: take a new baseline
        --
        this is another server than the one of the baseline: take a new baseline
        --
        --
        the server went from PostgreSQL 15 with pg_stat_statements 1.10 to PostgreSQL 18 with pg_stat_statements 1.10, which numbers statements anew: take a new baseline
        --
        the server went from PostgreSQL 15 with pg_stat_statements 1.10 to PostgreSQL 15 with pg_stat_statements 1.11, which numbers statements anew: take a new baseline
        --
        the index is IGNORED (MySQL: INVISIBLE): no statement may use it: run `ALTER TABLE ... ALTER INDEX ... NOT IGNORED` (MySQL: `VISIBLE`), then watch on
        --
        the index is invalid: its build failed: run `cargo newcol apply`, which drops the rest and builds it again
        --
        the index is still being built: wait until it is built; `cargo newcol status` shows how far it is
        --
        only 49 % of the rows have a value: wait until the backfill is over
        --
        the table was not analyzed since the backfill, so plans are guesses: run ANALYZE on the table
        --
        the table was not analyzed since the backfill, so plans are guesses: run ANALYZE on the table
        --
        a clock jumped by -3600 s: look at the time service of both machines, then watch on
        --
        nothing was watched for 28 % of the time: take snapshots more often, best by cron
        --
        20 minutes are too short: both sides need 45: wait
        --
        a clock jumped by NaN s: look at the time service of both machines, then watch on
        ");
    }

    #[test]
    fn several_gates_are_all_named() {
        let seen = Surroundings {
            stats_reset: (Some(1.0), Some(2.0)),
            index: Some(IndexState::Building),
            sides: (0.0, 0.0),
            ..sound()
        };
        let reasons = closed(&seen);
        assert!(matches!(
            reasons[..],
            [Reason::StatsReset, Reason::IndexBuilding, Reason::TooShort { .. }]
        ));
    }
}
