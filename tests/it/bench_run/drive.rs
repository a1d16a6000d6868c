//! Users who do not wait for each other meet a server that stands still; those who wait do not.

use std::{num::NonZeroU32, process::Command, time::Duration};

use newcol_core::{
    bench::{
        arrivals::Arrival,
        latency::{Histogram, Percentiles},
        load::Phase,
    },
    db::DatabaseUrl,
};
use newcol_testkit::{
    ScratchDb, Want,
    bench::drive::{Requests, Users},
};

/// One statement, over and over.
struct One(&'static str);

impl Requests for One {
    fn statements(&self) -> Vec<(String, f64)> {
        vec![("one".to_owned(), 1.0)]
    }

    fn sql(&self, _: &Arrival) -> Result<String, String> {
        Ok(self.0.to_owned())
    }
}

struct Server {
    db: ScratchDb,
    url: DatabaseUrl,
}

impl Server {
    fn start() -> Option<Self> {
        let db = ScratchDb::require(Want::postgres().version(18).private())?;
        let url = DatabaseUrl::parse(db.url()).unwrap();
        Some(Self { db, url })
    }

    fn users<'a>(&'a self, requests: &'a One, connections: u32) -> Users<'a> {
        let connections = NonZeroU32::new(connections).unwrap();
        Users { url: &self.url, requests, connections, seed: 1 }
    }

    /// Returns the numbers of all its processes that answer somebody.
    fn processes(&self) -> Vec<String> {
        let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'newcol-bench users'";
        self.db.rows(sql).unwrap().into_iter().flatten().flatten().collect()
    }
}

/// Lets processes stand still for a second.
fn stall(processes: &[String], wait: impl FnOnce()) {
    let kill = |signal: &str| {
        let done = Command::new("kill").arg(signal).args(processes).status().unwrap();
        assert!(done.success());
    };
    kill("-STOP");
    wait();
    kill("-CONT");
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_server_that_stands_still_is_met_by_all_who_come_meanwhile() {
    let Some(server) = Server::start() else { return };
    let always = || true;
    let (load, ()) = server
        .users(&One("SELECT 1"), 4)
        .during(200.0, |conductor| {
            conductor.enter(Phase::Idle);
            assert!(conductor.rest(2 * SECOND, &always));
            stall(&server.processes(), || assert!(conductor.rest(SECOND, &always)));
            assert!(conductor.rest(5 * SECOND, &always));
        })
        .unwrap();
    let met = load.phase(Phase::Idle).unwrap().percentiles(load.connections).unwrap().unwrap();
    assert!(met.p999 >= 900.0, "{met:?}");
    assert!(load.failures.is_empty(), "{:?}", load.failures);
    assert!((1350..1850).contains(&met.requests), "{met:?}");
    // The seconds in which it happened say so, and they alone.
    let slow: Vec<u32> = load
        .by_second()
        .into_iter()
        .filter(|(_, of)| of.quantile(0.5) > 250.0)
        .map(|(second, _)| second)
        .collect();
    assert!(!slow.is_empty() && slow.iter().all(|second| (1..=4).contains(second)), "{slow:?}");

    // Clients that wait for an answer before they ask again believe that four requests were slow.
    let met = std::thread::scope(|scope| {
        let closed =
            scope.spawn(|| server.users(&One("SELECT 1"), 4).closed(3 * SECOND, &always).unwrap());
        let stalled =
            newcol_testkit::wait::wait_until("sessions", SECOND, || server.processes().len() == 4);
        stalled.unwrap();
        let (_, ()) = server
            .users(&One("SELECT 1"), 1)
            .during(1.0, |conductor| {
                let processes = server.processes();
                assert!(conductor.rest(SECOND, &always));
                stall(&processes, || assert!(conductor.rest(SECOND, &always)));
            })
            .unwrap();
        closed.join().unwrap()
    });
    let seen = |met: &Histogram| met.counts().filter(|one| one.0 > 900_000).map(|one| one.1).sum();
    let slow: u32 = seen(&met);
    assert!((1..=4).contains(&slow), "{slow} of {}", met.len());
    assert!(Percentiles::of(&met).unwrap().p999 < 500.0, "{} requests", met.len());
}

#[test]
fn a_rate_that_is_not_reached_has_no_percentiles() {
    let Some(server) = Server::start() else { return };
    let (load, ()) = server
        .users(&One("SELECT pg_sleep(0.01)"), 2)
        .during(600.0, |conductor| {
            conductor.enter(Phase::Idle);
            assert!(conductor.rest(SECOND, &|| true));
        })
        .unwrap();
    let phase = load.phase(Phase::Idle).unwrap();
    let said = phase.percentiles(load.connections).unwrap_err().to_string();
    assert!(said.starts_with("SATURATED: "), "{said}");
    assert!(load.sustained().is_err());
    // Nobody who came is forgotten.
    let answered = phase.all().len();
    assert_eq!(phase.due, answered + phase.skipped + phase.failed);
    assert!(phase.late > phase.due / 2, "{phase:?}");
}

#[test]
fn refused_requests_are_counted_and_named() {
    let Some(server) = Server::start() else { return };
    let (load, ()) = server
        .users(&One("SELECT 1 / 0"), 2)
        .during(100.0, |conductor| {
            conductor.enter(Phase::Idle);
            assert!(conductor.rest(SECOND / 2, &|| true));
        })
        .unwrap();
    let phase = load.phase(Phase::Idle).unwrap();
    assert!(phase.failed == phase.due && phase.due > 0, "{phase:?}");
    assert!(load.failures[0].contains("division by zero"), "{:?}", load.failures);
}
