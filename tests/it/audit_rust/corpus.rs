//! Every mark is true, and found; nothing else is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::{
    audit::{
        Class, Finding, Mended, SourceFile, Subject, Where, mend,
        rust::{self, Memory},
    },
    backend::Backend,
    db::{DatabaseUrl, OpenOptions, Session},
    plan::StageKind,
    schema::SchemaFile,
};
use newcol_testkit::{command::Tool, life::Life, scratch};

use super::{
    programs::{Built, MENDED, PROGRAMS, Program, TABLES, Workspace, schema},
    sources::Source,
};

/// What became of a case, and from which stage on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fate {
    class: Class,
    from: StageKind,
}

/// Returns what the audit says of a program.
fn audit(program: &Program) -> Vec<Finding> {
    let file = SourceFile { path: program.path(), text: program.text() };
    audit_files(program, program.audited, &[file])
}

fn audit_files(program: &Program, column: Option<&str>, files: &[SourceFile]) -> Vec<Finding> {
    let contract = program.contract();
    let text = schema(column);
    let parsed = SchemaFile::parse(&text).unwrap();
    // Written out, a batch that SQLite takes is too large for the others.
    let engines = BTreeSet::from([Backend::Sqlite]);
    let module = ["schema".to_owned()];
    let subject =
        Subject::new(contract.path(), Some(&contract), (&text, &module), &parsed, engines)
            .unwrap()
            .released(program.audited.map(|_| StageKind::Expand));
    let subject = if program.ahead { subject.missing() } else { subject };
    rust::examine(&subject, files, &Memory::default())
}

/// Mends a program for the `schema.rs` with the column, as far as the audit can; what it says then.
fn mended(program: &Program) -> (String, Vec<Finding>) {
    let column = program.then.map(|(column, _)| column);
    let file = SourceFile { path: program.path(), text: program.text() };
    let Mended { files, .. } = mend(vec![file], |files| audit_files(program, column, files));
    let left = audit_files(program, column, &files);
    (files[0].text.clone(), left)
}

/// Holds what the fixes have made of a program against the compiler; returns the cases mended.
fn check_mended(program: &Program, later: &Built, wrong: &mut Vec<String>) -> BTreeSet<String> {
    let (text, left) = mended(program);
    let source = Source::read(&text);
    let case_of = |line: usize| source.case_at(line).map(str::to_owned);
    let line_of = |finding: &Finding| match &finding.place {
        Where::File { at, .. } => at.line,
        other => panic!("{other}"),
    };
    let open: BTreeSet<_> = left.iter().filter_map(|found| case_of(line_of(found))).collect();
    for (line, message) in later.errors.get(Utf8Path::new(MENDED)).into_iter().flatten() {
        if case_of(*line).is_none_or(|case| !open.contains(&case)) {
            wrong.push(format!("{MENDED}:{line}: it is mended and does not compile: {message}"));
        }
    }
    let marked = source.cases.iter().filter(|(_, marks)| !marks.is_empty());
    marked.map(|(case, _)| case.clone()).filter(|case| !open.contains(case)).collect()
}

/// Runs a program on a database; which cases went wrong, and how.
fn run(program: &Utf8Path, database: &Utf8Path) -> BTreeMap<String, Option<Class>> {
    let output = Tool::new(program).arg(database).run().unwrap().success();
    let line = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next().unwrap().to_owned();
        let class = match words.next() {
            Some("right") => None,
            Some("wrong") => Some(Class::Silent),
            Some("failed") => Some(Class::Runtime),
            other => panic!("{other:?}"),
        };
        (name, class)
    };
    output.stdout.lines().map(line).collect()
}

/// Makes the database of every stage; the first is that before the column.
fn databases(program: &Program, root: &Utf8Path) -> Vec<(Option<StageKind>, Utf8PathBuf)> {
    let path = |stage: &str| root.join(format!("{}.{stage}.sqlite", program.package));
    let first = path("before");
    scratch::run(&format!("sqlite://{first}"), TABLES).unwrap();
    let now = path("now");
    fs::copy(&first, &now).unwrap();
    let url = format!("sqlite://{now}");
    let life = Life::plan(&program.contract(), &url).unwrap();
    let mut found = vec![(None, first)];
    for stage in &life.stages {
        let at = DatabaseUrl::parse(&url).unwrap();
        let mut session = Session::open(&at, &OpenOptions::write()).unwrap();
        for action in &stage.actions {
            action.run(&mut session).unwrap();
        }
        drop(session);
        let copy = path(stage.kind.name());
        fs::copy(&now, &copy).unwrap();
        found.push((Some(stage.kind), copy));
    }
    found
}

/// Returns what happens to the cases of a program that is run.
fn fates_when_run(
    program: &Program,
    workspace: &Workspace,
    first: &Built,
    later: &Built,
) -> BTreeMap<String, Fate> {
    let name = format!("audit-{}-main", program.package);
    let (before, after) = (&first.programs[&name], later.programs.get(&name));
    let mut fates = BTreeMap::new();
    for (stage, database) in databases(program, workspace.root()) {
        if program.ahead {
            let wrong = run(before, &database).into_iter().filter_map(|(case, class)| {
                class.map(|class| (case, Fate { class, from: StageKind::Expand }))
            });
            return wrong.collect();
        }
        let built = match (program.then, stage) {
            // The release whose schema.rs has the column starts when the column is there.
            (Some(_), Some(_)) => after.expect("it still compiles"),
            _ => before,
        };
        if program.written.is_some() {
            if stage.is_none() {
                continue;
            }
            scratch::run(
                &format!("sqlite://{database}"),
                &["UPDATE users SET nick = 'n' WHERE id = 1"],
            )
            .unwrap();
        }
        for (case, class) in run(built, &database) {
            match (class, stage) {
                (None, _) => {}
                (Some(class), None) => panic!("{case}: {class:?} before the column comes"),
                (Some(class), Some(from)) => {
                    fates.entry(case).or_insert(Fate { class, from });
                }
            }
        }
    }
    fates
}

