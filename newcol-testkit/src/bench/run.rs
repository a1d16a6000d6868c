//! Runs all scenes of a benchmark, one after the other.

use std::{cell::RefCell, collections::BTreeMap, num::NonZeroU32, time::Duration};

use camino::Utf8Path;
use newcol_core::{
    backend::Backend,
    bench::{
        load::Phase,
        profile::Profile,
        run::{Conditions, Run, VERSION, Way},
        workload::Workload,
    },
    contract::{Contract, OldRows},
    db::{DatabaseUrl, Session},
    ident::TableName,
    render::text,
};

use super::{
    BenchError,
    arena::{Arena, open},
    fill::GoOn,
    scale,
    scenes::Scenes,
    settle,
    table::{self, Filled},
};
use crate::{
    life::{self, Life},
    rows::Rows,
    scratch::{Standby, Want},
};

/// How hard users press.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pressure {
    /// So many requests per second.
    Rate(f64),
    /// A share of what the server can answer, which is found out first.
    Share(f64),
}

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// The server, and the table.
    Table,
    /// Old rows are filled with nobody else there.
    Fill(Way),
    /// The same again.
    Again,
    /// The same with fewer rows.
    Smaller,
    /// With and without the index in turn.
    Index,
    /// What the server can answer.
    Capacity,
    /// A server that follows.
    Standby,
    /// Users at work.
    Load(Phase),
}

/// A benchmark to run.
#[derive(Debug)]
pub struct Bench<'a> {
    pub(super) contract: &'a Contract,
    migrations: &'a Utf8Path,
    want: Want,
    setup: Vec<String>,
    rows: u64,
    profile: Option<&'a Profile>,
    pub(super) workload: Option<(&'a Workload, String)>,
    pub(super) pressure: Option<Pressure>,
    pub(super) time: Duration,
    pub(super) connections: NonZeroU32,
    pub(super) blocks: u32,
    pub(super) ways: Vec<Way>,
    pub(super) seed: u64,
    pub(super) standby: bool,
    pub(super) times: u32,
}

/// Rows that a table has at least for its figures to tell anything of more rows.
const LEAST: u64 = 1_000;

/// Rows of a statement that makes rows up.
const BATCH: u64 = 500;

impl<'a> Bench<'a> {
    /// Prepares the benchmark of a contract on the schema that a directory of migrations makes.
    pub fn new(contract: &'a Contract, migrations: &'a Utf8Path, want: impl Into<Want>) -> Self {
        Self {
            contract,
            migrations,
            want: want.into(),
            setup: Vec::new(),
            rows: 100_000,
            profile: None,
            workload: None,
            pressure: Some(Pressure::Share(0.5)),
            time: Duration::from_secs(20),
            connections: NonZeroU32::new(8).unwrap_or(NonZeroU32::MIN),
            blocks: 15,
            ways: Way::ALL.to_vec(),
            seed: 1,
            standby: false,
            times: 3,
        }
    }

    /// Fills the table with so many rows.
    #[must_use]
    pub fn rows(self, rows: u64) -> Self {
        Self { rows: rows.max(1), ..self }
    }

    /// Sends statements before the project's migrations, in their session, as the application does.
    #[must_use]
    pub fn setup(self, setup: Vec<String>) -> Self {
        Self { setup, ..self }
    }

    /// Makes the table of a profile instead of the project's migrations.
    #[must_use]
    pub fn profile(self, profile: Option<&'a Profile>) -> Self {
        Self { profile, ..self }
    }

