//! What is known of the table: from a database where one was given, from the project's migrations
//! replayed in memory where the engine allows it, else from schema.rs.

use newcol_core::{
    backend::{Backend, Server},
    contract::{
        Contract,
        read::{Measured, ReplacedColumn},
    },
    db::{self, Access, OpenOptions, Session, facts::read_table, probe},
    ident::Ident,
    plan::{
        Plan, PlanError, Step,
        facts::{ColumnFacts, Source, TableFacts},
    },
    render::release::Target,
};

use super::{Column, Context, EngineDir, Project, Released, SchemaFile};
use crate::error::{CliError, Exit};

impl Project {
    /// Plans a column for every engine of the project.
    pub(crate) fn targets(
        &self,
        ctx: &Context,
        column: &Column,
        url: Option<&str>,
    ) -> Result<Vec<Target>, CliError> {
        let wish = Wish {
            contract: &column.contract,
            schemas: &column.schemas,
            released: &column.released,
            measured: column.measured.as_ref(),
        };
        self.plan(ctx, &wish, url)
    }

    /// Plans a wish for every engine of the project.
    pub(crate) fn plan(
        &self,
        ctx: &Context,
        wish: &Wish<'_>,
        url: Option<&str>,
    ) -> Result<Vec<Target>, CliError> {
        let url = url.map(|text| ctx.url(text)).transpose()?;
        if let Some(url) = &url
            && !self.engines.iter().any(|e| e.backend == url.backend())
        {
            let engines: Vec<String> = self.engines.iter().map(|e| e.backend.to_string()).collect();
            return Err(CliError::usage(format!(
                "the URL is for {}, the project uses {}",
                url.backend(),
                engines.join(" and ")
            ))
            .at("--database-url")
            .hint("pass a URL of the project's engine"));
        }
        let mut targets = Vec::new();
        for engine in &self.engines {
            let url = url.as_ref().filter(|url| url.backend() == engine.backend);
            let plan = match url {
                Some(url) => {
                    let mut session = ctx.session(url, Access::Read)?;
                    let mut facts = table_facts(&mut session, wish.contract)?;
                    adapt(&mut facts, wish);
                    Plan::build(wish.contract, &facts)?
                }
                None => self.plan_offline(engine, wish)?,
            };
            targets.push(Target { plan, migrations: engine.dir.clone() });
        }
        Ok(targets)
    }

    /// schema.rs tells enough for most plans; what needs stored definitions is replayed.
    fn plan_offline(&self, engine: &EngineDir, wish: &Wish<'_>) -> Result<Plan, CliError> {
        let mut facts = schema_facts(engine.backend, wish);
        adapt(&mut facts, wish);
        let plan = Plan::build(wish.contract, &facts);
        let wants_more = match &plan {
            Ok(plan) => {
                plan.stages.iter().flat_map(|s| &s.migrations).flat_map(|m| &m.steps).any(|s| {
                    matches!(s, Step::Rebuild { .. } | Step::CreateFill | Step::CreateSync)
                })
            }
            Err(PlanError::NeedsDatabase { .. }) => true,
            Err(_) => false,
        };
        if engine.backend != Backend::Sqlite || !wants_more {
            return Ok(plan?);
        }
        let dir = self.root.join(&engine.dir);
        let mut session = db::sqlite_replay(&dir).map_err(|error| {
            CliError::of(Exit::Failed, &error)
                .at(&engine.dir)
                .hint("the project's own migrations must run on an empty database; or pass `--database-url`")
        })?;
        let mut facts = read_table(&mut session, wish.contract.table())
            .map_err(|error| CliError::of(Exit::Usage, &error).at(&engine.dir))?;
        facts.source = Source::Replay;
        adapt(&mut facts, wish);
        Ok(Plan::build(wish.contract, &facts)?)
    }
}

/// A contract with what the project already holds of it.
pub(crate) struct Wish<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) schemas: &'a [SchemaFile],
    pub(crate) released: &'a Released,
    pub(crate) measured: Option<&'a Measured>,
}

