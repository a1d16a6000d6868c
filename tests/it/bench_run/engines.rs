//! Whole benchmarks at a small scale: what is counted has to be what is known of each way.

use std::time::Duration;

use newcol_core::{
    backend::{Backend, Product},
    bench::{
        extrapolate::{What, extrapolate},
        load::Phase,
        profile::{Secrecy, take},
        run::{Run, Way},
        workload::{
            Parameter, Statement, Workload,
            source::{Counted, of_counted},
        },
    },
    contract::{Contract, read::read},
    db::{DatabaseUrl, OpenOptions},
};
use newcol_testkit::{
    ScratchDb, Want,
    bench::{Bench, BenchError, Pressure},
    project::Project,
};

use crate::desk;

const ROWS: u64 = 20_000;

pub(super) const CREATE: &str = "CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, name varchar(60) NOT NULL, \
    a integer NOT NULL); CREATE INDEX t_a ON t (a); CREATE INDEX t_name ON t (name);";

pub(super) const CONTRACT: &str = "format = 1\ntable = 't'\ncolumn = 'c'\nwhy = 'a test'\n\
    type = 'varchar(60)'\nrequired = true\n[old_rows]\nfill = 'lower(name)'\n\
    [old_writers]\nby = 'trigger'\n[index]\n";

fn project(engine: &str) -> (Project, Contract) {
    let project = desk::one_table(engine, CREATE, CONTRACT);
    (project, read(CONTRACT).unwrap().contract)
}

fn run(want: Want, engine: &str) -> Result<Run, BenchError> {
    bench(want, engine, false)
}

fn bench(want: Want, engine: &str, standby: bool) -> Result<Run, BenchError> {
    let (project, contract) = project(engine);
    let migrations = project.root().join("migrations");
    Bench::new(&contract, &migrations, want)
        .rows(ROWS)
        .pressure(Some(Pressure::Rate(50.0)))
        .time(Duration::from_secs(1))
        .blocks(5)
        .times(1)
        .standby(standby)
        .run(&mut |scene| eprintln!("{scene:?}"), &|| true)
}

fn ways(run: &Run) -> Vec<Way> {
    run.fills.iter().map(|fill| fill.way).collect()
}

/// What holds for every engine.
fn check(run: &Run) {
    for fill in &run.fills {
        assert_eq!(fill.rows, ROWS, "{}", fill.way);
    }
    let load = &run.load.as_ref().unwrap().load;
    let phases: Vec<Phase> = load.phases.iter().map(|phase| phase.phase).collect();
    assert_eq!(phases, Phase::ALL);
    assert!(load.failures.is_empty(), "{:?}", load.failures);
    let due: u64 = load.phases.iter().map(|phase| phase.due).sum();
    let answered: u64 = load.phases.iter().map(|phase| phase.all().len() + phase.skipped).sum();
    assert!(due > 50 && due == answered, "{due} {answered}");
    let paid = run.paid.as_ref().unwrap();
    assert_eq!((paid.insert_time.blocks.len(), paid.lookup_time.blocks.len()), (5, 5));
    let again = Run::parse(&run.to_json()).unwrap();
    assert_eq!((ways(&again), again.load.unwrap().load.phases.len()), (ways(run), 4));
}

