//! The compiler probe on real projects, compiled for real.
//!
//! Each project says itself what is to be found: `//~ expand `text`` at the end of a line stands for a
//! finding due at that stage whose place is that text in that line. Nothing else may be found.

mod outside;
mod patterns;
mod uses;
mod ways_out;

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::{
    audit::{
        Finding, SourceFile, Where,
        probe::{Answer, Probe, ProbeError, Report, StageSchema},
    },
    plan::StageKind,
};
use newcol_testkit::project::{Project, ProjectBuilder};

use crate::desk::{Tree, target};

const SCHEMA: &str = "src/schema.rs";

/// A query's connection, whichever library makes it: no client library is needed to compile.
const CONN: &str = "\
use diesel::{connection::LoadConnection, pg::Pg, prelude::*};
pub trait Conn: Connection<Backend = Pg> + LoadConnection {}
";

fn workspace() -> &'static Utf8Path {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns the copy of a probe's project. Packages have names of their own, or Cargo would take one for
/// the other where all are built.
fn copy(name: &str) -> Utf8PathBuf {
    target().join("copies").join(name).join("target/package/tree")
}

/// Returns a probe of a project. Its copy has a name of its own, so that the next run of the test
/// finds it compiled.
fn probe(root: &Utf8Path, name: &str) -> Probe {
    Probe {
        root: root.to_owned(),
        cargo: env!("CARGO").into(),
        wrapper: env!("CARGO_BIN_EXE_newcol-under-test").into(),
        dir: target().join("copies").join(name),
        target_dir: target(),
        sets: Vec::new(),
        offline: true,
        locked: false,
        limit: 10_000_000,
    }
}

/// Returns a package's manifest.
fn manifest(name: &str, dependencies: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [dependencies]\ndiesel = {{ version = \"2.3\", default-features = false, features = \
         [\"postgres_backend\"] }}\n{dependencies}"
    )
}

/// Starts a project of one package on crates that are on this machine.
fn package(name: &str, lib: &str, schema: &str) -> ProjectBuilder {
    let lock = std::fs::read_to_string(workspace().join("Cargo.lock")).unwrap();
    Project::builder()
        .file("Cargo.toml", manifest(name, ""))
        .file("Cargo.lock", lock)
        .file("src/lib.rs", format!("{CONN}pub mod schema;\n{lib}"))
        .schema(schema)
}

/// Returns a schema of `users` with columns behind the first two.
fn users(columns: &str) -> String {
    format!(
        "diesel::table! {{\n    users (id) {{\n        id -> Integer,\n        name -> Text,\n\
         {columns}    }}\n}}\n"
    )
}

fn stage(stage: StageKind, path: &str, text: String) -> StageSchema {
    StageSchema { stage, files: vec![SourceFile { path: path.into(), text }] }
}

/// Asks for the table `users`, and sees that the project is left alone.
fn ask(
    project: &Project,
    probe: &Probe,
    schema: &str,
    stages: &[StageSchema],
) -> Result<Report, ProbeError> {
    let before = Tree::of(project.root());
    let table = "users".parse().unwrap();
    let report = probe.run(&table, &[schema.into()], stages, &|_| Answer::Go);
    assert_eq!(before.changes(&Tree::of(project.root())), "");
    report
}

/// What is found: stage, file, line and the text there.
type Marks = BTreeSet<(String, Utf8PathBuf, usize, String)>;

/// Returns what the sources of a project say is to be found.
fn marks(project: &Project) -> Marks {
    let mut marks = Marks::new();
    for (path, text) in project.files().unwrap() {
        for (at, line) in text.lines().enumerate() {
            for mark in line.split("//~ ").skip(1) {
                let (stage, text) = mark.trim().split_once(' ').unwrap();
                let text = text.trim_matches('`').to_owned();
                marks.insert((stage.to_owned(), path.clone(), at + 1, text));
            }
        }
    }
    marks
}

fn found(project: &Project, findings: &[Finding]) -> Marks {
    let in_files = findings.iter().filter_map(|finding| match &finding.place {
        Where::File { path, at } => Some((finding, path, at)),
        Where::Package(_) | Where::Database(_) | Where::Statement { .. } => None,
    });
    let mark = |(finding, path, at): (&Finding, &Utf8PathBuf, &newcol_core::schema::Place)| {
        let text = project.read(path).unwrap()[at.range.clone()].to_owned();
        (finding.due.name().to_owned(), path.clone(), at.line, text)
    };
    in_files.map(mark).collect()
}

/// Returns what could not be looked at: stage, package and what is said of it.
fn unchecked(findings: &[Finding]) -> String {
    let lines = findings.iter().filter_map(|finding| match &finding.place {
        Where::Package(name) => Some(format!(
            "{} {} {name}: {}\n",
            finding.due.name(),
            finding.rule.id,
            finding.message
        )),
        Where::File { .. } | Where::Database(_) | Where::Statement { .. } => None,
    });
    lines.collect()
}
