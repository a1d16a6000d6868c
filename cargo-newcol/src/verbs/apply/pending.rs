//! Which migrations are to run, cut where a stage has gates.

use std::collections::{BTreeMap, BTreeSet};

use newcol_core::{
    backend::Backend,
    db::Session,
    execute::apply::SqlMigration,
    ident::ColumnPath,
    plan::{Plan, StageKind},
    render::{self, migrations},
};

use crate::{
    context::{Column, Context, Project},
    error::CliError,
};

/// Migrations that are not applied yet.
pub(super) struct Pending {
    columns: Vec<Column>,
    pub(super) steps: Vec<Step>,
    /// What is odd about them, one sentence each.
    pub(super) warnings: Vec<String>,
}

/// Migrations that run one after the other.
pub(super) struct Step {
    /// Whose stage they are, by the column's place in the list; `None` for other migrations.
    stage: Option<(usize, StageKind)>,
    pub(super) migrations: Vec<SqlMigration>,
}

impl Pending {
    /// Compares the project's migrations with the database's.
    pub(super) fn find(
        ctx: &Context,
        project: &Project,
        session: &mut Session,
        wanted: Option<&ColumnPath>,
    ) -> Result<Self, CliError> {
        let columns = match wanted {
            // Says what is wrong where there is no such column.
            Some(path) => {
                Column::load(ctx, project, path, None)?;
                Column::all(ctx, project)?
            }
            None => Column::all(ctx, project)?,
        };
        let backend = session.backend();
        let mut all = project.sql_migrations(backend)?;
        let applied: BTreeSet<String> =
            session.migrations()?.into_iter().map(|migration| migration.version).collect();
        let warnings = oddities(&all, &applied, session);
        all.retain(|migration| !applied.contains(&migration.version));
        if let Some(path) = wanted {
            let is_its =
                |m: &SqlMigration| migrations::owner(&m.up).is_some_and(|(p, _)| p == *path);
            all.truncate(all.iter().rposition(is_its).map_or(0, |last| last + 1));
        }
        let mut steps: Vec<Step> = Vec::new();
        for mut migration in all {
            let owner = migrations::owner(&migration.up);
            let stage = owner.and_then(|(path, kind)| {
                let at = columns.iter().position(|column| *column.contract.path() == path)?;
                Some((at, kind))
            });
            if let Some((at, kind)) = stage {
                let plan = columns[at].plans().find(|plan| plan.backend() == backend);
                migration.proofs =
                    plan.and_then(|plan| proofs(plan, kind, &migration)).unwrap_or_default();
            }
            match steps.last_mut().filter(|step| step.stage == stage) {
                Some(step) => step.migrations.push(migration),
                None => steps.push(Step { stage, migrations: vec![migration] }),
            }
        }
        Ok(Self { columns, steps, warnings })
    }

    /// Returns the column and stage of a step.
    pub(super) fn stage_of(&self, step: &Step) -> Option<(&Column, StageKind)> {
        let (at, kind) = step.stage?;
        Some((self.columns.get(at)?, kind))
    }

    pub(super) fn count(&self) -> usize {
        self.steps.iter().map(|step| step.migrations.len()).sum()
    }

    /// Says what comes after these for each column that has moved on.
    pub(super) fn next_steps(&self) -> Vec<String> {
        let mut moved: BTreeMap<usize, StageKind> = BTreeMap::new();
        for (at, kind) in self.steps.iter().filter_map(|step| step.stage) {
            let last = moved.entry(at).or_insert(kind);
            *last = kind.max(*last);
        }
        let next = |(at, kind): (usize, StageKind)| {
            let column = self.columns.get(at)?;
            let path = column.contract.path();
            let following = column.stages().into_iter().find(|stage| *stage > kind)?;
            Some(match following {
                StageKind::Backfill => format!(
                    "fill the rows that are there: `cargo newcol backfill {path} --database-url <URL>`"
                ),
                _ => format!(
                    "release the next stage when the application has: `cargo newcol next {path} --database-url <URL>`"
                ),
            })
        };
        moved.into_iter().filter_map(next).collect()
    }
}

/// Finds what a run of Diesel's would pass over in silence.
fn oddities(all: &[SqlMigration], applied: &BTreeSet<String>, session: &Session) -> Vec<String> {
    let database = session.url().describe();
    let known: BTreeSet<&String> = all.iter().map(|migration| &migration.version).collect();
    let strangers = applied.iter().filter(|version| !known.contains(version)).count();
    let mut odd = Vec::new();
    if strangers > 0 {
        let are = if strangers == 1 { "migration is" } else { "migrations are" };
        odd.push(format!(
            "{strangers} {are} applied to {database} and not here: is this an older checkout?"
        ));
    }
    let last = applied.iter().next_back();
    let late = all.iter().filter(|migration| {
        !applied.contains(&migration.version) && last.is_some_and(|last| migration.version < *last)
    });
    odd.extend(
        late.map(|migration| {
            format!("{} is older than the last one that is applied", migration.name)
        }),
    );
    odd
}

/// Returns the questions that show whether a migration of a plan has landed; `None` unless there is
/// one for each of its statements.
pub(in crate::verbs) fn proofs(
    plan: &Plan,
    kind: StageKind,
    migration: &SqlMigration,
) -> Option<Vec<String>> {
    // PostgreSQL and SQLite take back what they did not write down.
    if plan.backend() != Backend::Mysql {
        return None;
    }
    let stage = plan.stage(kind)?;
    let planned = stage.migrations.iter().find(|planned| {
        migration.name.ends_with(&format!("_{}", migrations::slug(plan, stage, planned)))
    })?;
    let statements = planned.steps.iter().flat_map(|step| render::up(step, plan));
    statements.map(|statement| Some(statement.proof?.to_string())).collect()
}