fn postgres(major: u32) {
    let run = bench(Want::postgres().version(major), "postgres", major == 18).unwrap();
    check(&run);
    assert_eq!(ways(&run), Way::ALL);
    for fill in &run.fills {
        let (log, predicted) = (fill.per_row(fill.log), fill.per_row(fill.predicted));
        let (log, predicted) = (log.unwrap(), predicted.unwrap());
        let (hot, heap) = (fill.hot.unwrap(), fill.heap().unwrap().times());
        let off = (predicted / log - 1.0) * 100.0;
        eprintln!(
            "PostgreSQL {major}, {}: {log:.0} B/row, predicted {predicted:.0} ({off:+.0} %), HOT \
             {:.0} %, heap {heap:.2}, {:?}",
            fill.way,
            hot * 100.0,
            fill.log_of
        );
        assert!(off.abs() <= 15.0, "{}: {log:.0} B/row, predicted {predicted:.0}", fill.way);
        // All of the log is some relation's, or of transactions.
        let of: f64 = fill.log_of.iter().map(|of| of.1).sum();
        assert!((of / fill.log.unwrap() - 1.0).abs() < 0.05, "{}: {:?}", fill.way, fill.log_of);
    }
    let [stride, update] = [Way::Stride, Way::Update].map(|way| run.fill(way).unwrap());
    assert!(stride.hot.unwrap() > 0.6 && update.hot.unwrap() < 0.05);
    assert!(stride.log.unwrap() < 0.75 * update.log.unwrap());
    assert!(stride.heap().unwrap().times() < 1.5 && update.heap().unwrap().times() > 1.8);
    for way in Way::ALL.into_iter().filter(|way| way.is_mistake()) {
        assert!(run.fill(way).unwrap().log.unwrap() > 1.3 * stride.log.unwrap(), "{way}");
    }
    let paid = run.paid.as_ref().unwrap();
    let measured = paid.insert_log.as_ref().unwrap().difference(1);
    let predicted = paid.predicted_log.unwrap();
    eprintln!("index: {measured:?} B/insert, predicted {predicted:.0}");
    assert!(measured.low > 0.0 && (predicted / measured.value - 1.0).abs() < 0.3, "{measured:?}");
    assert!(run.load.as_ref().unwrap().waits.as_ref().unwrap().looks > 10);
    assert!(run.built.as_ref().unwrap().bytes.unwrap() > 0.0);
    match major {
        18 => check_standby(&run),
        _ => assert_eq!(run.load.as_ref().unwrap().replica, None),
    }
}

#[test]
fn postgres_15_is_measured() {
    postgres(15);
}

#[test]
fn postgres_18_is_measured_with_a_standby() {
    postgres(18);
}

/// What the standby was behind, of which only the order is known: filling writes, resting does not.
fn check_standby(run: &Run) {
    let replica = run.load.as_ref().unwrap().replica.as_ref().unwrap();
    let phases: Vec<Phase> = replica.phases.iter().map(|behind| behind.phase).collect();
    assert!(phases.starts_with(&[Phase::Idle, Phase::Backfill]), "{replica:?}");
    let idle = replica.phase(Phase::Idle).unwrap();
    let most = replica.seconds.iter().map(|of| of.bytes).fold(0.0, f64::max);
    assert!(idle.looks > 5 && most > 0.0, "{replica:?}");
    assert!(run.report().sentences.iter().any(|said| said.starts_with("The standby was behind")));
}

#[test]
fn a_standby_that_cannot_be_had_is_refused_with_the_reason() {
    for (want, engine, why) in [
        (Want::sqlite(), "sqlite", "SQLite has no server that another one could follow"),
        (
            Want::mysql(),
            "mysql",
            "MySQL and MariaDB follow by a binary log, which a throwaway server does not write",
        ),
    ] {
        let error = bench(want, engine, true).unwrap_err();
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), why);
        assert_eq!(error.hint().as_deref(), Some("measure without `--standby`"));
    }
}

#[test]
fn mariadb_is_measured() {
    let run = run(Want::mysql().product(Product::Mariadb), "mysql").unwrap();
    check(&run);
    assert_eq!(ways(&run), [Way::Stride, Way::Update]);
    for fill in &run.fills {
        assert!(fill.log.unwrap() > 0.0 && fill.hot.is_none());
        // A row, and none of the indexes: the column has none yet.
        assert!(fill.changed_with_indexes.unwrap() >= ROWS as f64, "{fill:?}");
    }
}

#[test]
fn sqlite_is_measured() {
    let run = run(Want::sqlite(), "sqlite").unwrap();
    check(&run);
    assert_eq!(ways(&run), [Way::Stride, Way::Update]);
    assert!(run.fills.iter().all(|fill| fill.log.is_none() && fill.heap().unwrap().times() > 1.0));
}

