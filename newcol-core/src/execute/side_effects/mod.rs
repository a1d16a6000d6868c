//! Finds out what an UPDATE of one column would do besides changing it, and how to have none of it.
//!
//! Filling a row is no change of it: whoever looks at `updated_at`, an audit table or a search
//! index must not see that a column was filled. So a fill changes nothing else, or it is refused
//! with everything that the user may choose. Reading asks the catalog and nothing more; judging is
//! pure. Nothing here runs an UPDATE.

mod mysql;
mod postgres;
mod refusal;
mod sqlite;

pub use self::refusal::{NoRest, ReadOnly, Refusal};
pub use crate::render::care::{Grantee, Missing};
use crate::{
    backend::{Backend, Server},
    db::{
        Session,
        facts::{Catalog, FactsError},
    },
    ident::{ColumnPath, Ident, TableName},
    plan::{Plan, facts::Volatility, volatility::judge},
    render::text::SqlText,
};

/// What an UPDATE of one column would do besides, for the role of the session that was asked.
///
/// Two that are equal need the same care, so a long job may read them again and go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideEffects {
    column: ColumnPath,
    server: Server,
    engine: Engine,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Engine {
    Postgres(postgres::Effects),
    Mysql(mysql::Effects),
    Sqlite(sqlite::Effects),
}

/// What triggers do while rows are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Triggers {
    /// They rest, for the fill and for nobody else.
    #[default]
    Skip,
    /// They fire for every row that is filled.
    Fire,
}

impl Triggers {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Skip, Self::Fire];

    /// Returns the word used in flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Fire => "fire",
        }
    }
}

/// How every batch is run so that nothing else changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Care {
    /// Run once by every session that fills, before its first transaction.
    pub session: Vec<SqlText>,
    /// Run by the transaction of every batch, right after BEGIN.
    pub before: Vec<SqlText>,
    /// Run by the transaction of every batch, right before COMMIT.
    pub after: Vec<SqlText>,
    /// Columns that the UPDATE assigns to themselves.
    pub assign: Vec<Ident>,
    /// What the user should know, one sentence each.
    pub notices: Vec<String>,
}

/// A trigger that an UPDATE of the column fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: Ident,
    /// The table it belongs to: the one that is filled, or a partition or heir of it.
    pub table: TableName,
    /// What it does, as far as the catalog tells: a verb and its object.
    pub does: String,
}

impl SideEffects {
    /// Reads them from the database that is to be filled, whose column exists.
    ///
    /// Asked outside of a transaction: on PostgreSQL one question may be denied, which would end it.
    /// A session that was opened to read will do, as long as it is of the same role.
    pub fn read(session: &mut Session, plan: &Plan) -> Result<Self, FactsError> {
        let (backend, server) = (session.backend(), session.server());
        let mut catalog = Catalog { session, table: plan.contract.table() };
        let engine = match backend {
            Backend::Postgres => Engine::Postgres(postgres::read(&mut catalog, plan)?),
            Backend::Mysql => Engine::Mysql(mysql::read(&mut catalog, plan)?),
            Backend::Sqlite => Engine::Sqlite(sqlite::read(&mut catalog, plan)?),
        };
        Ok(Self { column: plan.contract.path().clone(), server, engine })
    }

    /// Returns how to fill without changing anything else, apart from what triggers do where they
    /// are to fire; or why that cannot be.
    pub fn care(&self, triggers: Triggers) -> Result<Care, Refusal> {
        match &self.engine {
            Engine::Postgres(effects) => effects.care(&self.column, self.server, triggers),
            Engine::Mysql(effects) => effects.care(&self.column, self.server, triggers),
            Engine::Sqlite(effects) => effects.care(&self.column, triggers),
        }
    }
}

/// Names as engines compare them at most: without case.
fn same(a: &Ident, b: &Ident) -> bool {
    a.as_str().eq_ignore_ascii_case(b.as_str())
}

/// Reports whether a trigger is to be reckoned with.
///
/// Ours are not, as a rule: those that keep a column equal to the one it replaces leave alone what
/// they would compute themselves. What yields another value each time, they would carry over.
fn counts(trigger: &Ident, plan: &Plan) -> bool {
    let ours = trigger.as_str().starts_with("newcol_");
    let synced = plan.contract.answers().replaces.is_some();
    let judged = plan.fill().map(|expr| judge(expr, plan.backend()));
    let steady = judged.is_some_and(Volatility::is_steady);
    !ours || (synced && !steady)
}

fn no_column(catalog: &Catalog<'_>, plan: &Plan) -> FactsError {
    FactsError::NoColumn {
        column: plan.contract.path().clone(),
        database: catalog.session.url().describe(),
    }
}

/// What is said of triggers that fire, one sentence each.
fn firing(triggers: &[Trigger]) -> impl Iterator<Item = String> {
    triggers.iter().map(|Trigger { name, table, does }| {
        format!("the trigger `{name}` of `{table}` fires for what is filled: it {does}")
    })
}

/// What is said of triggers that rest.
fn resting(triggers: &[Trigger], how: &str) -> String {
    let names = list(triggers.iter().map(|trigger| &trigger.name));
    let (noun, verb) = match triggers {
        [_] => ("trigger", "does"),
        _ => ("triggers", "do"),
    };
    format!("the {noun} {names} {verb} not fire for what is filled: {how}")
}

/// Returns names as a sentence has them.
fn list<T: std::fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}
