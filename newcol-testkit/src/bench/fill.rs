//! Fills the column of one copy of the table, in any of the ways that are compared.

use newcol_core::{
    backend::Backend,
    bench::run::{Fill, Way},
    contract::Contract,
    db::{DatabaseUrl, OpenOptions, Session},
    execute::{
        backfill::{Answer, Backfill, BackfillError, Event, Outcome, Settings},
        pace,
    },
    ident::Ident,
    plan::{Plan, StageKind},
    render::text,
};

use super::{BenchError, arena::open, counters::Meter};
use crate::life::{Life, LifeError};

/// What the sessions that fill are called at the server.
pub(super) const SESSIONS: &str = "newcol-bench fill";

/// Whether to go on; asked between batches.
pub(super) type GoOn<'a> = &'a (dyn Fn() -> bool + Sync);

/// Carries out the migrations of a stage.
pub(super) fn stage(life: &Life, kind: StageKind, url: &DatabaseUrl) -> Result<(), BenchError> {
    let mut session = open(url)?;
    for stage in life.stages.iter().filter(|stage| stage.kind == kind) {
        for action in &stage.actions {
            action.run(&mut session)?;
        }
    }
    Ok(())
}

/// Reports whether a way can be gone with this plan, on this server.
pub(super) fn can(way: Way, plan: &Plan) -> bool {
    let postgres = plan.backend() == Backend::Postgres;
    match way {
        Way::Stride | Way::Update => true,
        // Elsewhere the job walks by key anyhow.
        Way::Ranges => postgres && !plan.facts.primary_key.is_empty(),
        Way::IndexFirst => postgres && plan.stage(StageKind::Index).is_some(),
        Way::Helper => postgres && !plan.facts.primary_key.is_empty(),
        Way::HeldSnapshot => postgres,
    }
}

/// Fills a copy that has the column, and says what that cost.
pub(super) fn measured(
    way: Way,
    life: &Life,
    url: &DatabaseUrl,
    go_on: GoOn<'_>,
) -> Result<Fill, BenchError> {
    let contract = &life.plan.contract;
    let mut session = open(url)?;
    let held = match way {
        Way::IndexFirst => {
            stage(life, StageKind::Index, url)?;
            None
        }
        Way::Helper => {
            let key = text::name(Backend::Postgres, &life.plan.facts.primary_key[0]);
            session.batch(&format!(
                "CREATE INDEX newcol_bench_helper ON {} ({key}) WHERE {} IS NULL",
                text::table(Backend::Postgres, contract.table()),
                text::name(Backend::Postgres, contract.column()),
            ))?;
            None
        }
        Way::HeldSnapshot => {
            let mut other = open(url)?;
            other.batch("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1")?;
            Some(other)
        }
        Way::Stride | Way::Ranges | Way::Update => None,
    };
    let meter = Meter::start(url, contract.table())?;
    let full = pace::Settings::full_speed();
    let rows = match way {
        Way::Update => update(&mut session, &life.plan)?,
        Way::Ranges => job(contract, url, Settings { by_key: true, ..with(full) }, go_on)?,
        Way::Stride | Way::IndexFirst | Way::Helper | Way::HeldSnapshot => {
            job(contract, url, with(full), go_on)?
        }
    };
    // A session's counts arrive when it is over.
    drop(session);
    let fill = meter.stop(way, rows)?;
    drop(held);
    Ok(fill)
}

fn with(pace: pace::Settings) -> Settings {
    Settings { pace, ..Settings::default() }
}

/// Fills as `cargo newcol backfill` does, at its usual pace.
pub(super) fn gently(
    contract: &Contract,
    url: &DatabaseUrl,
    go_on: GoOn<'_>,
) -> Result<u64, BenchError> {
    job(contract, url, Settings::default(), go_on)
}

fn job(
    contract: &Contract,
    url: &DatabaseUrl,
    settings: Settings,
    go_on: GoOn<'_>,
) -> Result<u64, BenchError> {
    let name = Some(SESSIONS.to_owned());
    let open = OpenOptions { application_name: name, ..OpenOptions::write() };
    let listener = |_: &Event| if go_on() { Answer::Go } else { Answer::Stop };
    let job = Backfill::new(contract, url, open).settings(settings);
    match job.run(&listener).map_err(|error: BackfillError| LifeError::from(Box::new(error)))? {
        Outcome::Done(receipt) => Ok(receipt.filled),
        Outcome::Stopped(_) => Err(BenchError::Stopped),
        Outcome::Unfillable { rows, keys, .. } => {
            let mut session = Session::open(url, &OpenOptions::write())?;
            Err(LifeError::unfillable(&mut session, contract, rows, keys).into())
        }
    }
}

/// What everybody writes first.
pub(super) fn update(session: &mut Session, plan: &Plan) -> Result<u64, BenchError> {
    let (backend, contract) = (plan.backend(), &plan.contract);
    let Some(fill) = plan.fill() else { return Err(BenchError::NotBySql) };
    let column = |name: &Ident| text::name(backend, name);
    Ok(session.execute(&format!(
        "UPDATE {} SET {} = ({fill}) WHERE {} IS NULL",
        text::table(backend, contract.table()),
        column(contract.column()),
        column(contract.column()),
    ))?)
}
