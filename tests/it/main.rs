//! Tests of the whole tool, most of them through its command line.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::format_push_string,
    reason = "helpers of tests are tests"
)]

mod apply;
mod apply_faults;
mod audit_rust;
mod audit_sql;
mod backfill;
mod backfill_faults;
mod backfill_rust;
mod bad_input;
mod bench;
mod bench_run;
mod capture;
mod cases;
mod chance;
mod desk;
mod docs;
mod doctor;
mod expanded;
mod finish;
mod fuzz;
mod harm;
mod licences;
mod literals;
mod migrations;
mod pooler;
mod predictions;
mod probe;
mod pty;
mod reference;
mod rehearse;
mod relay;
mod scaffold;
mod side_effects;
mod small_disk;
mod sqlite_rebuild;
mod terminal;
mod tour;
mod triggers;
mod verbs;
mod watch;
mod watch_cost;

/// Fails when a file of this directory is not a module: its tests would never run.
#[test]
fn every_file_is_a_module() {
    let root = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("it");
    let listed = std::fs::read_to_string(root.join("main.rs")).unwrap();
    for entry in root.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        let name = path.file_stem().unwrap_or_default();
        let is_module = path.extension() == Some("rs") || path.join("mod.rs").is_file();
        if is_module && name != "main" {
            assert!(listed.lines().any(|line| line == format!("mod {name};")), "{path} is missing");
        }
    }
}