    /// Lets users send a workload, called by a name in the report; it needs a profile, whose table has
    /// the values that it asks for.
    #[must_use]
    pub fn workload(self, workload: Option<(&'a Workload, String)>) -> Self {
        Self { workload, ..self }
    }

    /// Chooses how hard users press; with none there are no users.
    #[must_use]
    pub fn pressure(self, pressure: Option<Pressure>) -> Self {
        Self { pressure, ..self }
    }

    /// Chooses how long the phases are in which nothing is done to the table.
    #[must_use]
    pub fn time(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// Chooses how many connections users have.
    #[must_use]
    pub fn connections(self, connections: NonZeroU32) -> Self {
        Self { connections, ..self }
    }

    /// Chooses how many blocks are measured with and without the index; 0 leaves that out.
    #[must_use]
    pub fn blocks(self, blocks: u32) -> Self {
        Self { blocks, ..self }
    }

    /// Chooses the ways to fill that are compared.
    #[must_use]
    pub fn ways(self, ways: Vec<Way>) -> Self {
        Self { ways, ..self }
    }

    /// Chooses what chance is drawn with.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Lets a standby follow while users are there, and looks how far it is behind (PostgreSQL).
    #[must_use]
    pub fn standby(self, standby: bool) -> Self {
        Self { standby, ..self }
    }

    /// Chooses how often each right way of filling is gone, so that speed has an interval from three on.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: times.max(1), ..self }
    }

    /// Runs it; `tell` hears what begins, and `go_on` is asked all the time.
    ///
    /// # Errors
    ///
    /// When there is no server, no table, or nothing that could be measured.
    pub fn run(
        &self,
        tell: &mut dyn FnMut(Scene),
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<Run, BenchError> {
        if matches!(self.contract.answers().old_rows, OldRows::Rust(_)) {
            return Err(BenchError::NotBySql);
        }
        if self.standby {
            Standby::check(self.want.backend)?;
        }
        let tell = RefCell::new(tell);
        let begin = |scene| match go_on() {
            true => {
                tell.borrow_mut()(scene);
                Ok(())
            }
            false => Err(BenchError::Stopped),
        };
        begin(Scene::Table)?;
        let build = |url: &DatabaseUrl| self.build(url, self.rows, go_on).map(drop);
        let mut filled = None;
        let arena = Arena::new(self.want, |url| {
            filled = Some(self.build(url, self.rows, go_on)?);
            Ok(())
        })?;
        let Some(filled) = filled else { return Err(BenchError::Stopped) };
        let life = Life::plan(self.contract, arena.url().expose())?;
        let life = match self.profile {
            // The project's own files are for a table that its migrations made.
            Some(_) => life,
            None => life.with_released(self.migrations)?,
        };
        let mut run = self.start(&arena, &filled)?;
        let scenes = Scenes { bench: self, arena: &arena, life: &life, build: &build, go_on };
        scenes.fills(&mut run, &begin)?;
        if let Some((profile, rows)) = self.smaller() {
            let build = |url: &DatabaseUrl| self.build(url, rows, go_on).map(drop);
            scale::measure(&Scenes { build: &build, ..scenes }, profile, &mut run, &begin)?;
        }
        scenes.index(&mut run, &filled, &begin)?;
        scenes.load(&mut run, &filled, &begin)?;
        Ok(run)
    }

    /// Returns how many rows a smaller table has that tells, with this one, what production will cost,
    /// where that has more than this one.
    fn smaller(&self) -> Option<(&'a Profile, u64)> {
        let rows = self.rows / 4;
        let profile = self.profile.filter(|profile| profile.size.rows > self.rows as f64 * 1.5)?;
        (rows >= LEAST).then_some((profile, rows))
    }

    /// Makes the table in an empty database.
    fn build(&self, url: &DatabaseUrl, rows: u64, go_on: GoOn<'_>) -> Result<Filled, BenchError> {
        let mut session = open(url)?;
        let filled = match self.profile {
            Some(profile) => {
                let scale = rows as f64 / profile.size.rows.max(1.0);
                table::made(&mut session, profile, scale, self.seed)?
            }
            None => {
                let (dir, column) = (self.migrations, self.contract.path());
                life::migrate_before_after(&self.setup, url.expose(), dir, column)?;
                make_up(&mut session, self.contract.table(), rows, go_on)?
            }
        };
        settle(&mut session, self.contract.table())?;
        Ok(filled)
    }

    fn start(&self, arena: &Arena, filled: &Filled) -> Result<Run, BenchError> {
        let mut notes = filled.left_out.clone();
        let off = filled.checks.iter().filter(|check| !check.holds());
        notes.extend(off.map(|check| format!("not as in production: {check}")));
        let shape = match self.profile {
            Some(profile) => format!("profile of {} ({})", profile.table, profile.server),
            None => {
                notes.push(
                    "rows are made up from the schema, without a profile of production: widths, \
                     repetition and order of the values are guesses"
                        .to_owned(),
                );
                "made up".to_owned()
            }
        };
        let workload = match &self.workload {
            Some((_, name)) => name.clone(),
            None => "made up: 70 % reads by key, 20 % updates by key, 10 % inserts".to_owned(),
        };
        notes.extend(cannot(arena.backend()).iter().map(|note| (*note).to_owned()));
        Ok(Run {
            version: VERSION,
            by: env!("CARGO_PKG_VERSION").to_owned(),
            at: String::new(),
            again: Vec::new(),
            conditions: Conditions {
                column: self.contract.path().to_string(),
                server: arena.server()?.to_string(),
                rows: filled.rows,
                shape,
                workload,
                rate: None,
                capacity: None,
                connections: self.connections.get(),
                seconds: self.time.as_secs_f64(),
                seed: self.seed,
                standby: self.standby,
                settings: arena.settings()?,
            },
            fills: Vec::new(),
            scales: None,
            built: None,
            paid: None,
            load: None,
            notes,
        })
    }
}

/// What an engine does not tell.
fn cannot(backend: Backend) -> &'static [&'static str] {
    match backend {
        Backend::Postgres => &[
            "autovacuum is off, so that pages are counted and not guessed; in production it makes \
             room between batches",
        ],
        Backend::Mysql => &[
            "the server does not tell which rows stayed on their page, which relation its log is \
             of, or how many rows are dead; MySQL does not tell its log either",
            "lock waits and checkpoints are not looked at",
        ],
        Backend::Sqlite => {
            &["SQLite has no log of its own to count, no HOT updates, no background work and one \
             writer at a time: only time and the size of the file are measured"]
        }
    }
}

/// Fills a table with rows that its own definition allows.
fn make_up(
    session: &mut Session,
    table: &TableName,
    rows: u64,
    go_on: GoOn<'_>,
) -> Result<Filled, BenchError> {
    let backend = session.backend();
    let made = Rows::of(session, table)?.without_nulls();
    let names: Vec<String> = made.columns().iter().map(|c| text::name(backend, c)).collect();
    let (name, columns) = (text::table(backend, table), names.join(", "));
    let mut prepare = false;
    made.prepare(session, 1)?;
    let mut first = 1;
    while first <= rows {
        if !go_on() {
            return Err(BenchError::Stopped);
        }
        let numbers = first..(first + BATCH).min(rows + 1);
        if prepare {
            numbers.clone().try_for_each(|n| made.prepare(session, n))?;
        }
        let literals = numbers.map(|n| Ok(format!("({})", made.literals(n)?.join(", "))));
        let literals = literals.collect::<Result<Vec<_>, BenchError>>()?;
        let done = session
            .batch(&format!("INSERT INTO {name} ({columns}) VALUES {}", literals.join(", ")));
        match done {
            Ok(()) => first += BATCH,
            // Rows need parents of their own.
            Err(_) if !prepare => prepare = true,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Filled {
        table: table.clone(),
        rows,
        checks: Vec::new(),
        left_out: Vec::new(),
        new: BTreeMap::new(),
        types: Vec::new(),
    })
}
