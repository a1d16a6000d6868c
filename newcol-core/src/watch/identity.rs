//! Which server, database, table and column a snapshot is of, and why two snapshots may not be
//! subtracted from each other.
//!
//! A gap is kept as what it is, so that whoever judges can say UNKNOWN and why. Pure.

use std::fmt;

use super::mysql::{OF_MARIADB, OF_MYSQL};

/// How far the server's clock may run away from ours between two snapshots, beside
/// [`DRIFT`]: a snapshot takes up to its timeout.
const CLOCK_SLACK: f64 = 5.0;

/// How much of the time between two snapshots clocks may drift apart.
const DRIFT: f64 = 0.01;

/// How far two times of a start may differ that were told in whole seconds.
const START_SLACK: f64 = 1.5;

/// Begins what a server is known by whose statements its application has measured.
pub(super) const PROCESSES: &str = "processes ";

/// What a snapshot is of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Identity {
    /// Number of the cluster, where the role may read it.
    pub system: Option<String>,
    /// Number of the database in it.
    pub database: String,
    /// Version of the server, as 150018.
    pub version: u32,
    /// When the server was started, in seconds since the epoch.
    pub started: f64,
    /// Timeline, where the role may read it.
    pub timeline: Option<u32>,
    /// Version of the extension, where it is there.
    pub extension: Option<String>,
    /// When the statistics of statements were reset, where the server says it (14 and later).
    pub stats_reset: Option<f64>,
    /// How often the server has thrown out statements that were called least (14 and later).
    pub evictions: Option<u64>,
    /// Number of the table; `None` where there is none of its name.
    pub table: Option<String>,
    /// Number of the column in its table; `None` while there is none of its name.
    pub column: Option<i32>,
}

impl Identity {
    /// Reports whether statements are counted by digests, which only a restart or a hand takes away.
    pub(super) fn has_digests(&self) -> bool {
        matches!(self.extension.as_deref(), Some(OF_MARIADB | OF_MYSQL))
    }

    /// Reports whether statements were measured by the application.
    pub(super) fn is_measured(&self) -> bool {
        self.system.as_deref().is_some_and(|system| system.starts_with(PROCESSES))
    }

    /// Takes over when the server was started where it was told in whole seconds and is the same.
    pub(super) fn round_as(&mut self, last: &Self) {
        if self.has_digests() && (self.started - last.started).abs() < START_SLACK {
            self.started = last.started;
            self.stats_reset = last.stats_reset;
        }
    }
}

/// When a snapshot was taken, by two clocks, in seconds since the epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Taken {
    /// The server's.
    pub server: f64,
    /// Ours.
    pub local: f64,
}

/// Why nothing, or not everything, can be said of the time between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// Statistics of statements were reset.
    StatsReset,
    /// Statements were thrown out, since there are more than the server keeps.
    Evicted {
        /// How often, where the server says it.
        times: Option<u64>,
    },
    /// Executions were not counted by their statement, since there are more digests than the server
    /// keeps.
    Uncounted {
        /// How many.
        times: u64,
    },
    /// The counters of this statement began anew.
    Restarted,
    /// The server was started again: its cache is cold.
    ServerStarted,
    /// The same server was upgraded.
    Upgraded {
        /// Version before, as 150018.
        from: u32,
        /// Version after.
        to: u32,
    },
    /// Another cluster answers behind the URL.
    OtherServer,
    /// Another database of the cluster.
    OtherDatabase,
    /// A standby has taken over.
    Failover,
    /// The clocks of server and watcher ran apart.
    ClockJump {
        /// By how many seconds the server's went further.
        seconds: i64,
    },
    /// The extension is not there, or not loaded.
    NoStatements,
    /// The table is not there.
    NoTable,
    /// The table was dropped and made again.
    TableRemade,
    /// The column was dropped and made again.
    ColumnRemade,
}

impl Gap {
    /// Reports whether numbers of statements mean other statements from here on.
    pub fn ends_epoch(&self) -> bool {
        match self {
            Self::OtherServer | Self::OtherDatabase | Self::Upgraded { .. } | Self::TableRemade => {
                true
            }
            Self::StatsReset
            | Self::Evicted { .. }
            | Self::Uncounted { .. }
            | Self::Restarted
            | Self::ServerStarted
            | Self::Failover
            | Self::ClockJump { .. }
            | Self::NoStatements
            | Self::NoTable
            | Self::ColumnRemade => false,
        }
    }