/// Returns what happens to the cases of a program that is compiled.
fn fates_when_compiled(
    program: &Program,
    source: &Source,
    later: &Built,
) -> BTreeMap<String, Fate> {
    let Some((_, from)) = program.then else { return BTreeMap::new() };
    let errors = later.errors.get(&program.path()).map(Vec::as_slice).unwrap_or_default();
    let cases = errors.iter().filter_map(|(line, _)| source.case_at(*line));
    cases.map(|case| (case.to_owned(), Fate { class: Class::Compile, from })).collect()
}

#[derive(Default)]
struct Count {
    places: usize,
    found: usize,
    said: usize,
    false_alarms: usize,
}

#[test]
fn what_is_marked_goes_wrong_and_is_found() {
    let workspace = Workspace::new();
    let first = workspace.build("first");
    assert!(first.errors.is_empty(), "{:#?}", first.errors);
    let rows = PROGRAMS.iter().find(|program| MENDED.starts_with(program.package)).unwrap();
    workspace.later(&mended(rows).0);
    let later = workspace.build("later");
    let mut wrong: Vec<String> = Vec::new();
    let mended = check_mended(rows, &later, &mut wrong);
    for case in ["a_struct_that_can_select", "a_struct_of_no_table", "a_struct_that_takes_a_field"]
    {
        assert!(mended.contains(case), "{case} is not mended: {mended:?}");
    }
    assert!(!mended.contains("a_struct_that_is_built"), "{mended:?}");
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for program in PROGRAMS {
        let path = program.path();
        let source = Source::read(&program.text());
        let fates = if program.runs() {
            fates_when_run(program, &workspace, &first, &later)
        } else {
            fates_when_compiled(program, &source, &later)
        };
        // The marks are true.
        for (case, marks) in &source.cases {
            match (marks.is_empty(), fates.get(case)) {
                (true, Some(fate)) => wrong.push(format!("{path}: {case} is not marked: {fate:?}")),
                (false, None) => {
                    wrong.push(format!("{path}: {case} is marked, and nothing happens"))
                }
                _ => {}
            }
        }
        if program.exact && !program.runs() {
            let said = later.errors.get(&path).into_iter().flatten().map(|(line, _)| *line);
            let (said, marked): (BTreeSet<usize>, BTreeSet<usize>) =
                (said.collect(), source.marks().map(|(_, mark)| mark.line).collect());
            // The lines that use what a mark is at may be wrong, too.
            if !marked.is_subset(&said) {
                wrong.push(format!("{path}: errors at {said:?}, marks at {marked:?}"));
            }
        }
        // They are found, with class and stage.
        let mut found: BTreeSet<(usize, String)> = BTreeSet::new();
        for finding in audit(program) {
            let Where::File { at, .. } = &finding.place else { panic!("{finding:?}") };
            found.insert((at.line, finding.rule.id.to_owned()));
            let count = counts.entry(finding.class.name()).or_default();
            count.said += 1;
            let case = source.case_at(at.line);
            let Some(fate) = case.and_then(|case| fates.get(case)) else {
                count.false_alarms += 1;
                wrong.push(format!("{path}:{at}: a false alarm: {}", finding.message));
                continue;
            };
            let in_time = match fate.class {
                // Who looks later sees more of it.
                Class::Silent => finding.due <= fate.from,
                Class::Compile | Class::Runtime | Class::Unknown => finding.due == fate.from,
            };
            if finding.class != fate.class || !in_time {
                wrong.push(format!(
                    "{path}:{at}: {} is said to be {:?} by {:?}, and is {fate:?}",
                    finding.rule.id, finding.class, finding.due
                ));
            }
        }
        for (case, mark) in source.marks() {
            let Some(fate) = fates.get(case) else { continue };
            let count = counts.entry(fate.class.name()).or_default();
            count.places += 1;
            if found.remove(&(mark.line, mark.rule.clone())) {
                count.found += 1;
            } else {
                wrong.push(format!("{path}:{}: {} is not found", mark.line, mark.rule));
            }
        }
        wrong.extend(found.iter().map(|(line, rule)| format!("{path}:{line}: {rule} has no mark")));
    }
    eprintln!(
        "{:<8}  {:>6}  {:>5}  {:>6}  {:>5}  {:>9}",
        "class", "places", "found", "recall", "said", "precision"
    );
    for (class, Count { places, found, said, false_alarms }) in &counts {
        let share = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        let (recall, precision) = (share(*found, *places), share(said - false_alarms, *said));
        eprintln!(
            "{class:<8}  {places:>6}  {found:>5}  {recall:>5.1}%  {said:>5}  {precision:>8.1}%"
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
