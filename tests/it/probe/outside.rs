//! Trees of every kind, copied so that they compile as they do where they are.

use std::{fs, os::unix::fs::symlink, time::SystemTime};

use newcol_core::{
    audit::probe::Set,
    plan::StageKind::{Constrain, Expand},
};
use newcol_testkit::project::{Project, ProjectBuilder};

use super::{
    CONN, SCHEMA, ask, copy, found, manifest, marks, package, probe, stage, unchecked, users,
};

const WHOLE: &str = "pub fn all(c: &mut impl Conn) -> QueryResult<Vec<(i32, String)>> {\n    \
                     schema::users::table.load(c) //~ expand `c`\n}\n";

fn expand() -> [super::StageSchema; 1] {
    [stage(Expand, SCHEMA, users("        locale -> Nullable<Text>,\n"))]
}

/// A package that needs all that is around it: what its build script makes, what Git ignores, what
/// lies outside of it, and what links lead to.
fn needy() -> ProjectBuilder {
    let lib = "pub const MADE: &str = include_str!(concat!(env!(\"OUT_DIR\"), \"/made.txt\"));\n\
               pub const GIVEN: &str = include_str!(\"../assets/given.txt\");\n\
               pub const LINKED: &str = include_str!(\"../linked.txt\");\n\
               pub mod generated;\npub const CONFIGURED: &str = env!(\"CONFIGURED\");\n\
               pub fn beside() -> u8 { beside::ONE }\n";
    let build = "fn main() {\n    \
                 let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
                 std::fs::write(format!(\"{out}/made.txt\"), \"made\").unwrap();\n    \
                 std::fs::write(\"src/generated.rs\", \"pub const WRITTEN: u8 = 1;\").unwrap();\n}\n";
    package("needy", "", "")
        .file("Cargo.toml", "[workspace]\n")
        .file("ws/.gitignore", "/target\n/src/generated.rs\n*.log\nCargo.lock\n")
        .file("ws/.cargo/config.toml", "[env]\nCONFIGURED = \"yes\"\n")
        .file(
            "ws/Cargo.toml",
            format!("{}beside = {{ path = \"../beside\" }}\n", manifest("needy", "")),
        )
        .file("ws/Cargo.lock", fs::read_to_string(super::workspace().join("Cargo.lock")).unwrap())
        .file("ws/build.rs", build)
        .file("ws/src/lib.rs", format!("{CONN}pub mod schema;\n{lib}{WHOLE}"))
        .file("ws/src/schema.rs", users(""))
        .file("ws/src/generated.rs", "pub const WRITTEN: u8 = 1;\n")
        .file("ws/assets/given.txt", "given")
        .file("ws/huge.log", "not needed")
        .file(
            "beside/Cargo.toml",
            "[package]\nname = \"beside\"\nversion = \"0.1.0\"\n\n[workspace]\n",
        )
        .file("beside/src/lib.rs", "pub const ONE: u8 = 1;\n")
}

#[test]
fn a_package_is_compiled_with_all_that_is_around_it() {
    let project = needy().build().unwrap();
    let root = project.root().join("ws");
    fs::remove_file(project.root().join("Cargo.toml")).unwrap();
    fs::remove_dir_all(project.root().join("src")).unwrap();
    symlink("assets/given.txt", root.join("linked.txt")).unwrap();
    let probe = probe(&root, "needy");
    let report = ask(&project, &probe, SCHEMA, &expand()).unwrap();
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    assert_eq!(report.findings[0].place.to_string(), "src/lib.rs:11:31");
    let copy = copy("needy").join("ws");
    assert!(copy.join("assets/given.txt").is_file() && !copy.join("huge.log").exists());
    assert!(fs::read_link(copy.join("../beside")).unwrap().ends_with("beside"));
}

/// Without Diesel, which would be compiled anew for its flags.
#[test]
fn flags_of_the_project_stay() {
    let manifest = "[package]\nname = \"flagged\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
                    [lints.rust]\nunexpected_cfgs = \"allow\"\n";
    let project = Project::builder()
        .file("Cargo.toml", manifest)
        .file(".cargo/config.toml", "[build]\nrustflags = [\"--cfg=configured\"]\n")
        .file("src/lib.rs", "const _: () = assert!(cfg!(configured));\n")
        .schema(users(""))
        .build()
        .unwrap();
    let probe = probe(project.root(), "flagged");
    let with = ask(&project, &probe, SCHEMA, &[]).unwrap();
    assert_eq!(with.findings, []);
    project.write(".cargo/config.toml", "").unwrap();
    let without = ask(&project, &probe, SCHEMA, &[]).unwrap();
    assert_ne!(without.findings, []);
}

/// Of crates that a registry has, one in the workspace and one beside it takes the place.
#[test]
fn what_is_patched_is_compiled_as_it_is_patched() {
    let version = |name: &str| {
        let lock = fs::read_to_string(super::workspace().join("Cargo.lock")).unwrap();
        let entry = format!("name = \"{name}\"\nversion = \"");
        let (_, rest) = lock.split_once(&entry).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let patched = |name: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"{}\"\nedition = \"2024\"\n",
            version(name)
        )
    };
    let manifest = format!(
        "{}\n[patch.crates-io]\nwriteable = {{ path = \"patches/writeable\" }}\nlitemap = {{ path = \"../litemap\" }}\n",
        manifest("patched", "writeable = \"*\"\nlitemap = \"*\"\n")
    );
    let lib = "pub const PATCHED: (u8, u8) = (writeable::HERE, litemap::BESIDE);\n";
    let project = package("unused", "", "")
        .file("Cargo.toml", "[workspace]\n")
        .file("ws/Cargo.toml", manifest)
        .file("ws/Cargo.lock", fs::read_to_string(super::workspace().join("Cargo.lock")).unwrap())
        .file("ws/src/lib.rs", format!("{CONN}pub mod schema;\n{lib}{WHOLE}"))
        .file("ws/src/schema.rs", users(""))
        .file("ws/patches/writeable/Cargo.toml", patched("writeable"))
        .file("ws/patches/writeable/src/lib.rs", "pub const HERE: u8 = 1;\n")
        .file("litemap/Cargo.toml", patched("litemap"))
        .file("litemap/src/lib.rs", "pub const BESIDE: u8 = 1;\n")
        .build()
        .unwrap();
    fs::remove_file(project.root().join("Cargo.toml")).unwrap();
    let root = project.root().join("ws");
    let report = ask(&project, &probe(&root, "patched"), SCHEMA, &expand()).unwrap();
    let places: Vec<String> = report.findings.iter().map(|f| f.place.to_string()).collect();
    assert_eq!(places, ["src/lib.rs:6:31"], "{}", unchecked(&report.findings));
}

#[test]
fn a_workspace_may_lie_in_a_package_that_it_depends_on() {
    // As fuzz targets do.
    let fuzz = "[package]\nname = \"fuzz\"\nversion = \"0.1.0\"\n\n[dependencies]\nfuzzed = { path = \"..\" }\n\n[workspace]\n";
    let project = package("fuzzed", "", &users(""))
        .file("fuzz/Cargo.toml", fuzz)
        .file("fuzz/Cargo.lock", fs::read_to_string(super::workspace().join("Cargo.lock")).unwrap())
        .file("fuzz/src/main.rs", "fn main() { let _ = fuzzed::schema::users::name; }\n")
        .build()
        .unwrap();
    let probe = probe(&project.root().join("fuzz"), "fuzz");
    let report = ask(&project, &probe, "../src/schema.rs", &[]).unwrap();
    let places: Vec<String> =
        report.uses.iter().map(|used| format!("{}:{}", used.path, used.at)).collect();
    assert_eq!(places, ["src/main.rs:1:44"]);
}

/// Returns the time of a file of a copy.
fn time(name: &str, path: &str) -> SystemTime {
    fs::metadata(copy(name).join(path)).unwrap().modified().unwrap()
}

#[test]
fn the_second_time_only_what_changed_is_written() {
    let project = package("again", WHOLE, &users("")).file("notes.txt", "one").build().unwrap();
    let probe = probe(project.root(), "again");
    let first = ask(&project, &probe, SCHEMA, &expand()).unwrap();
    assert_eq!(found(&project, &first.findings), marks(&project));
    let before = ["Cargo.toml", "src/lib.rs"].map(|path| time("again", path));
    fs::remove_file(project.root().join("notes.txt")).unwrap();
    project.write("src/more.rs", "pub fn f() {}\n").unwrap();
    let second = ask(&project, &probe, SCHEMA, &expand()).unwrap();
    assert_eq!(first, second);
    assert_eq!(["Cargo.toml", "src/lib.rs"].map(|path| time("again", path)), before);
    let tree = copy("again");
    assert!(!tree.join("notes.txt").exists() && tree.join("src/more.rs").exists());
    // A change that mends it, of the same length and time.
    let lib = project.read("src/lib.rs").unwrap();
    let mended = lib.replace(
        "users::table.load(c) //~ expand `c`",
        "users::table.select((schema::users::id, schema::users::name)).load(c)",
    );
    project.write("src/lib.rs", &mended).unwrap();
    assert_eq!(ask(&project, &probe, SCHEMA, &expand()).unwrap().findings, []);
    project.write("src/lib.rs", &lib).unwrap();
    assert_eq!(ask(&project, &probe, SCHEMA, &expand()).unwrap(), first);
}

#[test]
fn nothing_is_concluded_from_what_does_not_compile_as_it_is() {
    let lib = "pub fn f() -> u8 { \"no\" }\n";
    let bin = format!("use broken::schema;\n{CONN}{WHOLE}fn main() {{}}\n");
    let project = package("broken", lib, &users(""))
        .file("src/bin/tool.rs", bin.replace(" //~ expand `c`", ""))
        .build()
        .unwrap();
    let report = ask(&project, &probe(project.root(), "broken"), SCHEMA, &expand()).unwrap();
    assert_eq!(found(&project, &report.findings), marks(&project));
    insta::assert_snapshot!(unchecked(&report.findings), @"expand NC205 broken: does not compile as it is: the library of `broken` (src/lib.rs:4:20: mismatched types)");
}

#[test]
fn a_target_that_does_not_compile_takes_nothing_else_along() {
    let project = package("one_broken", WHOLE, &users(""))
        .file("tests/broken.rs", "fn f() -> u8 { \"no\" }\n")
        .build()
        .unwrap();
    let report = ask(&project, &probe(project.root(), "one_broken"), SCHEMA, &expand()).unwrap();
    assert_eq!(found(&project, &report.findings), marks(&project));
    insta::assert_snapshot!(unchecked(&report.findings), @"expand NC205 one_broken: does not compile as it is: test `broken` (tests/broken.rs:1:16: mismatched types)");
}

#[test]
fn tests_that_do_not_compile_leave_what_they_test() {
    let lib = format!("{WHOLE}#[cfg(test)]\nfn f() -> u8 {{ \"no\" }}\n");
    let project = package("broken_tests", &lib, &users("")).build().unwrap();
    let report = ask(&project, &probe(project.root(), "broken_tests"), SCHEMA, &expand()).unwrap();
    assert_eq!(found(&project, &report.findings), marks(&project));
    insta::assert_snapshot!(unchecked(&report.findings), @"expand NC205 broken_tests: does not compile as it is: the tests in the library of `broken_tests` (src/lib.rs:8:16: mismatched types)");
}

#[test]
fn a_build_script_that_fails_is_said_with_its_words() {
    let build = "fn main() { eprintln!(\"no such header\"); std::process::exit(3); }\n";
    let project = package("script", WHOLE, &users("")).file("build.rs", build).build().unwrap();
    let report = ask(&project, &probe(project.root(), "script"), SCHEMA, &expand()).unwrap();
    insta::assert_snapshot!(unchecked(&report.findings), @"expand NC205 script: not compiled, also without any change");
    let help = report.findings[0].help.as_deref().unwrap();
    assert!(help.contains("build command for `script"), "{help}");
}

#[test]
fn what_only_some_features_see_says_so() {
    let lib = format!(
        "#[cfg(feature = \"more\")]\nmod more {{ use crate::{{Conn, schema}}; use diesel::prelude::*; {WHOLE} }}\n"
    );
    let cargo = format!("{}\n[features]\nmore = []\n", manifest("some_features", ""));
    let project =
        package("some_features", &lib, &users("")).file("Cargo.toml", cargo).build().unwrap();
    let mut probe = probe(project.root(), "some_features");
    probe.sets = vec![Set::default(), Set { features: vec!["more".to_owned()], ..Set::default() }];
    let report = ask(&project, &probe, SCHEMA, &expand()).unwrap();
    assert_eq!(found(&project, &report.findings), marks(&project));
    let said = &report.findings[0].message;
    assert!(said.ends_with(" (only with `--workspace --features more`)"), "{said}");
}

#[test]
fn stages_with_one_schema_are_compiled_once() {
    let project = package("once", WHOLE, &users("")).build().unwrap();
    let later = || users("        locale -> Nullable<Text>,\n");
    let stages = [stage(Expand, SCHEMA, later()), stage(Constrain, SCHEMA, later())];
    let probe = probe(project.root(), "once");
    let trees = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let listener = |event: &newcol_core::audit::probe::Event| {
        if let newcol_core::audit::probe::Event::Compiled { tree, .. } = event {
            trees.borrow_mut().insert(tree.clone());
        }
        newcol_core::audit::probe::Answer::Go
    };
    let schemas = [SCHEMA.into()];
    probe.run(&"users".parse().unwrap(), &schemas, &stages, &listener).unwrap();
    let trees: Vec<String> = trees.into_inner().into_iter().collect();
    assert_eq!(trees, ["stage expand", "the project"]);
}

#[test]
fn a_project_that_git_has_never_seen_is_copied_without_what_it_builds() {
    let project: Project = package("no_git", WHOLE, &users(""))
        .file("target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
        .file("target/debug/big", "x")
        .file(".git/config", "")
        .build()
        .unwrap();
    let report = ask(&project, &probe(project.root(), "no_git"), SCHEMA, &[]).unwrap();
    assert_eq!(report.findings, []);
    let tree = copy("no_git");
    assert!(!tree.join("target").exists() && !tree.join(".git").exists());
    assert!(tree.join("src/lib.rs").exists());
}
