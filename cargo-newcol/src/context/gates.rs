//! What must be true before a stage is released or applied, and what the database shows of it.

use std::{fmt, time::Duration};

use newcol_core::{
    backend::Backend,
    contract::OldRows,
    db::{DatabaseUrl, Session},
    execute::{
        backfill::Recorded,
        drift::{self, Compared, Drift, Progress},
        old_writers::{Counted, Search, Sign, observe},
    },
    ident::ColumnPath,
    plan::{Gate, LEFTOVERS, Migration, Plan, Stage, StageKind, explain},
    render::{self, migrations},
};

use super::{Column, Project};
use crate::{
    error::{CliError, Exit},
    interrupt,
};

/// What the user says of old programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// Nothing.
    None,
    /// That they were gone when the stage was released: nothing may show the contrary.
    Before,
    /// That they are gone now.
    Now,
}

/// A gate, and what was found of it.
#[derive(Debug, Clone)]
pub(crate) struct GateState {
    pub(crate) gate: Gate,
    pub(crate) is_open: bool,
    /// The evidence, in words.
    pub(crate) found: String,
    /// What would mend what was found, where the gate alone does not say it.
    mend: Vec<String>,
}

impl GateState {
    fn new(gate: Gate, is_open: bool, found: impl Into<String>) -> Self {
        Self { gate, is_open, found: found.into(), mend: Vec::new() }
    }

    /// Judges a comparison of the database with the plan.
    fn as_planned(compared: Option<&Compared>) -> Self {
        let state = |is_open, found: &str| Self::new(Gate::AsPlanned, is_open, found);
        let Some(Compared { drifts, unseen }) = compared else {
            return state(true, "not compared: what is released is not of the plan any more");
        };
        if drifts.is_empty() && unseen.is_empty() {
            return state(true, "nothing differs");
        }
        if drifts.is_empty() {
            return state(true, &format!("nothing differs; not looked at: {}", unseen.join(", ")));
        }
        let found: Vec<String> = drifts.iter().map(ToString::to_string).collect();
        let mend = drifts.iter().map(Drift::hint).collect();
        Self { mend, ..state(false, &found.join("; ")) }
    }

    /// Reports whether it is about programs at work, of which the user may know more.
    pub(crate) fn is_of_programs(&self) -> bool {
        match self.gate {
            Gate::OldWritersGone | Gate::ReplacedUnused => true,
            Gate::StageApplied(_) | Gate::Backfilled | Gate::AsPlanned => false,
        }
    }

    /// Says what is not shown, and what was found instead.
    fn complaint(&self) -> String {
        format!("not shown that {} ({})", explain::gate(self.gate), self.found)
    }

    /// Says what opens it, after a database was asked.
    pub(crate) fn ways_out(&self, path: &ColumnPath) -> Vec<String> {
        match self.gate {
            Gate::StageApplied(_) => {
                vec![format!("apply it first: `cargo newcol apply {path} --database-url <URL>`")]
            }
            Gate::Backfilled => vec![format!(
                "fill them first: `cargo newcol backfill {path} --database-url <URL>`"
            )],
            Gate::OldWritersGone | Gate::ReplacedUnused | Gate::AsPlanned => self.mend.clone(),
        }
    }
}

const VOUCH: &str = "vouch for it with `--confirm-release \"reason\"`";

/// What is done with a stage whose gates are open.
pub(crate) enum Step<'a> {
    /// It is released.
    Release {
        /// Whether a database was asked.
        asked: bool,
    },
    /// It is applied to a database.
    Apply { url: &'a DatabaseUrl },
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release { .. } => f.write_str("released"),
            Self::Apply { url } => write!(f, "applied to {}", url.describe()),
        }
    }
}

/// Whom gates are asked of.
pub(crate) struct Witness<'a> {
    /// The database, where there is one.
    pub(crate) session: Option<&'a mut Session>,
    pub(crate) word: Word,
    /// How long old programs are looked for.
    pub(crate) observe: Duration,
}

/// Returns how long old programs are looked for; refuses where none can be seen.
pub(crate) fn observing(
    observe: Option<Duration>,
    url: &DatabaseUrl,
) -> Result<Duration, CliError> {
    match (observe, url.backend()) {
        (Some(_), Backend::Sqlite) => Err(CliError::usage(format!(
            "nobody can be observed in {}: SQLite sees no other programs and counts no statements",
            url.describe()
        ))
        .at("--observe")
        .hint(
            "leave it out; once every program from before the column is stopped or replaced, say so \
             to `next` with `--confirm-release \"reason\"`",
        )),
        (observe, Backend::Postgres | Backend::Mysql | Backend::Sqlite) => {
            Ok(observe.unwrap_or_default())
        }
    }
}

