//! Seeded faults: stages and applications that are broken on purpose, each caught by the stage
//! matrix at the right moment, and the same done right, which passes.
//!
//! One test per fault. Whatever ran is printed as a table in the end.

#[path = "../support/users.rs"]
#[macro_use]
mod users;
mod fault;
mod table;
#[macro_use]
mod scenes;
mod backfills;
mod new_code;
mod objects;
mod old_code;
mod staging;
mod triggers;
mod types;
mod undo;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use self::{fault::Fault, table::Table};

/// Every fault, by what is wrong.
const GROUPS: &[&[Fault]] = &[
    staging::FAULTS,
    triggers::FAULTS,
    backfills::FAULTS,
    old_code::FAULTS,
    new_code::FAULTS,
    types::FAULTS,
    objects::FAULTS,
    undo::FAULTS,
];

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let table = Table::default();
    let faults = || GROUPS.iter().copied().flatten();
    let mut trials: Vec<Trial> = faults()
        .map(|fault| {
            let table = table.clone();
            let name = format!("{}::{}", fault.engine.name().to_lowercase(), fault.name);
            Trial::test(name, move || {
                if let Some(line) = fault.check()? {
                    table.add(fault, line);
                }
                Ok(())
            })
        })
        .collect();
    trials.push(Trial::test("there_are_enough", move || Ok(table::count(faults())?)));
    trials.push(Trial::test("the_docs_list_them", move || Ok(table::compare_docs(faults())?)));
    let conclusion = libtest_mimic::run(&args, trials);
    table.print();
    conclusion.exit_code()
}