    /// Reports whether nothing can be said of any statement in between.
    pub fn hides_all(&self) -> bool {
        match self {
            Self::Evicted { .. }
            | Self::Uncounted { .. }
            | Self::Restarted
            | Self::ServerStarted
            | Self::ColumnRemade => false,
            Self::StatsReset
            | Self::Failover
            | Self::ClockJump { .. }
            | Self::NoStatements
            | Self::NoTable
            | Self::OtherServer
            | Self::OtherDatabase
            | Self::Upgraded { .. }
            | Self::TableRemade => true,
        }
    }

    /// Returns its name in files and reports, and what more there is to it.
    pub fn stored(&self) -> (&'static str, String) {
        let name = match self {
            Self::StatsReset => "stats-reset",
            Self::Evicted { times } => {
                return ("evicted", times.map(|times| times.to_string()).unwrap_or_default());
            }
            Self::Uncounted { times } => return ("uncounted", times.to_string()),
            Self::Restarted => "restarted",
            Self::ServerStarted => "server-started",
            Self::Upgraded { from, to } => return ("upgraded", format!("{from} {to}")),
            Self::OtherServer => "other-server",
            Self::OtherDatabase => "other-database",
            Self::Failover => "failover",
            Self::ClockJump { seconds } => return ("clock-jump", seconds.to_string()),
            Self::NoStatements => "no-statements",
            Self::NoTable => "no-table",
            Self::TableRemade => "table-remade",
            Self::ColumnRemade => "column-remade",
        };
        (name, String::new())
    }

    /// Reads what [`Gap::stored`] has written.
    pub fn read(name: &str, more: &str) -> Option<Self> {
        Some(match name {
            "stats-reset" => Self::StatsReset,
            "evicted" => Self::Evicted { times: more.parse().ok() },
            "uncounted" => Self::Uncounted { times: more.parse().ok()? },
            "restarted" => Self::Restarted,
            "server-started" => Self::ServerStarted,
            "upgraded" => {
                let (from, to) = more.split_once(' ')?;
                Self::Upgraded { from: from.parse().ok()?, to: to.parse().ok()? }
            }
            "other-server" => Self::OtherServer,
            "other-database" => Self::OtherDatabase,
            "failover" => Self::Failover,
            "clock-jump" => Self::ClockJump { seconds: more.parse().ok()? },
            "no-statements" => Self::NoStatements,
            "no-table" => Self::NoTable,
            "table-remade" => Self::TableRemade,
            "column-remade" => Self::ColumnRemade,
            _ => return None,
        })
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StatsReset => f.write_str("the statistics of statements were reset"),
            Self::Evicted { times: Some(times) } => write!(
                f,
                "statements were thrown out {times} times, since there are more than pg_stat_statements.max"
            ),
            Self::Evicted { times: None } => f.write_str(
                "statements were thrown out, since there are more than pg_stat_statements.max",
            ),
            Self::Uncounted { times } => write!(
                f,
                "{times} executions were not counted by their statement, since there are more than performance_schema_digests_size"
            ),
            Self::Restarted => f.write_str("the counters of this statement began anew"),
            Self::ServerStarted => {
                f.write_str("the server was started again, so its cache was cold")
            }
            Self::Upgraded { from, to } => {
                write!(f, "the server was upgraded from {} to {}", shown(*from), shown(*to))
            }
            Self::OtherServer => f.write_str("another server answers behind the URL"),
            Self::OtherDatabase => f.write_str("another database answers behind the URL"),
            Self::Failover => f.write_str("a standby has taken over"),
            Self::ClockJump { seconds } => {
                write!(f, "the server's clock went {seconds} s further than ours")
            }
            Self::NoStatements => f.write_str("there were no statistics of statements"),
            Self::NoTable => f.write_str("the table was not there"),
            Self::TableRemade => f.write_str("the table was dropped and made again"),
            Self::ColumnRemade => f.write_str("the column was dropped and made again"),
        }
    }
}

/// Returns a version as people write it.
fn shown(version: u32) -> String {
    format!("{}.{}", version / 10_000, version % 10_000)
}

