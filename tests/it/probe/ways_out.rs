//! What keeps the compiler from being asked, and what to do then.

use std::{cell::RefCell, fs, process::Command};

use newcol_core::audit::probe::{Answer, Event, Probe, ProbeError, Set};
use newcol_testkit::project::Project;

use super::{SCHEMA, ask, copy, manifest, package, probe, target, users};

/// Returns what an error says, with the way out.
fn refusal(project: &Project, probe: &Probe) -> String {
    let error = ask(project, probe, SCHEMA, &[]).unwrap_err();
    format!("{error}\n{}", error.hint().unwrap()).replace(project.root().as_str(), "[PROJECT]")
}

#[test]
fn cargo_says_why_it_gives_up_and_we_what_to_do() {
    let crates = "no-such-crate-at-all = \"1\"\n";
    let project = package("no_crate", "", &users(""))
        .file("Cargo.toml", manifest("no_crate", crates))
        .build()
        .unwrap();
    insta::assert_snapshot!(refusal(&project, &probe(project.root(), "no_crate")), @"
    cargo gave up: no matching package named `no-such-crate-at-all` found
    fetch what is missing with `cargo fetch`, or run without `--offline`
    ");

    let project = package("no_crate", "", &users("")).build().unwrap();
    let locked = Probe { locked: true, ..probe(project.root(), "locked") };
    insta::assert_snapshot!(refusal(&project, &locked), @"
    cargo gave up: cannot update the lock file [PROJECT]/Cargo.lock because --locked was passed to prevent this
    bring Cargo.lock up to date with `cargo update --workspace`, or run without `--locked`
    ");

    let broken =
        package("no_crate", "", &users("")).file("Cargo.toml", "[package\n").build().unwrap();
    insta::assert_snapshot!(refusal(&broken, &probe(broken.root(), "no_manifest")), @"
    cargo gave up: unclosed table, expected `]`
    see what `cargo check --workspace --all-targets` says, and mend that first
    ");

    let nothing = Probe { cargo: "no-such-cargo".into(), ..probe(project.root(), "no_cargo") };
    insta::assert_snapshot!(refusal(&project, &nothing), @"
    could not run `no-such-cargo`
    install Rust with rustup: https://rustup.rs
    ");
}

#[test]
fn a_target_that_is_not_installed_is_named() {
    let project = package("no_target", "", &users("")).build().unwrap();
    let target = Some("sparc64-unknown-netbsd".to_owned());
    let sets = vec![Set { target, ..Set::default() }];
    let probe = Probe { sets, ..probe(project.root(), "no_target") };
    insta::assert_snapshot!(refusal(&project, &probe), @"
    the target `sparc64-unknown-netbsd` is not installed
    install it: `rustup target add <TARGET>`
    ");
}

#[test]
fn a_table_that_is_not_there_is_said_before_anything_is_copied() {
    let project = package("no_table", "", "diesel::table! { posts (id) { id -> Integer, } }\n")
        .build()
        .unwrap();
    let probe = probe(project.root(), "no_table");
    insta::assert_snapshot!(refusal(&project, &probe), @"
    could not mark the table in src/schema.rs
    create the table first, and let `diesel print-schema` write schema.rs
    ");
    assert!(!probe.dir.exists());
}

#[test]
fn a_workspace_beyond_the_limit_is_refused_with_its_largest_directory() {
    let project = package("too_large", "", &users(""))
        .file("data/large", "x".repeat(2_000_000))
        .build()
        .unwrap();
    let probe = Probe { limit: 1_000_000, ..probe(project.root(), "too_large") };
    insta::assert_snapshot!(refusal(&project, &probe), @"
    the workspace has more than 1 MB, the most of them in data
    name what no build needs in .gitignore
    ");
}

#[test]
fn one_copy_is_for_one_probe() {
    let project = package("busy", "", &users("")).build().unwrap();
    let probe = probe(project.root(), "busy");
    let said = RefCell::new(String::new());
    let ask_meanwhile = |_: &Event| {
        *said.borrow_mut() = refusal(&project, &probe).replace(target().as_str(), "[TARGET]");
        Answer::Stop
    };
    let stopped = probe.run(&"users".parse().unwrap(), &[SCHEMA.into()], &[], &ask_meanwhile);
    assert!(matches!(stopped, Err(ProbeError::Stopped)), "{stopped:?}");
    insta::assert_snapshot!(said.into_inner(), @"
    another audit uses [TARGET]/copies/busy
    wait until it is done
    ");
    ask(&project, &probe, SCHEMA, &[]).unwrap();
}

#[test]
fn whoever_stops_it_leaves_nothing_running() {
    // Tells its process, and never ends.
    let build = "fn main() {\n    std::fs::write(\"pid\", std::process::id().to_string()).unwrap();\n    \
                 std::fs::rename(\"pid\", \"running\").unwrap();\n    loop { std::thread::park(); }\n}\n";
    let project = package("stopped", "", &users("")).file("build.rs", build).build().unwrap();
    let probe = probe(project.root(), "stopped");
    let running = copy("stopped").join("running");
    drop(fs::remove_file(&running));
    let until_it_runs = |event: &Event| match event {
        Event::Copying { .. } => Answer::Go,
        Event::Compiled { .. } | Event::Waiting if running.exists() => Answer::Stop,
        Event::Compiled { .. } | Event::Waiting => Answer::Go,
    };
    let stopped = probe.run(&"users".parse().unwrap(), &[SCHEMA.into()], &[], &until_it_runs);
    assert!(matches!(stopped, Err(ProbeError::Stopped)), "{stopped:?}");
    let id = fs::read_to_string(&running).unwrap();
    assert!(!Command::new("kill").args(["-0", &id]).status().unwrap().success(), "{id} runs");
}
