//! Steps → SQL, one dialect per file, each an exhaustive match.
//!
//! Rendering is pure and never refuses: what an engine cannot do was refused while planning.

pub mod asked;
pub mod backfill;
pub(crate) mod care;
pub mod computed;
mod loss;
pub mod migrations;
mod mysql;
pub(crate) mod names;
pub mod patch;
mod postgres;
mod postgres_index;
pub mod release;
mod sqlite;
mod sqlite_rebuild;
pub mod text;

use crate::{
    backend::Backend,
    contract::{Contract, Expr, SqlType},
    ident::{Ident, TableName},
    plan::{IndexPurpose, LEFTOVERS, Plan, StageKind, Step, facts::TableFacts},
    render::{
        names::Names,
        text::{Hole, SqlText},
    },
};

/// One statement (or a block that runs as one), with the question that tells whether it landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What to run, without a final semicolon.
    pub sql: SqlText,
    /// Asked before and after: a query with one boolean (or 0/1) that is true once the statement
    /// has landed. `None` where running twice is harmless and nothing in the catalogue tells.
    pub proof: Option<SqlText>,
}

impl Statement {
    fn proven(sql: SqlText, proof: SqlText) -> Self {
        Self { sql, proof: Some(proof) }
    }

    fn repeatable(sql: SqlText) -> Self {
        Self { sql, proof: None }
    }
}

/// What a renderer may use.
pub(crate) struct Scope<'a> {
    plan: &'a Plan,
    contract: &'a Contract,
    facts: &'a TableFacts,
    names: Names,
    table: TableName,
}

impl<'a> Scope<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            contract: &plan.contract,
            facts: &plan.facts,
            names: Names::of(&plan.contract),
            table: plan.contract.table().clone(),
        }
    }

    fn backend(&self) -> Backend {
        self.facts.server.backend()
    }

    fn table(&self) -> &TableName {
        &self.table
    }

    fn column(&self) -> &Ident {
        self.contract.column()
    }

    fn ty(&self) -> &SqlType {
        self.contract.sql_type(self.backend()).expect("a plan has a type for its engine")
    }

    /// The expression for rows of old writers: the fill, or the default that stands in for it.
    fn fill(&self) -> &Expr {
        self.contract
            .sql_fill(self.backend())
            .or_else(|| self.contract.default(self.backend()))
            .expect("a trigger is planned only where there is an expression")
    }

    fn default(&self) -> &Expr {
        self.contract.default(self.backend()).expect("a default step is planned only with one")
    }

    /// What every statement needs that fills leftovers under the guard of a temporary table.
    fn guarded(&self) -> [(&'static str, Hole<'_>); 4] {
        [
            ("table", Hole::Table(self.table())),
            ("column", Hole::Name(self.column())),
            ("guard", Hole::Name(&self.names.guard)),
            ("stop", Hole::Name(&self.names.backfill_first)),
        ]
    }

    fn index_name(&self, purpose: IndexPurpose) -> &Ident {
        match purpose {
            IndexPurpose::Wished => &self.names.index,
            IndexPurpose::ForeignKey => &self.names.foreign_key_index,
        }
    }

    /// The replaced column and the expression that computes it back.
    fn replaced(&self) -> (&Ident, &Expr) {
        let replaces = self.contract.answers().replaces.as_ref();
        let replaces = replaces.expect("a sync step is planned only for a replacement");
        let back = replaces.back.get(self.backend());
        (&replaces.column, back.expect("planning refuses a replacement without a way back"))
    }
}

/// Returns the statements that carry out a step.
pub fn up(step: &Step, plan: &Plan) -> Vec<Statement> {
    let scope = Scope::new(plan);
    match plan.backend() {
        Backend::Postgres => postgres::up(step, &scope),
        Backend::Mysql => mysql::up(step, &scope),
        Backend::Sqlite => sqlite::up(step, &scope),
    }
}

/// Returns the statements that undo a step; empty where there is nothing to undo.
pub fn down(step: &Step, plan: &Plan) -> Vec<SqlText> {
    let scope = Scope::new(plan);
    match plan.backend() {
        Backend::Postgres => postgres::down(step, &scope),
        Backend::Mysql => mysql::down(step, &scope),
        Backend::Sqlite => sqlite::down(step, &scope),
    }
}

/// Returns what makes an empty temporary copy of the table, then steps as they are carried out on
/// it: those that leave a trace in the copy itself (PostgreSQL).
pub(crate) fn on_copy(steps: &[Step], plan: &Plan) -> Vec<SqlText> {
    let temporary = Ident::new("pg_temp").expect("a constant name");
    let name = plan.contract.table().name.clone();
    let scope = Scope { table: TableName { schema: Some(temporary), name }, ..Scope::new(plan) };
    let steps = steps.iter().flat_map(|step| postgres::on_copy(step, &scope));
    postgres::copy(plan.contract.table(), &scope).into_iter().chain(steps).collect()
}

/// Returns the question how many rows the table has, counted up to just above [`LEFTOVERS`].
pub fn bounded_count(plan: &Plan) -> SqlText {
    text::sql(
        plan.backend(),
        "SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {bound}) AS newcol_rows",
        &[("table", Hole::Table(plan.contract.table())), ("bound", Hole::Number(LEFTOVERS + 1))],
    )
}

/// Returns the question how many rows a job still has to fill, counted up to a bound; `None` where
/// nothing is filled.
pub fn pending(plan: &Plan) -> Option<SqlText> {
    plan.stage(StageKind::Backfill)?;
    let scope = Scope::new(plan);
    let backend = plan.backend();
    let computed = match (plan.contract.sql_fill(backend), plan.contract.required()) {
        // A required column may not stay empty, whatever the fill yields.
        (_, true) | (None, false) => None,
        (Some(fill), false) => Some(fill),
    };
    let holes = [
        ("table", Hole::Table(scope.table())),
        ("column", Hole::Name(scope.column())),
        ("bound", Hole::Number(LEFTOVERS + 1)),
    ];
    Some(match computed {
        None => text::sql(
            backend,
            "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {column} IS NULL LIMIT {bound}) AS newcol_pending",
            &holes,
        ),
        Some(fill) => text::sql(
            backend,
            "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {column} IS NULL AND {fill} IS NOT NULL LIMIT {bound}) AS newcol_pending",
            &[holes[0], holes[1], holes[2], ("fill", Hole::Expr(fill))],
        ),
    })
}
