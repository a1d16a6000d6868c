//! Wrong command lines, contracts and projects: each is told in one clear error with its place and
//! the way out, with the documented exit code, and not one byte of the project changes.
//!
//! The cases are data, one table per file. All that the tool says to them is one snapshot per
//! table, so that wording is reviewed.

mod audit;
mod command_lines;
mod contracts;
mod disks;
mod names;
mod projects;

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use camino::Utf8Path;
use newcol_testkit::{
    command::CommandOutput,
    project::{Project, ProjectBuilder},
};

use crate::desk::{self, Tree, newcol, said};

/// Stands in every URL of the cases; must never be printed.
const PASSWORD: &str = "geheim";

/// One thing done wrong.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    on: On,
    files: &'static [(&'static str, Content)],
    first: &'static [&'static [&'static str]],
    edits: &'static [(&'static str, &'static str, &'static str)],
    args: &'static [&'static str],
    code: i32,
}

/// The project it is done to.
#[derive(Clone, Copy)]
enum On {
    Postgres,
    Mysql,
    Sqlite,
    ThreeEngines,
    SchemaCrate,
}

/// What a file of the project is replaced with.
#[derive(Clone, Copy)]
enum Content {
    Text(&'static str),
    Bytes(&'static [u8]),
    Dir,
    Gone,
}

/// A mistake in a PostgreSQL project, ending with exit code 2.
const fn case(name: &'static str, args: &'static [&'static str]) -> Case {
    Case { name, on: On::Postgres, files: &[], first: &[], edits: &[], args, code: 2 }
}

impl Case {
    const fn on(self, on: On) -> Self {
        Self { on, ..self }
    }

    /// Sets files of the project.
    const fn with(self, files: &'static [(&'static str, Content)]) -> Self {
        Self { files, ..self }
    }

    /// Runs commands first, which must succeed.
    const fn after(self, first: &'static [&'static [&'static str]]) -> Self {
        Self { first, ..self }
    }

    /// Replaces a text in a file, after the commands.
    const fn edited(self, edits: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        Self { edits, ..self }
    }

    const fn exits(self, code: i32) -> Self {
        Self { code, ..self }
    }

    fn project(&self) -> Project {
        let builder: ProjectBuilder = match self.on {
            On::Postgres => desk::one_crate("postgres"),
            On::Mysql => desk::one_crate("mysql"),
            On::Sqlite => desk::one_crate("sqlite"),
            On::ThreeEngines => desk::three_engines(),
            On::SchemaCrate => desk::schema_crate("postgres"),
        };
        let project = builder.build().unwrap();
        for (path, content) in self.files {
            put(project.root(), path, *content);
        }
        for args in self.first {
            let output = newcol(&project, args);
            assert!(output.status.success(), "{}: {output}", self.name);
        }
        for (path, from, to) in self.edits {
            let text = project.read(path).unwrap();
            assert!(text.contains(from), "{}: {path} does not hold {from}:\n{text}", self.name);
            project.write(path, &text.replacen(from, to, 1)).unwrap();
        }
        project
    }

    /// Returns what was said, and what is wrong with it.
    fn run(&self) -> (String, Vec<String>) {
        let project = self.project();
        let before = Tree::of(project.root());
        let output = newcol(&project, self.args);
        let mut wrong = faults(&output, self.code);
        let changes = before.changes(&Tree::of(project.root()));
        if !changes.is_empty() {
            wrong.push(format!("files changed:\n{changes}"));
        }
        let shown: Vec<String> =
            self.args.iter().map(|arg| arg.escape_debug().to_string()).collect();
        let text =
            format!("## {}\n$ cargo newcol {}\n{}\n", self.name, shown.join(" "), stderr(&output));
        if !wrong.is_empty() {
            wrong = vec![format!("{}: {}\n{output}", self.name, wrong.join("; "))];
        }
        (text, wrong)
    }
}

fn stderr(output: &CommandOutput) -> String {
    let text = said(output);
    let (head, tail) = text.split_once("----- stderr -----\n").unwrap();
    format!("{}\n{tail}", head.lines().next().unwrap_or_default())
}

fn put(root: &Utf8Path, path: &str, content: Content) {
    let path = root.join(path);
    if path.is_dir() {
        fs::remove_dir_all(&path).unwrap();
    } else if path.exists() {
        fs::remove_file(&path).unwrap();
    }
    let parent = path.parent().unwrap();
    match content {
        Content::Gone => {}
        Content::Dir => fs::create_dir_all(&path).unwrap(),
        Content::Text(text) => {
            fs::create_dir_all(parent).unwrap();
            fs::write(&path, text).unwrap();
        }
        Content::Bytes(bytes) => {
            fs::create_dir_all(parent).unwrap();
            fs::write(&path, bytes).unwrap();
        }
    }
}

/// Returns every rule that an error report breaks.
fn faults(output: &CommandOutput, code: i32) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, rule: &str| {
        if !holds {
            wrong.push(rule.to_owned());
        }
    };
    let text = &output.stderr;
    let errors = text.lines().filter(|line| line.starts_with("error")).count();
    // Mistakes in flags are reported by clap, in the words that Cargo's users know.
    let by_clap = text.contains("For more information, try '--help'");
    must(output.code() == Some(code), &format!("exit code is not {code}"));
    must(errors == 1, "not exactly one error");
    must(by_clap || text.contains("\n  --> "), "no place");
    must(by_clap || text.contains("\nhelp: "), "no way out");
    must(output.stdout.is_empty(), "stdout is not empty");
    must(!text.contains("panicked"), "it panicked");
    must(!text.contains(PASSWORD), "the password is shown");
    must(
        !text.chars().any(|c| c.is_control() && !"\n\t".contains(c)),
        "control characters reach the terminal",
    );
    wrong
}

/// Runs a table of cases and returns all that was said.
fn run(cases: &[Case]) -> String {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![(String::new(), Vec::new()); cases.len()]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some(case) = cases.get(at) else { break };
                    let result = case.run();
                    results.lock().unwrap()[at] = result;
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    let wrong: Vec<&String> = results.iter().flat_map(|(_, wrong)| wrong).collect();
    assert!(
        wrong.is_empty(),
        "{} faults\n\n{}",
        wrong.len(),
        wrong.iter().map(|w| w.as_str()).collect::<Vec<_>>().join("\n")
    );
    results.into_iter().map(|(text, _)| text).collect()
}

#[test]
fn there_are_enough_cases_and_no_name_twice() {
    let tables =
        [audit::CASES, command_lines::CASES, names::CASES, contracts::CASES, projects::CASES];
    let mut names: Vec<&str> = tables.iter().flat_map(|t| t.iter()).map(|c| c.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "a name is used twice");
    assert!(all >= 60, "only {all} cases");
}
