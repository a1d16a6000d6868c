//! The watch resets nothing, makes nothing and uses up nothing, and says what it costs.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use newcol_core::{
    db::{DatabaseUrl, OpenOptions, Session},
    watch::{collect::Purpose, report::Report, session::MARK},
};

use super::{ADD, World};

/// Snapshots that are taken, with the first one, which costs most, for the sixty of an hour.
const SNAPSHOTS: u32 = 20;
const OF_AN_HOUR: u32 = 60;

/// An application that keeps one connection of the server at work.
fn busy(url: &DatabaseUrl, is_over: &AtomicBool) {
    let mut app = Session::open(url, &OpenOptions::read()).unwrap();
    let statements: Vec<String> = ["id", "name", "age", "id, name", "id, age", "name, age"]
        .iter()
        .flat_map(|what| {
            [
                format!("SELECT {what} FROM users WHERE locale = 'l7'"),
                format!("SELECT {what} FROM users WHERE locale > 'l9' ORDER BY locale LIMIT 3"),
                format!("SELECT max(md5(repeat(name, 99))), {what} FROM users GROUP BY {what}"),
            ]
        })
        .collect();
    let all = statements.join("; ");
    while !is_over.load(Ordering::Relaxed) {
        app.batch(&all).unwrap();
    }
}

/// Ends the application, however the watch has ended.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

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
        world.run(&[
            ADD,
            "UPDATE users SET locale = 'l' || id",
            "CREATE INDEX users_locale ON users (locale)",
            "VACUUM ANALYZE users",
        ]);
        let reset = match major {
            13 => "SELECT NULL",
            _ => "SELECT stats_reset, dealloc FROM pg_stat_statements_info",
        };
        let state =
            |world: &mut World| [world.app.query(STATE).unwrap(), world.app.query(reset).unwrap()];
        let before = state(&mut world);
        let (url, is_over) = (world.url(), AtomicBool::new(false));
        let plans = thread::scope(|scope| {
            let _over = Over(&is_over);
            scope.spawn(|| busy(&url, &is_over));
            let first = world.take(Purpose::Baseline);
            let others = (1..SNAPSHOTS).map(|_| world.take(Purpose::Snap));
            others.fold(first.planned.read, |plans, taken| plans + taken.planned.read)
        });
        assert!(plans >= 10, "{plans} plans on {major}");
        assert_eq!(state(&mut world), before, "{major}");
        let report = Report::of(&mut world.store()).unwrap().unwrap();
        // What the server counted of ours, and what we counted, agree; both are little.
        let of_server = world.app.value(&format!(
            "SELECT sum(total_exec_time) FROM pg_stat_statements WHERE strpos(query, '{MARK}') > 0"
        ));
        let of_server: f64 = of_server.unwrap().unwrap().parse().unwrap();
        assert!(report.own.own_ms > 0.0 && report.own.own_ms <= of_server, "{:?}", report.own);
        assert!(of_server <= report.own.busy_ms, "{of_server} of {:?}", report.own);
        // Sixty snapshots an hour: less than a thousandth of what the server does in an hour like this.
        let work_of_an_hour = report.own.all_ms / report.own.seconds * 3600.0;
        let share = of_server * f64::from(OF_AN_HOUR / SNAPSHOTS) / work_of_an_hour;
        println!(
            "{major}: {of_server:.0} ms for {SNAPSHOTS} snapshots and {plans} plans, {:.4} %",
            share * 100.0
        );
        assert!(share < 0.001, "{share} on {major}");
        // Nothing of ours is among what is compared.
        let statements = world.statements();
        let ours = statements.iter().filter_map(|s| s.text.as_deref()).filter(|t| t.contains(MARK));
        assert_eq!(ours.count(), 0);
    }
}
