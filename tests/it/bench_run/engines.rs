//! Whole benchmarks at a small scale: what is counted has to be what is known of each way.

use std::time::Duration;

use newcol_core::{
    backend::Product,
    bench::{
        load::Phase,
        run::{Run, Way},
    },
    contract::{Contract, read::read},
};
use newcol_testkit::{
    Want,
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
    let (project, contract) = project(engine);
    let migrations = project.root().join("migrations");
    Bench::new(&contract, &migrations, want)
        .rows(ROWS)
        .pressure(Some(Pressure::Rate(50.0)))
        .time(Duration::from_secs(1))
        .blocks(5)
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
    let run = run(Want::postgres().version(major), "postgres").unwrap();
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
}

#[test]
fn postgres_15_is_measured() {
    postgres(15);
}

#[test]
fn postgres_18_is_measured() {
    postgres(18);
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
