//! What must be true before a stage is released or applied, and what the database shows of it.

use newcol_core::{
    contract::OldRows,
    db::Session,
    plan::{Gate, LEFTOVERS, StageKind},
    render,
};

use super::{Column, Project, engine_of, stored_version};
use crate::error::CliError;

/// A gate that nothing opens.
pub(crate) struct ShutGate {
    pub(crate) gate: Gate,
    /// What was found instead.
    pub(crate) found: String,
}

impl Column {
    /// Returns the gates of a stage that neither the database opens, where there is one, nor the
    /// user's word.
    pub(crate) fn shut_gates(
        &self,
        project: &Project,
        kind: StageKind,
        mut session: Option<&mut Session>,
        confirmed: bool,
    ) -> Result<Vec<ShutGate>, CliError> {
        let mut gates: Vec<Gate> = Vec::new();
        for stage in self.plans().filter_map(|plan| plan.stage(kind)) {
            for gate in &stage.gates {
                if !gates.contains(gate) {
                    gates.push(*gate);
                }
            }
        }
        let mut shut = Vec::new();
        for gate in gates {
            let found = match (&mut session, gate) {
                (Some(session), Gate::StageApplied(before)) => {
                    self.missing_migrations(session, project, before)?
                }
                (Some(session), Gate::Backfilled) => {
                    // Without the column there are no rows to count.
                    match self.missing_migrations(session, project, StageKind::Expand)? {
                        Some(found) => {
                            let gate = Gate::StageApplied(StageKind::Expand);
                            shut.push(ShutGate { gate, found });
                            None
                        }
                        None => self.empty_rows(session)?,
                    }
                }
                (_, _) if confirmed => None,
                (None, Gate::StageApplied(_) | Gate::Backfilled) => {
                    Some("no database was asked".to_owned())
                }
                (_, Gate::OldWritersGone | Gate::ReplacedUnused) => {
                    Some("only you can know".to_owned())
                }
            };
            shut.extend(found.map(|found| ShutGate { gate, found }));
        }
        Ok(shut)
    }

    /// Tells which migrations of a stage are missing in the database.
    fn missing_migrations(
        &self,
        session: &mut Session,
        project: &Project,
        stage: StageKind,
    ) -> Result<Option<String>, CliError> {
        let known = session.migrations()?;
        let backend = session.backend();
        let missing = self
            .released
            .folders(stage)
            .iter()
            .filter(|folder| engine_of(project, folder).is_some_and(|e| e.backend == backend))
            .filter(|folder| {
                let version = stored_version(folder.file_name().unwrap_or_default());
                !known.iter().any(|m| m.version == version)
            })
            .count();
        let are = if missing == 1 { "is" } else { "are" };
        Ok((missing > 0).then(|| {
            format!("{missing} of its migrations {are} not applied to {}", session.url().describe())
        }))
    }

    /// Counts rows that the fill has not reached, up to a bound.
    fn empty_rows(&self, session: &mut Session) -> Result<Option<String>, CliError> {
        let plan = self.plans().find(|plan| plan.backend() == session.backend());
        let Some((plan, question)) = plan.and_then(|plan| Some((plan, render::pending(plan)?)))
        else {
            return Ok(None);
        };
        let rows = session.value(question.as_str())?.unwrap_or_default();
        let rows: u64 = rows.parse().unwrap_or(u64::MAX);
        // The migration computes a bounded number of rows itself, where SQL can.
        let bound = match plan.contract.answers().old_rows {
            OldRows::Rust(_) => 0,
            OldRows::Sql(_) | OldRows::Unfilled => LEFTOVERS,
        };
        Ok((rows > bound).then(|| match rows {
            1 => "1 row is empty".to_owned(),
            rows if rows > LEFTOVERS => format!("more than {LEFTOVERS} rows are empty"),
            rows => format!("{rows} rows are empty"),
        }))
    }
}