impl Context {
    /// Opens a session with the user's database.
    pub(crate) fn session(
        &self,
        url: &db::DatabaseUrl,
        access: Access,
    ) -> Result<Session, CliError> {
        let options = OpenOptions {
            access,
            application_name: Some("cargo newcol".to_owned()),
            pg_env: self.pg_env(),
            ..OpenOptions::default()
        };
        Ok(Session::open(url, &options)?)
    }

    /// Asks a server for what only a server can tell of a wish: its version, what default and type
    /// do to a table, and how a replaced column is defined.
    pub(crate) fn measure(&self, contract: &Contract, url: &str) -> Result<Measured, CliError> {
        let url = self.url(url)?;
        let mut session = self.session(&url, Access::Read)?;
        let mut measured = Measured {
            server: session.server().to_string(),
            default_volatility: None,
            type_rewrites: None,
            replaced: None,
        };
        let backend = url.backend();
        if backend == Backend::Postgres
            && let Some(ty) = contract.sql_type(backend)
            && ty.check(backend).is_ok()
            && contract.default(backend).is_none_or(|default| default.check(backend).is_ok())
        {
            let probe = probe::probe_default(&mut session, ty, contract.default(backend))?;
            measured.default_volatility = Some(probe.volatility);
            measured.type_rewrites = Some(probe.type_rewrites);
        }
        if let Some(replaces) = &contract.answers().replaces {
            let facts = table_facts(&mut session, contract)?;
            measured.replaced = facts.column(&replaces.column).and_then(ReplacedColumn::of);
        }
        Ok(measured)
    }
}

fn table_facts(session: &mut Session, contract: &Contract) -> Result<TableFacts, CliError> {
    read_table(session, contract.table())
        .map_err(|error| CliError::of(Exit::Usage, &error).at(session.url().describe()))
}

/// Adds what was measured earlier, and plans as if our own column were not there yet, whatever
/// stage it has reached.
fn adapt(facts: &mut TableFacts, wish: &Wish<'_>) {
    let backend = facts.server.backend();
    let server = wish.measured.and_then(|m| Server::parse_display(&m.server));
    let measured = wish.measured.filter(|_| server.is_some_and(|s| s.backend() == backend));
    if let (Some(measured), Some(server)) = (measured, server) {
        if facts.source == Source::Schema {
            facts.server = server;
        }
        facts.default_volatility = facts.default_volatility.or(measured.default_volatility);
        facts.type_rewrites = facts.type_rewrites.or(measured.type_rewrites);
    }
    if wish.released.last().is_some() {
        let ours = wish.contract.column();
        facts.columns.retain(|c| c.name != *ours);
    }
    if let Some(replaces) = &wish.contract.answers().replaces
        && let Some(replaced) = measured.and_then(|m| m.replaced.as_ref())
    {
        let column = ColumnFacts {
            name: replaces.column.clone(),
            sql_type: Some(replaced.ty.clone()),
            nullable: !replaced.required,
            default: replaced.default.clone(),
            generated: false,
            comment: replaced.comment.clone(),
        };
        match facts.columns.iter_mut().find(|c| c.name == replaces.column) {
            Some(known) if known.sql_type.is_none() => *known = column,
            Some(_) => {}
            // A released stage has dropped it.
            None if wish.released.last().is_some() => facts.columns.push(column),
            None => {}
        }
    }
}

fn schema_facts(backend: Backend, wish: &Wish<'_>) -> TableFacts {
    let mut facts = TableFacts::unknown(backend);
    let Some(schema) = wish.schemas.first() else { return facts };
    let Ok(table) = schema.parsed.table(&schema.text, wish.contract.table()) else { return facts };
    let ident = |name: &str| Ident::new(name).ok();
    facts.columns = table
        .columns
        .iter()
        .filter_map(|column| {
            Some(ColumnFacts {
                name: ident(&column.sql_name)?,
                sql_type: None,
                nullable: column.is_nullable(),
                default: None,
                generated: false,
                comment: None,
            })
        })
        .collect();
    facts.primary_key = table
        .primary_key
        .iter()
        .filter_map(|rust| {
            let column = table.columns.iter().find(|c| c.rust_name == *rust);
            ident(column.map_or(rust.as_str(), |c| c.sql_name.as_str()))
        })
        .collect();
    facts
}
