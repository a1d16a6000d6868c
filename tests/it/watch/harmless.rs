//! The watch resets nothing, makes nothing and uses up nothing, and says what it costs.

use newcol_core::watch::{collect::Purpose, report::Report, session::MARK};

use super::World;

const SNAPSHOTS: u32 = 20;

/// What must be as it was.
const STATE: &str = "SELECT (SELECT string_agg(extname || extversion, ' ' ORDER BY 1) FROM pg_extension), \
    (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_proc), \
    txid_snapshot_xmax(txid_current_snapshot()), \
    (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()), \
    (SELECT stats_reset FROM pg_stat_bgwriter), (SELECT count(*) FROM pg_prepared_statements)";

#[test]
fn nothing_on_the_server_changes() {
    for major in [13, 15, 18] {
        let mut world = World::new(major);
        world.run(&["SELECT name FROM users WHERE id = 1"]);
        let reset = match major {
            13 => "SELECT NULL",
            _ => "SELECT stats_reset, dealloc FROM pg_stat_statements_info",
        };
        let state =
            |world: &mut World| [world.app.query(STATE).unwrap(), world.app.query(reset).unwrap()];
        let before = state(&mut world);
        world.take(Purpose::Baseline);
        for _ in 1..SNAPSHOTS {
            world.take(Purpose::Snap);
        }
        assert_eq!(state(&mut world), before, "{major}");
        let report = Report::of(&mut world.store()).unwrap().unwrap();
        // What the server counted of ours, and what we counted, agree; both are little.
        let of_server = world.app.value(&format!(
            "SELECT sum(total_exec_time) FROM pg_stat_statements WHERE strpos(query, '{MARK}') > 0"
        ));
        let of_server: f64 = of_server.unwrap().unwrap().parse().unwrap();
        assert!(report.own.own_ms > 0.0 && report.own.own_ms <= of_server, "{:?}", report.own);
        assert!(of_server <= report.own.busy_ms, "{of_server} of {:?}", report.own);
        // A snapshot a minute: less than a thousandth of one connection's time.
        let each = of_server / f64::from(SNAPSHOTS);
        assert!(each < 60.0, "{each} ms each on {major}");
        // Nothing of ours is among what is compared.
        let statements = world.statements();
        let ours = statements.iter().filter_map(|s| s.text.as_deref()).filter(|t| t.contains(MARK));
        assert_eq!(ours.count(), 0);
    }
}
