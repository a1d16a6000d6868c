//! The wire form: owned here, so that core types can change without changing it.

use newcol_core::{
    plan::{
        Plan,
        effect::{Hold, effect},
        explain,
    },
    render::{self, migrations, patch::Change},
};
use serde::Serialize;

use crate::error::CliError;

#[derive(Debug, Serialize)]
pub(super) struct PlanJson {
    column: String,
    backend: &'static str,
    server: String,
    why: String,
    stages: Vec<StageJson>,
    reasons: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct StageJson {
    stage: &'static str,
    gates: Vec<String>,
    migrations: Vec<MigrationJson>,
}

#[derive(Debug, Serialize)]
struct MigrationJson {
    name: String,
    in_transaction: bool,
    steps: Vec<StepJson>,
}

#[derive(Debug, Serialize)]
struct StepJson {
    what: String,
    blocks: String,
    undo: &'static str,
    lock: &'static str,
    brief: bool,
    rewrites: bool,
    scans: bool,
    up: Vec<String>,
    down: Vec<String>,
    proofs: Vec<String>,
}

impl PlanJson {
    pub(super) fn of(plan: &Plan) -> Self {
        let stages = plan.stages.iter().map(|stage| StageJson {
            stage: stage.kind.name(),
            gates: stage.gates.iter().map(|gate| explain::gate(*gate)).collect(),
            migrations: stage
                .migrations
                .iter()
                .map(|migration| MigrationJson {
                    name: migrations::slug(plan, stage, migration),
                    in_transaction: migration.transaction
                        == newcol_core::plan::Transaction::Wrapped,
                    steps: migration.steps.iter().map(|step| StepJson::of(step, plan)).collect(),
                })
                .collect(),
        });
        Self {
            column: plan.contract.path().to_string(),
            backend: plan.backend().name(),
            server: plan.facts.server.to_string(),
            why: plan.contract.answers().why.trim().to_owned(),
            stages: stages.collect(),
            reasons: plan.reasons.clone(),
            warnings: plan.warnings.clone(),
        }
    }
}

impl StepJson {
    fn of(step: &newcol_core::plan::Step, plan: &Plan) -> Self {
        let effect = effect(step, &plan.facts);
        let up = render::up(step, plan);
        Self {
            what: explain::what(step, &plan.contract),
            blocks: explain::blocks(&effect),
            undo: explain::undo(step),
            lock: effect.lock.name(),
            brief: effect.hold == Hold::Brief,
            rewrites: effect.rewrite,
            scans: effect.scan,
            up: up.iter().map(|s| s.sql.to_string()).collect(),
            down: render::down(step, plan).iter().map(ToString::to_string).collect(),
            proofs: up.iter().filter_map(|s| Some(s.proof.as_ref()?.to_string())).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct FileJson {
    path: String,
    action: &'static str,
    written: bool,
    diff: String,
}

impl FileJson {
    pub(super) fn of(change: &Change, dry_run: bool) -> Self {
        let action = match (&change.before, &change.after) {
            (None, _) => "create",
            (_, None) => "remove",
            (Some(_), Some(_)) => "change",
        };
        Self { path: change.path.to_string(), action, written: !dry_run, diff: change.diff() }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ErrorJson {
    exit_code: u8,
    message: String,
    place: Option<String>,
    causes: Vec<String>,
    also: Vec<String>,
    help: Vec<String>,
}

impl ErrorJson {
    pub(super) fn of(error: &CliError) -> Self {
        Self {
            exit_code: error.exit.code(),
            message: error.message.clone(),
            place: error.place.clone(),
            causes: error.causes.clone(),
            also: error.also.clone(),
            help: error.hints.clone(),
        }
    }
}

/// Code that has to go after a stage.
#[derive(Debug, Serialize)]
pub(crate) struct MarkerJson {
    pub(crate) stage: &'static str,
    /// File, line and column.
    pub(crate) place: String,
    pub(crate) note: String,
}

/// One column in the output of `status`.
#[derive(Debug, Serialize)]
pub(crate) struct StatusJson {
    pub(crate) column: String,
    pub(crate) backend: &'static str,
    pub(crate) stages: Vec<StageStatusJson>,
    pub(crate) next: Option<&'static str>,
    pub(crate) overdue_days: Option<i64>,
    pub(crate) markers: Vec<MarkerJson>,
    /// What a database shows; null where none was asked.
    pub(crate) database: Option<DatabaseJson>,
}

/// What one database shows of a column.
#[derive(Debug, Serialize)]
pub(crate) struct DatabaseJson {
    pub(crate) database: String,
    /// Gates of the first stage that it does not have.
    pub(crate) gates: Vec<GateJson>,
    pub(crate) next_step: String,
}

/// A gate with its evidence.
#[derive(Debug, Serialize)]
pub(crate) struct GateJson {
    pub(crate) gate: String,
    pub(crate) open: bool,
    pub(crate) found: String,
}

/// Where one stage stands.
#[derive(Debug, Serialize)]
pub(crate) struct StageStatusJson {
    pub(crate) stage: &'static str,
    pub(crate) state: &'static str,
}
