//! A plan with all its files as one text.

use std::fmt::Write as _;

use super::{Fallible, chain, folder::Case, snapshot::Snapshots};
use newcol_core::{
    backend::{Backend, Product, Server},
    contract::Contract,
    db::{DatabaseUrl, OpenOptions, Session, facts::read_table},
    ident::Ident,
    plan::{
        Plan, PlanError, StageKind, Step, explain,
        facts::{ColumnFacts, Source, TableFacts},
    },
    render::{
        migrations::Version,
        patch::FilePatch,
        release::{self, SchemaSource, Target},
    },
    schema::SchemaFile,
};

/// Where the migrations of a project lie.
pub(super) const MIGRATIONS: &str = "migrations";
/// Where its schema lies.
pub(super) const SCHEMA: &str = "src/schema.rs";

/// A plan, or its refusal, as text.
pub(super) struct Planned {
    /// How the files of this plan start.
    pub(super) name: String,
    pub(super) product: Product,
    pub(super) text: String,
    pub(super) plan: Option<Plan>,
}

/// Plans without a server, as `cargo newcol plan` does, and compares.
pub(super) fn offline(
    case: &Case,
    schema: Option<&str>,
    snapshots: &mut Snapshots,
) -> Fallible<Vec<Planned>> {
    let mut all: Vec<Planned> = Vec::new();
    for (name, server) in case.assumed() {
        let (server, plan) = without_server(case, schema, server)?;
        let planned = planned(case, name, server, plan, schema)?;
        if all.iter().all(|known| known.text != planned.text) {
            snapshots.compare(&format!("{}.plan.txt", planned.name), &planned.text);
        }
        all.push(planned);
    }
    Ok(all)
}

/// Writes a plan with all its files as text.
pub(super) fn planned(
    case: &Case,
    name: String,
    server: Server,
    plan: Result<Plan, PlanError>,
    schema: Option<&str>,
) -> Fallible<Planned> {
    let product = server.product;
    let text = match &plan {
        Ok(plan) => {
            let text = of_plan(case, plan, schema)?;
            if text != of_plan(case, plan, schema)? {
                return Err("rendering twice gives two texts".into());
            }
            text
        }
        Err(error) => {
            let hint = error.hint().unwrap_or_else(|| "(none)".to_owned());
            format!("refused: {}\nhint: {hint}\nat: {:?}\n", chain(error), error.answer())
        }
    };
    // Snapshots hold for every version; those for one version have it in their name.
    let text = text.replace(&server.to_string(), "[SERVER]");
    Ok(Planned { name, product, text, plan: plan.ok() })
}

fn without_server(
    case: &Case,
    schema: Option<&str>,
    server: Server,
) -> Fallible<(Server, Result<Plan, PlanError>)> {
    let mut facts = schema_facts(case, schema)?;
    facts.server = if case.backend == Backend::Sqlite { facts.server } else { server };
    let plan = Plan::build(&case.contract, &facts);
    let wants_more = match &plan {
        Ok(plan) => {
            let mut steps = plan.stages.iter().flat_map(|s| &s.migrations).flat_map(|m| &m.steps);
            steps.any(|s| {
                matches!(
                    s,
                    Step::Rebuild { .. }
                        | Step::CreateFill
                        | Step::CreateSync
                        | Step::FillLeftovers(_)
                )
            })
        }
        Err(PlanError::NeedsDatabase { .. }) => true,
        Err(_) => false,
    };
    if case.backend != Backend::Sqlite || !wants_more {
        return Ok((facts.server, plan));
    }
    let mut session = Session::open(&DatabaseUrl::memory(), &OpenOptions::create())?;
    session.batch(&case.tables)?;
    let mut facts = read_table(&mut session, case.contract.table())?;
    facts.source = Source::Replay;
    Ok((facts.server, Plan::build(&case.contract, &facts)))
}