/// Says what stands between two snapshots, as far as who they are of tells it.
pub fn compare((before, then): (&Identity, Taken), (after, now): (&Identity, Taken)) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let differ = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
    let is_upgraded = before.version / 10_000 != after.version / 10_000;
    if is_upgraded {
        gaps.push(Gap::Upgraded { from: before.version, to: after.version });
    } else if differ(&before.system, &after.system) {
        gaps.push(Gap::OtherServer);
    } else if before.database != after.database {
        gaps.push(Gap::OtherDatabase);
    } else if differ(&before.table, &after.table) {
        gaps.push(Gap::TableRemade);
    } else if before.timeline.zip(after.timeline).is_some_and(|(a, b)| a != b) {
        gaps.push(Gap::Failover);
    }
    if gaps.iter().any(Gap::ends_epoch) {
        return gaps;
    }
    let apart = (now.server - then.server) - (now.local - then.local);
    let elapsed = (now.local - then.local).abs();
    if now.server < then.server || apart.abs() > CLOCK_SLACK + DRIFT * elapsed {
        #[expect(clippy::cast_possible_truncation, reason = "seconds, for a sentence")]
        gaps.push(Gap::ClockJump { seconds: apart.round() as i64 });
    }
    let differ = |a: f64, b: f64| (a - b).abs() > 1e-3;
    let is_by_digest = after.has_digests();
    if differ(before.started, after.started) {
        gaps.push(Gap::ServerStarted);
    }
    if before.stats_reset.zip(after.stats_reset).is_some_and(|(a, b)| differ(a, b)) {
        gaps.push(Gap::StatsReset);
    } else if let Some((before, after)) = before.evictions.zip(after.evictions)
        && after > before
    {
        gaps.push(if is_by_digest {
            Gap::Uncounted { times: after - before }
        } else {
            Gap::Evicted { times: Some(after - before) }
        });
    }
    match (before.column, after.column) {
        (Some(a), Some(b)) if a != b => gaps.push(Gap::ColumnRemade),
        _ => {}
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            system: Some("7".to_owned()),
            database: "5".to_owned(),
            version: 150_018,
            started: 1000.0,
            timeline: Some(1),
            extension: Some("1.10".to_owned()),
            stats_reset: Some(1000.0),
            evictions: Some(0),
            table: Some("16384".to_owned()),
            column: None,
        }
    }

    fn at(server: f64, local: f64) -> Taken {
        Taken { server, local }
    }

    #[test]
    fn each_break_has_its_name() {
        let with = |change: fn(&mut Identity)| {
            let mut after = identity();
            change(&mut after);
            compare((&identity(), at(2000.0, 2000.0)), (&after, at(2060.0, 2060.2)))
        };
        assert_eq!(with(|_| {}), []);
        assert_eq!(with(|i| i.column = Some(3)), []);
        assert_eq!(with(|i| i.stats_reset = Some(2030.0)), [Gap::StatsReset]);
        assert_eq!(with(|i| i.evictions = Some(4)), [Gap::Evicted { times: Some(4) }]);
        assert_eq!(with(|i| i.started = 2030.0), [Gap::ServerStarted]);
        assert_eq!(with(|i| i.system = Some("8".to_owned())), [Gap::OtherServer]);
        assert_eq!(with(|i| i.system = None), []);
        assert_eq!(with(|i| i.database = "6".to_owned()), [Gap::OtherDatabase]);
        assert_eq!(with(|i| i.timeline = Some(2)), [Gap::Failover]);
        assert_eq!(with(|i| i.table = Some("1".to_owned())), [Gap::TableRemade]);
        assert_eq!(
            with(|i| {
                i.version = 160_001;
                i.system = Some("8".to_owned());
            }),
            [Gap::Upgraded { from: 150_018, to: 160_001 }]
        );
        // A minor release is no upgrade.
        assert_eq!(with(|i| i.version = 150_019), []);
    }

    #[test]
    fn a_clock_that_jumps_is_seen_on_either_side() {
        let gaps = |server, local| {
            compare((&identity(), at(2000.0, 2000.0)), (&identity(), at(server, local)))
        };
        assert_eq!(gaps(2063.0, 2060.0), []);
        assert_eq!(gaps(5660.0, 2060.0), [Gap::ClockJump { seconds: 3600 }]);
        assert_eq!(gaps(2060.0, 5660.0), [Gap::ClockJump { seconds: -3600 }]);
        assert_eq!(gaps(1999.0, 1999.0), [Gap::ClockJump { seconds: 0 }]);
        // A day between: half a minute is drift.
        assert_eq!(gaps(2000.0 + 86_430.0, 2000.0 + 86_400.0), []);
    }

    #[test]
    fn what_is_stored_is_read_again() {
        for gap in [
            Gap::StatsReset,
            Gap::Evicted { times: Some(3) },
            Gap::Evicted { times: None },
            Gap::Uncounted { times: 5 },
            Gap::Restarted,
            Gap::ServerStarted,
            Gap::Upgraded { from: 150_018, to: 160_001 },
            Gap::OtherServer,
            Gap::OtherDatabase,
            Gap::Failover,
            Gap::ClockJump { seconds: -7 },
            Gap::NoStatements,
            Gap::NoTable,
            Gap::TableRemade,
            Gap::ColumnRemade,
        ] {
            let (name, more) = gap.stored();
            assert_eq!(Gap::read(name, &more), Some(gap));
        }
        assert_eq!(Gap::read("else", ""), None);
    }
}
