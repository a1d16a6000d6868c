//! What is known of the table: from a database where one was given, from the project's migrations
//! replayed in memory where the engine allows it, else from schema.rs.

use camino::Utf8Path;
use newcol_core::{
    backend::{Backend, Server},
    contract::{
        Answer, Contract, Reference,
        read::{Measured, ReplacedColumn, line_col, place},
    },
    db::{self, Access, OpenOptions, Session, facts::read_table, probe},
    ident::Ident,
    plan::{
        Plan, PlanError, Step,
        facts::{ColumnFacts, Source, TableFacts},
    },
    render::release::{ReleaseError, Target},
};

use super::{Context, EngineDir, Project, Released, SchemaFile, project::similar};
use crate::{
    error::{CliError, Exit},
    verbs::add::flag,
};

impl Project {
    /// Parses `--database-url`, which must be of an engine of the project.
    pub(crate) fn url(&self, text: &str) -> Result<db::DatabaseUrl, CliError> {
        let wrong = |error: CliError| error.at("--database-url");
        let url = db::DatabaseUrl::parse(text).map_err(|error| wrong(CliError::from(error)))?;
        if self.engines.iter().any(|e| e.backend == url.backend()) {
            return Ok(url);
        }
        let engines: Vec<String> = self.engines.iter().map(|e| e.backend.to_string()).collect();
        let error = CliError::usage(format!(
            "the URL is for {}, the project uses {}",
            url.backend(),
            engines.join(" and ")
        ));
        Err(wrong(error).hint("pass a URL of the project's engine"))
    }

    /// Plans a wish for every engine of the project.
    pub(crate) fn plan(
        &self,
        ctx: &Context,
        wish: &Wish<'_>,
        url: Option<&str>,
    ) -> Result<Vec<Target>, CliError> {
        let url = url.map(|text| self.url(text)).transpose()?;
        let mut targets = Vec::new();
        for engine in &self.engines {
            let url = url.as_ref().filter(|url| url.backend() == engine.backend);
            let plan = match url {
                Some(url) => {
                    let mut session = ctx.session(url, Access::Read)?;
                    let mut facts = table_facts(&mut session, wish.contract)?;
                    adapt(&mut facts, wish);
                    wish.build(&facts)?
                }
                None => self.plan_offline(engine, wish)?,
            };
            targets.push(Target { plan, migrations: engine.dir.clone() });
        }
        if let Some(warning) = self.check_parent(ctx, wish, url.as_ref())? {
            for target in &mut targets {
                target.plan.warnings.push(warning.clone());
            }
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
        if engine.backend != Backend::Sqlite || !wants_more {
            return plan.map_err(|error| wish.blame_plan(error));
        }
        let dir = self.root.join(&engine.dir);
        let mut session = db::sqlite_replay(&dir).map_err(|error| {
            CliError::of(Exit::Failed, &error)
                .at(&engine.dir)
                .hint("the project's own migrations must run on an empty database; or pass `--database-url`")
        })?;
        let mut facts = read_table(&mut session, wish.contract.table()).map_err(|error| {
            CliError::of(Exit::Usage, &error)
                .saying(format!("the migrations do not build `{}`", wish.contract.table()))
                .at(&engine.dir)
                .hint("pass `--database-url` of a database that has the table")
        })?;
        facts.source = Source::Replay;
        adapt(&mut facts, wish);
        wish.build(&facts)
    }

    /// Finds the table that a foreign key points to, before its migration fails for want of it.
    /// Returns a warning where it can be there all the same.
    fn check_parent(
        &self,
        ctx: &Context,
        wish: &Wish<'_>,
        url: Option<&db::DatabaseUrl>,
    ) -> Result<Option<String>, CliError> {
        let Some(reference) = &wish.contract.answers().references else { return Ok(None) };
        if wish.released.last().is_some() {
            return Ok(None);
        }
        let Reference { table, column, .. } = reference;
        let path = wish.contract.path();
        let no_column = |known: Vec<&str>| {
            let near = known.into_iter().find(|name| similar(name, column.as_str()));
            let error = CliError::usage(format!(
                "`{path}` references `{column}` of `{table}`, which the table does not have"
            ));
            wish.blame(error, Answer::References).hint(match near {
                Some(near) => format!("did you mean `{table}({near})`?"),
                None => "check the spelling; names are taken literally, case included".to_owned(),
            })
        };
        let mut tables: Vec<String> = Vec::new();
        for file in self.schema_files()? {
            let Ok(parent) = file.parsed.table(&file.text, table) else {
                tables.extend(file.parsed.tables.iter().map(|t| t.full_sql_name()));
                continue;
            };
            let known = || parent.columns.iter().map(|c| c.sql_name.as_str());
            let Some(found) = parent.columns.iter().find(|c| c.sql_name == column.as_str()) else {
                return Err(no_column(known().collect()));
            };
            let is_key = parent.primary_key == [found.rust_name.as_str()];
            return Ok((!is_key).then(|| {
                format!("`{column}` is not the primary key of `{table}`: the foreign key needs a unique index on it")
            }));
        }
        if let Some(url) = url {
            let facts =
                read_table(&mut ctx.session(url, Access::Read)?, table).map_err(|error| {
                    let error = CliError::of(Exit::Usage, &error);
                    wish.blame(error, Answer::References)
                        .hint("correct the name, or create the table first")
                })?;
            return match facts.column(column) {
                Some(_) => Ok(None),
                None => Err(no_column(facts.columns.iter().map(|c| c.name.as_str()).collect())),
            };
        }
        let default_schema =
            self.engines.iter().any(|e| e.backend == Backend::Postgres).then_some("public");
        let printed = self.config.printing(table, default_schema).next().is_some();
        if !self.config.print_schema.is_empty() && !printed {
            return Ok(Some(format!(
                "nothing shows that `{table}` exists: diesel.toml keeps it out of schema.rs"
            )));
        }
        let error =
            CliError::usage(format!("`{path}` references `{table}`, which no `table!` declares"));
        let near = tables.iter().find(|name| similar(name, &table.to_string()));
        Err(wish.blame(error, Answer::References).hint(match near {
            Some(near) => format!("did you mean `{near}({column})`?"),
            None => "create the table first; or pass `--database-url` of a database that has it"
                .to_owned(),
        }))
    }
}

/// Where the answers of a contract were given, so that an error can name the place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// On the command line.
    Flags,
    /// In a contract file.
    File { path: &'a Utf8Path, text: &'a str },
}