impl Column {
    /// Refuses while a gate of a stage is shut.
    pub(crate) fn pass(
        &self,
        kind: StageKind,
        gates: &[GateState],
        step: &Step<'_>,
    ) -> Result<(), CliError> {
        let shut: Vec<&GateState> = gates.iter().filter(|state| !state.is_open).collect();
        if shut.is_empty() {
            return Ok(());
        }
        let path = self.contract.path();
        let mut hints: Vec<String> = Vec::new();
        match step {
            Step::Release { asked: true } | Step::Apply { .. } => {
                for hint in shut.iter().flat_map(|state| state.ways_out(path)) {
                    if !hints.contains(&hint) {
                        hints.push(hint);
                    }
                }
            }
            Step::Release { asked: false } => hints.extend([
                "pass `--database-url` of the database the stages are applied to".to_owned(),
                VOUCH.to_owned(),
            ]),
        }
        Err(CliError {
            exit: Exit::GateShut,
            message: format!("`{}` of `{path}` cannot be {step} yet", kind.name()),
            place: Some(self.file.to_string()),
            causes: shut.iter().map(|state| state.complaint()).collect(),
            also: Vec::new(),
            hints,
        })
    }

    /// Returns the gates of a stage, each with its evidence.
    pub(crate) fn gates(
        &self,
        project: &Project,
        kind: StageKind,
        witness: Witness<'_>,
    ) -> Result<Vec<GateState>, CliError> {
        let backend = witness.session.as_ref().map(|session| session.backend());
        let mut gates: Vec<Gate> = Vec::new();
        let plans = self.plans().filter(|plan| backend.is_none_or(|b| plan.backend() == b));
        for gate in plans.filter_map(|plan| plan.stage(kind)).flat_map(|stage| &stage.gates) {
            if !gates.contains(gate) {
                gates.push(*gate);
            }
        }
        let Some(session) = witness.session else {
            let vouched = witness.word != Word::None;
            let found = |gate| match gate {
                _ if vouched => "you vouch for it",
                Gate::StageApplied(_) | Gate::Backfilled | Gate::AsPlanned => {
                    "no database was asked"
                }
                Gate::OldWritersGone | Gate::ReplacedUnused => "only you can know",
            };
            return Ok(gates.into_iter().map(|g| GateState::new(g, vouched, found(g))).collect());
        };
        let plan = self.plans().find(|plan| plan.backend() == session.backend());
        let Some(plan) = plan else { return Ok(Vec::new()) };
        let compared = self.compared(session, project, plan)?;
        let mut states = vec![GateState::as_planned(compared.as_ref())];
        let drifts = compared.map(|compared| compared.drifts).unwrap_or_default();
        if drifts.iter().any(Drift::is_missing_column) {
            return Ok(states);
        }
        for gate in gates {
            states.push(match gate {
                Gate::StageApplied(before) => self.applied(session, project, before)?,
                Gate::Backfilled => {
                    // Without the column there are no rows to count.
                    let expanded = self.applied(session, project, StageKind::Expand)?;
                    if expanded.is_open { self.filled(session, plan)? } else { expanded }
                }
                Gate::OldWritersGone => {
                    let sign = Sign::InsertsWithout;
                    self.gone(gate, sign, session, project, witness.word, witness.observe)?
                }
                Gate::ReplacedUnused => {
                    let replaces = self.contract.answers().replaces.as_ref();
                    let Some(replaces) = replaces else { continue };
                    let sign = Sign::Names(replaces.column.clone());
                    self.gone(gate, sign, session, project, witness.word, witness.observe)?
                }
                Gate::AsPlanned => continue,
            });
        }
        Ok(states)
    }

    /// Tells which migrations of a stage are missing in the database.
    fn applied(
        &self,
        session: &mut Session,
        project: &Project,
        stage: StageKind,
    ) -> Result<GateState, CliError> {
        let known = session.migrations()?;
        let missing = self.landed(project, session.backend(), stage, &known).missing.len();
        let database = session.url().describe();
        let found = match missing {
            0 => format!("it is, to {database}"),
            1 => format!("1 of its migrations is not applied to {database}"),
            more => format!("{more} of its migrations are not applied to {database}"),
        };
        Ok(GateState::new(Gate::StageApplied(stage), missing == 0, found))
    }

    /// Returns what in the database is not as the applied stages planned.
    pub(crate) fn drifts(
        &self,
        session: &mut Session,
        project: &Project,
    ) -> Result<Vec<Drift>, CliError> {
        let plan = self.plans().find(|plan| plan.backend() == session.backend());
        let Some(plan) = plan else { return Ok(Vec::new()) };
        let compared = self.compared(session, project, plan)?;
        Ok(compared.map(|compared| compared.drifts).unwrap_or_default())
    }

