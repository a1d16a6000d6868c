//! An application whose code fills a column, for tests that kill it: takes a URL, a contract and the
//! options of the command line that it knows.

#![expect(clippy::print_stderr, reason = "its talk is what a test reads")]

use std::{
    error::Error,
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use newcol_core::{
    contract::read::read,
    db::{DatabaseUrl, OpenOptions},
    execute::{
        backfill::{Answer, Backfill, Event, Outcome, Settings, per_row},
        pace,
        side_effects::Triggers,
    },
    row::BoxError,
};

newcol_core::row! {
    struct Row {
        name: String,
        n: i32,
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(Outcome::Done(_)) => ExitCode::SUCCESS,
        Ok(other) => {
            eprintln!("{other:?}");
            ExitCode::from(3)
        }
        Err(error) => {
            eprintln!("{error}");
            let mut cause: Option<&dyn Error> = error.source();
            while let Some(next) = cause {
                eprintln!("because: {next}");
                cause = next.source();
            }
            ExitCode::from(101)
        }
    }
}

fn run() -> Result<Outcome, BoxError> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().ok_or("an argument is missing");
    let url = DatabaseUrl::parse(&next()?)?;
    let contract = read(&std::fs::read_to_string(next()?)?).map_err(|_| "the contract is wrong")?;
    let mut settings = Settings { triggers: Triggers::Fire, ..Settings::default() };
    while let Ok(option) = next() {
        match option.as_str() {
            "--workers" => settings.workers = next()?.parse::<NonZeroU32>()?,
            "--full-speed" => settings.pace = pace::Settings::full_speed(),
            _ => return Err(format!("what is `{option}`?").into()),
        }
    }
    // No two values are the same, whatever process makes them.
    let (process, made) = (RandomState::new().hash_one(0), AtomicU64::new(0));
    let fill = per_row(|row: &Row| {
        let number = made.fetch_add(1, Ordering::Relaxed);
        Ok(Some(format!("f{process:x}-{number}-{}-{}", row.name, row.n)))
    });
    let job = Backfill::new(&contract.contract, &url, OpenOptions::write()).settings(settings);
    let outcome = job.rust(&fill).run(&|event| {
        if let Event::Pass { pass, .. } = event {
            eprintln!("pass {pass}");
        }
        Answer::Go
    })?;
    Ok(outcome)
}
