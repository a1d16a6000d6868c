//! The table of all faults: as they were caught, and as the docs list them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    sync::{Arc, Mutex, PoisonError},
};

use newcol_testkit::scratch::BoxError;

use crate::fault::{Engine, Fault};

/// Where the list stands in the docs.
const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/testkit.md");

/// What opens and closes the list there.
const MARKS: [&str; 2] = [
    "<!-- faults: `NEWCOL_BLESS=1 cargo test -p newcol-testkit --all-features --test faults docs` -->\n",
    "<!-- end of faults -->\n",
];

/// What was promised: this many faults, each with its counterpart.
const ENOUGH: usize = 40;

/// The faults that were caught so far.
#[derive(Clone, Default)]
pub(crate) struct Table(Arc<Mutex<BTreeMap<(Engine, &'static str), String>>>);

impl Table {
    /// Adds a fault that was caught, and whose counterpart passed.
    pub(crate) fn add(&self, fault: &Fault, line: String) {
        let row = format!("{}\n    caught: {line}\n    kept:   {}\n", fault.wrong, fault.right);
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.insert((fault.engine, fault.name), row);
    }

    /// Prints it.
    #[expect(clippy::print_stdout, reason = "the table is what the run is for")]
    pub(crate) fn print(&self) {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((engine, _), row) in rows.iter() {
            println!("{}: {row}", engine.name());
        }
    }
}

/// Fails if there are too few, two of a name, or an engine without any.
pub(crate) fn count<'a>(faults: impl Iterator<Item = &'a Fault>) -> Result<(), BoxError> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for fault in faults {
        names.entry(fault.engine.name()).or_default().push(fault.name);
    }
    let all: usize = names.values().map(Vec::len).sum();
    if all < ENOUGH || names.len() < 3 {
        return Err(format!("only {all} faults on {} engines", names.len()).into());
    }
    for names in names.values_mut() {
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("two faults are called {}", twice[0]).into());
        }
    }
    Ok(())
}

/// Fails if the docs list other faults; writes them there if blessed.
pub(crate) fn compare_docs<'a>(faults: impl Iterator<Item = &'a Fault>) -> Result<(), BoxError> {
    let mut faults: Vec<&Fault> = faults.collect();
    faults.sort_by_key(|fault| match fault.engine {
        Engine::Postgres | Engine::Postgres18 => 0,
        Engine::Mariadb => 1,
        Engine::Sqlite => 2,
    });
    let mut list = String::from("\n| on | wrong | caught | right |\n|---|---|---|---|\n");
    for Fault { wrong, right, engine, caught, .. } in faults {
        let by = caught.by.map_or("the stage itself".to_owned(), |(side, session, operation)| {
            format!("{} code, {} session, {operation}", side.name(), session.name())
        });
        let _ = writeln!(list, "| {} | {wrong} | {}: {by} | {right} |", engine.name(), caught.at);
    }
    list.push('\n');
    let there = fs::read_to_string(DOCS)?;
    let stale = || format!("{DOCS} is stale: {}", MARKS[0].trim_end());
    let (before, rest) = there.split_once(MARKS[0]).ok_or_else(stale)?;
    let (now, after) = rest.split_once(MARKS[1]).ok_or_else(stale)?;
    if now == list {
        return Ok(());
    }
    if std::env::var_os("NEWCOL_BLESS").is_some() && std::env::var_os("CI").is_none() {
        fs::write(DOCS, [before, MARKS[0], &list, MARKS[1], after].concat())?;
        return Ok(());
    }
    Err(stale().into())
}