/// The table and what is asked of it, as they are in production.
#[test]
fn a_profile_and_its_workload_are_measured() {
    let Some(source) = ScratchDb::require(Want::postgres().version(15)) else { return };
    let rows = "INSERT INTO t SELECT n, 'name ' || n % 700, n % 50 FROM generate_series(1, 8000) n";
    let kinds = "CREATE TABLE kinds (no integer PRIMARY KEY, label text)";
    let all = "INSERT INTO kinds SELECT n, 'kind ' || n FROM generate_series(0, 49) n";
    let refers = "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES kinds";
    source.run(&[CREATE, rows, kinds, all, refers, "VACUUM ANALYZE t"]).unwrap();
    let url = DatabaseUrl::parse(source.url()).unwrap();
    let table = "t".parse().unwrap();
    let mut profile = take((&url, &OpenOptions::read()), &table, Secrecy::NoValues).unwrap();
    // Ten times as many rows as there are: more than are measured.
    profile.size.rows *= 10.0;
    profile.size.pages = profile.size.pages.map(|pages| pages * 10.0);
    let statement = |name: &str, sql: &str, weight| Statement {
        name: name.to_owned(),
        sql: sql.to_owned(),
        parameters: vec![Parameter::Column { column: "id".to_owned() }],
        weight,
    };
    // Of the table that is joined there is the key.
    let joins = Counted {
        sql: "SELECT t.id FROM t JOIN kinds k ON k.no = t.a WHERE k.no = $1 LIMIT $2".to_owned(),
        calls: 1.0,
        rows: Some(3.0),
    };
    let joins = of_counted(&[joins], &profile, Backend::Postgres, None).statements;
    let workload = Workload {
        version: 1,
        table: "t".to_owned(),
        rate: Some(60.0),
        statements: vec![
            statement("find", "SELECT * FROM t WHERE id = $1", 3.0),
            statement("touch", "UPDATE t SET name = name WHERE id = $1", 1.0),
            joins[0].clone(),
        ],
        left_out: Vec::new(),
    };
    let (project, contract) = project("postgres");
    let run =
        Bench::new(&contract, &project.root().join("migrations"), Want::postgres().version(15))
            .rows(16_000)
            .blocks(3)
            .profile(Some(&profile))
            .workload(Some((&workload, "t.workload.json".to_owned())))
            .pressure(Some(Pressure::Rate(60.0)))
            .time(Duration::from_secs(1))
            .ways(vec![Way::Stride, Way::Update])
            .times(3)
            .run(&mut |_| {}, &|| true)
            .unwrap();
    assert_eq!(
        (run.conditions.rows, run.conditions.shape.as_str()),
        (16_000, "profile of t (PostgreSQL 15)")
    );
    assert_eq!(run.conditions.workload, "t.workload.json");
    assert!(run.notes.iter().all(|note| !note.starts_with("rows are made up")), "{:?}", run.notes);
    let load = &run.load.as_ref().unwrap().load;
    assert_eq!(
        (&load.statements[..], &load.failures[..]),
        (&["find", "touch", "select 1"].map(str::to_owned)[..], &[][..])
    );
    assert!(run.fill(Way::Stride).unwrap().hot > run.fill(Way::Update).unwrap().hot);
    let speeds = run.fills.iter().map(|fill| fill.speeds().unwrap());
    for speeds in speeds {
        assert!(speeds.low <= speeds.value && speeds.value <= speeds.high, "{speeds:?}");
    }
    // A quarter as many rows were filled, and both tell what 80 000 will cost.
    let log = extrapolate(&run).into_iter().find(|one| one.what == What::Log).unwrap();
    let five = 5.0 * run.fill(Way::Stride).unwrap().log.unwrap();
    eprintln!("{log:?}");
    assert_eq!((log.way, log.doubts.len()), (Way::Stride, 0), "{log:?}");
    assert!((log.total.value / five - 1.0).abs() < 1e-6, "{log:?}");
    assert!(log.total.low < five && five < log.total.high && log.total.high < 1.5 * five);
}