impl Wish<'_> {
    fn build(&self, facts: &TableFacts) -> Result<Plan, CliError> {
        Plan::build(self.contract, facts).map_err(|error| self.blame_plan(error))
    }

    fn blame_plan(&self, error: PlanError) -> CliError {
        let answer = error.answer();
        self.blame(CliError::from(error), answer)
    }

    /// Turns an error of releasing into a report that names a place.
    pub(crate) fn blame_release(&self, error: ReleaseError) -> CliError {
        match error.answer() {
            Some(answer) => self.blame(CliError::from(error), answer),
            None => CliError::from(error),
        }
    }

    /// Names the flag, or line and column of the contract, that gives an answer.
    fn blame(&self, error: CliError, answer: Answer) -> CliError {
        match self.origin {
            Origin::Flags => error.at(flag(answer)),
            Origin::File { path, text } => {
                let (line, column) = line_col(text, place(text, answer).start);
                error.at(format!("{path}:{line}:{column}"))
            }
        }
    }
}

/// A contract with what the project already holds of it.
pub(crate) struct Wish<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) schemas: &'a [SchemaFile],
    pub(crate) released: &'a Released,
    pub(crate) measured: Option<&'a Measured>,
    pub(crate) origin: Origin<'a>,
}

impl Context {
    /// Returns how every session with the user's database is opened.
    pub(crate) fn open_options(&self, access: Access) -> OpenOptions {
        OpenOptions {
            access,
            application_name: Some("cargo newcol".to_owned()),
            pg_env: self.pg_env(),
            ..OpenOptions::default()
        }
    }

    /// Opens a session with the user's database.
    pub(crate) fn session(
        &self,
        url: &db::DatabaseUrl,
        access: Access,
    ) -> Result<Session, CliError> {
        Session::open_direct(url, &self.open_options(access))
            .map_err(|error| CliError::from(error).at("--database-url"))
    }

    /// Asks a server for what only a server can tell of a wish: its version, what default and type
    /// do to a table, and how a replaced column is defined.
    pub(crate) fn measure(
        &self,
        contract: &Contract,
        url: &db::DatabaseUrl,
    ) -> Result<Measured, CliError> {
        let mut session = self.session(url, Access::Read)?;
        let mut measured = Measured {
            server: session.server().to_string(),
            default_volatility: None,
            type_rewrites: None,
            replaced: None,
            heirs: Vec::new(),
            partitioned: false,
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
        let replaces = contract.answers().replaces.as_ref();
        if backend == Backend::Postgres || replaces.is_some() {
            let facts = table_facts(&mut session, contract)?;
            let replaced = replaces.and_then(|replaces| facts.column(&replaces.column));
            measured.replaced = replaced.and_then(ReplacedColumn::of);
            measured.heirs = facts.heirs;
            measured.partitioned = facts.partitioned;
        }
        Ok(measured)
    }
}

fn table_facts(session: &mut Session, contract: &Contract) -> Result<TableFacts, CliError> {
    read_table(session, contract.table()).map_err(|error| {
        CliError::of(Exit::Usage, &error)
            .at(session.url().describe())
            .hint("pass the URL of a database to which the project's migrations are applied")
    })
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
            facts.heirs.clone_from(&measured.heirs);
            facts.partitioned = measured.partitioned;
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