    /// Compares what the database shows of the column with what its applied stages planned; `None`
    /// where the stages were released by another plan than the one that the contract gives now.
    pub(crate) fn compared(
        &self,
        session: &mut Session,
        project: &Project,
        plan: &Plan,
    ) -> Result<Option<Compared>, CliError> {
        let mut ours = project.sql_migrations(plan.backend())?;
        ours.retain(|m| {
            migrations::owner(&m.up).is_some_and(|(path, _)| path == *self.contract.path())
        });
        let file = |stage: &Stage, migration: &Migration| {
            let ending = format!("_{}", migrations::slug(plan, stage, migration));
            ours.iter().find(|released| released.name.ends_with(&ending))
        };
        let planned = || plan.stages.iter().flat_map(|s| s.migrations.iter().map(move |m| (s, m)));
        let known = planned().filter(|(stage, migration)| file(stage, migration).is_some());
        let is_released =
            |stage: &Stage| !self.versions(project, plan.backend(), stage.kind).is_empty();
        let wanted = planned().filter(|(stage, _)| is_released(stage)).count();
        if known.count() != ours.len() || wanted != ours.len() {
            return Ok(None);
        }
        let applied = session.migrations()?;
        let progress = |stage: &Stage, migration: &Migration| match file(stage, migration) {
            None => Progress::Planned,
            Some(file) if applied.iter().any(|m| m.version == file.version) => Progress::Applied,
            Some(_) => Progress::Released,
        };
        let texts = ours.iter().flat_map(|m| [Some(m.up.as_str()), m.down.as_deref()]);
        let texts: Vec<&str> = texts.flatten().collect();
        drift::compare(session, plan, &progress, &texts)
            .map(Some)
            .map_err(|error| CliError::of(Exit::Failed, &error).hint_maybe(error.hint()))
    }

    /// Counts rows that the fill has not reached, up to a bound, and looks for the receipt.
    fn filled(&self, session: &mut Session, plan: &Plan) -> Result<GateState, CliError> {
        let state = |is_open, found: String| GateState::new(Gate::Backfilled, is_open, found);
        let Some(question) = render::pending(plan) else {
            return Ok(state(true, "nothing has to be filled".to_owned()));
        };
        let mut count = |question: &str| -> Result<u64, CliError> {
            let rows = session.value(question)?.unwrap_or_default();
            Ok(rows.parse().unwrap_or(u64::MAX))
        };
        let rows = count(question.as_str())?;
        // The migration computes a bounded number of rows itself, where SQL can.
        let bound = match plan.contract.answers().old_rows {
            OldRows::Rust(_) => 0,
            OldRows::Sql(_) | OldRows::Unfilled => LEFTOVERS,
        };
        let empty = match rows {
            0 => "no row is empty".to_owned(),
            1 => "1 row is empty".to_owned(),
            rows if rows > LEFTOVERS => format!("more than {LEFTOVERS} rows are empty"),
            rows => format!("{rows} rows are empty"),
        };
        if rows > bound {
            return Ok(state(false, empty));
        }
        // A small table needs no job, and so has no receipt.
        if count(render::bounded_count(plan).as_str())? <= LEFTOVERS {
            return Ok(state(true, empty));
        }
        let recorded = Recorded::read(&self.contract, session)
            .map_err(|error| CliError::of(Exit::Failed, &error).hint_maybe(error.hint()))?;
        Ok(match recorded {
            Recorded::Done(receipt) => {
                state(true, format!("{empty}, and the backfill ended with {} rows", receipt.rows))
            }
            Recorded::Nothing => state(false, format!("{empty}, and no backfill proved it")),
            Recorded::Unfinished(_) => {
                state(false, format!("{empty}, and the backfill is not done"))
            }
            Recorded::Other => state(false, "the backfill was made with another fill".to_owned()),
            Recorded::Newer { made_by } => {
                state(false, format!("the backfill was made by version {made_by}"))
            }
        })
    }

    /// Looks for programs that do not know the column, or still use the one it replaces.
    fn gone(
        &self,
        gate: Gate,
        sign: Sign,
        session: &mut Session,
        project: &Project,
        word: Word,
        lasting: Duration,
    ) -> Result<GateState, CliError> {
        if word == Word::Now {
            return Ok(GateState::new(gate, true, "you vouch for it"));
        }
        let expand = self.versions(project, session.backend(), StageKind::Expand);
        let since = session
            .migrations()?
            .into_iter()
            .filter(|migration| expand.contains(&migration.version))
            .map(|migration| migration.run_on)
            .max();
        let search = Search { column: self.contract.path().clone(), sign, since };
        let seen = observe(session, &search, lasting, &interrupt::requested)?;
        let vouched = word == Word::Before && seen.sightings.is_empty();
        let found = if vouched { "you vouched for it".to_owned() } else { seen.to_string() };
        let wait = match (seen.counted, session.backend()) {
            (Counted::NoServer, _) => "stop or replace every older program",
            (Counted::Times(_), _) => {
                "wait until they are gone; watch for them with `--observe 5m`"
            }
            (Counted::Not, Backend::Postgres) => {
                "wait until they are gone; `--observe 5m` names those that it sees, and shows that there \
                 are none only where the extension `pg_stat_statements` is"
            }
            (Counted::Not | Counted::Hidden | Counted::ButPrepared, _) => {
                "wait until they are gone; `--observe 5m` names those that it sees, and cannot show \
                 here that there are none"
            }
        };
        let mend = vec![wait.to_owned(), VOUCH.to_owned()];
        let state = GateState::new(gate, vouched || seen.shows_nobody(), found);
        Ok(GateState { mend, ..state })
    }
}