/// What schema.rs alone tells.
fn schema_facts(case: &Case, schema: Option<&str>) -> Fallible<TableFacts> {
    let mut facts = TableFacts::unknown(case.backend);
    let Some(text) = schema else { return Ok(facts) };
    let parsed = SchemaFile::parse(text)?;
    let Ok(table) = parsed.table(text, case.contract.table()) else { return Ok(facts) };
    for column in &table.columns {
        let name = Ident::new(column.sql_name.as_str())?;
        if table.primary_key.contains(&column.rust_name) {
            facts.primary_key.push(name.clone());
        }
        facts.columns.push(ColumnFacts {
            name,
            sql_type: None,
            nullable: column.is_nullable(),
            default: None,
            generated: false,
            comment: None,
        });
    }
    Ok(facts)
}

/// Returns the files of one stage on top of a project's present schema.
pub(super) fn release_stage(
    case: &Case,
    plan: &Plan,
    kind: StageKind,
    schema: Option<&SchemaText>,
) -> Fallible<FilePatch> {
    let day = 1 + StageKind::ALL.iter().position(|k| *k == kind).unwrap_or_default();
    let first = Version { second: format!("2026-02-{day:02}-000000"), sub: 0 };
    let targets = [Target { plan: plan.clone(), migrations: MIGRATIONS.into() }];
    let schemas: Vec<SchemaSource> = schema
        .into_iter()
        .map(|schema| SchemaSource {
            path: SCHEMA.into(),
            text: schema.text.clone(),
            config: case.config.clone(),
            patch: schema.patch.clone(),
        })
        .collect();
    release::release(&targets, &schemas, kind, &first).map_err(|error| {
        format!("{} is not released: {}; {:?}", kind.name(), chain(&error), error.hint()).into()
    })
}

/// schema.rs and its patch file at some stage.
#[derive(Debug, Clone)]
pub(super) struct SchemaText {
    pub(super) text: String,
    pub(super) patch: Option<(camino::Utf8PathBuf, String)>,
}

impl SchemaText {
    pub(super) fn before(case: &Case, text: &str) -> Self {
        Self { text: text.to_owned(), patch: case.patch.clone() }
    }

    /// Takes over what a stage changes.
    pub(super) fn apply(&mut self, files: &FilePatch) {
        for change in files.changes() {
            let after = change.after.clone().unwrap_or_default();
            match &mut self.patch {
                Some((path, text)) if *path == change.path => *text = after,
                _ if change.path == SCHEMA => self.text = after,
                _ => {}
            }
        }
    }
}

fn of_plan(case: &Case, plan: &Plan, schema: Option<&str>) -> Fallible<String> {
    let mut text = String::new();
    for reason in &plan.reasons {
        writeln!(text, "because {reason}")?;
    }
    for warning in &plan.warnings {
        writeln!(text, "warning: {warning}")?;
    }
    let mut schema = schema.map(|text| SchemaText::before(case, text));
    for stage in &plan.stages {
        writeln!(text, "\n######## {}", stage.kind.name())?;
        for gate in &stage.gates {
            writeln!(text, "gate: {}", explain::gate(*gate))?;
        }
        let files = release_stage(case, plan, stage.kind, schema.as_ref())?;
        for change in files.changes() {
            match (&change.before, &change.after) {
                (None, Some(after)) => write!(text, "\n==== {}\n{after}", change.path)?,
                _ => write!(text, "\n{}", change.diff())?,
            }
        }
        if let Some(schema) = &mut schema {
            schema.apply(&files);
        }
    }
    Ok(text)
}

/// Plans are made as if our own column were not there yet, whatever stage it has reached.
pub(super) fn without_ours(facts: &mut TableFacts, contract: &Contract) {
    facts.columns.retain(|column| column.name != *contract.column());
    if let Some(replaces) = &contract.answers().replaces
        && facts.column(&replaces.column).is_none()
    {
        facts.columns.push(ColumnFacts {
            name: replaces.column.clone(),
            sql_type: Some("(dropped)".to_owned()),
            nullable: true,
            default: None,
            generated: false,
            comment: None,
        });
    }
}
