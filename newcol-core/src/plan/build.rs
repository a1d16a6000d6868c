//! Contract and facts → plan: the only place that decides staging policy.
//!
//! The fewest stages that are safe, and for each decision a sentence that says why. What an engine
//! cannot do is refused here, with the nearest contract that it can; renderers never refuse.

use super::{
    ColumnShape, Gate, IndexPurpose, Leftovers, Migration, Plan, SchemaChange, Stage, StageKind,
    Step, facts::TableFacts, facts::Volatility, volatility,
};
use crate::{
    backend::{Backend, Product},
    contract::{
        Answer, Contract, Expr, FragmentError, OldRows, OldWriters, Presence,
        fragment::is_large_object,
    },
    ident::{ColumnPath, Ident, IdentError},
};

/// Why a contract cannot be carried out on an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A name is too long for the engine.
    #[error(transparent)]
    Name(#[from] IdentError),
    /// The contract has no type for the engine.
    #[error("`{column}` has no type for {backend}")]
    NoType {
        /// The column.
        column: ColumnPath,
        /// The engine.
        backend: Backend,
    },
    /// A fragment of SQL cannot stand in a statement.
    #[error("the {what} `{text}` of `{column}` cannot stand in a {backend} statement")]
    Fragment {
        /// The column.
        column: ColumnPath,
        /// Which answer.
        answer: Answer,
        /// The answer in words.
        what: &'static str,
        /// The fragment.
        text: String,
        /// The engine.
        backend: Backend,
        /// What is wrong with it.
        source: FragmentError,
    },
    /// The table has that column already.
    #[error("`{column}` exists already")]
    ColumnExists {
        /// The column.
        column: ColumnPath,
    },
    /// The replaced column does not exist.
    #[error("`{column}` replaces `{old}`, which the table does not have")]
    NoReplacedColumn {
        /// The column.
        column: ColumnPath,
        /// The old column.
        old: Ident,
    },
    /// An expression names a column that the table does not have.
    #[error("the {what} of `{column}` names `{name}`, which the table does not have")]
    NoSuchColumn {
        /// The column.
        column: ColumnPath,
        /// Which answer.
        answer: Answer,
        /// The answer in words.
        what: &'static str,
        /// The name that is missing.
        name: Ident,
    },
    /// Something only a database can tell is needed.
    #[error("planning `{column}` needs {what}")]
    NeedsDatabase {
        /// The column.
        column: ColumnPath,
        /// What must be read from it.
        what: String,
    },
    /// The engine cannot do what is asked without harm.
    #[error("{server} cannot {wish}: {reason}")]
    Unable {
        /// The server, with its version.
        server: String,
        /// What is asked, as an infinitive.
        wish: String,
        /// Why not.
        reason: String,
        /// Which answer asks for it.
        answer: Answer,
        /// The nearest contract that works.
        nearest: String,
    },
}

impl PlanError {
    /// Returns the answer of the contract that is at fault.
    pub fn answer(&self) -> Answer {
        match self {
            Self::Name(_) | Self::ColumnExists { .. } => Answer::Path,
            Self::NoType { .. } => Answer::Type,
            Self::NoReplacedColumn { .. } | Self::NeedsDatabase { .. } => Answer::Replaces,
            Self::Fragment { answer, .. }
            | Self::NoSuchColumn { answer, .. }
            | Self::Unable { answer, .. } => *answer,
        }
    }

    /// Returns the way out, as a sentence for a hint.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Name(_) => Some("choose a shorter name".to_owned()),
            Self::NoType { backend, .. } => {
                Some(format!("give one with `--type {}=<SQL>`", backend.name()))
            }
            Self::Fragment { source, .. } => source.hint(),
            Self::ColumnExists { .. } => Some("choose another name, or drop the wish".to_owned()),
            Self::NoReplacedColumn { .. } | Self::NoSuchColumn { .. } => {
                Some("check the spelling; names are taken literally, case included".to_owned())
            }
            Self::NeedsDatabase { .. } => Some(
                "pass `--database-url` of a database with the project's schema (read only)"
                    .to_owned(),
            ),
            Self::Unable { nearest, .. } => Some(nearest.clone()),
        }
    }
}

impl Plan {
    /// Chooses the fewest stages that carry the contract out safely on the server of `facts`.
    pub fn build(contract: &Contract, facts: &TableFacts) -> Result<Self, PlanError> {
        Builder { contract, facts, reasons: Vec::new(), warnings: Vec::new() }.build()
    }
}

/// What fills rows that exist already.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fill {
    /// Nothing has to: they are NULL, hold the default, or are generated.
    None,
    /// An expression.
    Sql(Expr),
    /// Application code.
    Rust,
}

struct Builder<'a> {
    contract: &'a Contract,
    facts: &'a TableFacts,
    reasons: Vec<String>,
    warnings: Vec<String>,
}

impl Builder<'_> {
    fn build(mut self) -> Result<Plan, PlanError> {
        self.check_names()?;
        self.check_fragments()?;
        self.check_columns()?;
        self.check_type()?;
        self.check_generated()?;
        self.check_index()?;
        self.check_check()?;
        self.check_replaced()?;
        let fill = self.fill()?;
        let stages = match &fill {
            Fill::None => self.short(),
            Fill::Sql(_) | Fill::Rust => self.staged(&fill)?,
        };
        self.warn();
        let mut stages: Vec<Stage> = stages
            .into_iter()
            .filter(|s| s.kind == StageKind::Backfill || !s.migrations.is_empty())
            .collect();
        gate(&mut stages, self.contract, self.backend());
        Ok(Plan {
            contract: self.contract.clone(),
            facts: self.facts.clone(),
            stages,
            reasons: self.reasons,
            warnings: self.warnings,
        })
    }

    fn backend(&self) -> Backend {
        self.facts.server.backend()
    }

    fn path(&self) -> ColumnPath {
        self.contract.path().clone()
    }

    fn because(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    fn unable(
        &self,
        answer: Answer,
        wish: impl Into<String>,
        reason: impl Into<String>,
        nearest: impl Into<String>,
    ) -> PlanError {
        PlanError::Unable {
            server: self.facts.server.to_string(),
            wish: wish.into(),
            reason: reason.into(),
            answer,
            nearest: nearest.into(),
        }
    }

    fn check_names(&self) -> Result<(), PlanError> {
        let backend = self.backend();
        self.contract.column().fits(backend)?;
        if let Some(name) = self.contract.answers().index.as_ref().and_then(|i| i.name.as_ref()) {
            name.fits(backend)?;
        }
        Ok(())
    }

    /// The SQL fragments of the contract for this engine.
    fn fragments(&self) -> Vec<(Answer, &'static str, &Expr)> {
        let backend = self.backend();
        let answers = self.contract.answers();
        let index = answers.index.as_ref();
        let replaces = answers.replaces.as_ref();
        [
            (Answer::OldRows, "fill", self.contract.sql_fill(backend)),
            (Answer::Default, "default", self.contract.default(backend)),
            (Answer::Generated, "generation expression", answers.generated.get(backend)),
            (Answer::Check, "check", answers.check.get(backend)),
            (Answer::Index, "index predicate", index.and_then(|i| i.predicate.get(backend))),
            (Answer::Replaces, "back expression", replaces.and_then(|r| r.back.get(backend))),
        ]
        .into_iter()
        .filter_map(|(answer, what, expr)| Some((answer, what, expr?)))
        .collect()
    }

    fn check_fragments(&self) -> Result<(), PlanError> {
        let backend = self.backend();
        let wrong = |answer, what, text: &str, source| PlanError::Fragment {
            column: self.path(),
            answer,
            what,
            text: text.to_owned(),
            backend,
            source,
        };
        let Some(ty) = self.contract.sql_type(backend) else {
            return Err(PlanError::NoType { column: self.path(), backend });
        };
        ty.check(backend).map_err(|e| wrong(Answer::Type, "type", ty.as_str(), e))?;
        for (answer, what, expr) in self.fragments() {
            expr.check(backend).map_err(|e| wrong(answer, what, expr.as_str(), e))?;
        }
        Ok(())
    }

    fn check_columns(&self) -> Result<(), PlanError> {
        let facts = self.facts;
        if facts.columns.is_empty() {
            return Ok(());
        }
        let wished = self.contract.column();
        let exists = match self.backend() {
            Backend::Postgres => facts.column(wished).is_some(),
            // Quoted or not, a name is the same in any case there.
            Backend::Mysql | Backend::Sqlite => {
                let lower = wished.as_str().to_lowercase();
                facts.columns.iter().any(|c| c.name.as_str().to_lowercase() == lower)
            }
        };
        if exists {
            return Err(PlanError::ColumnExists { column: self.path() });
        }
        if let Some(replaces) = &self.contract.answers().replaces
            && facts.column(&replaces.column).is_none()
        {
            let old = replaces.column.clone();
            return Err(PlanError::NoReplacedColumn { column: self.path(), old });
        }
        let include = self.contract.answers().index.iter().flat_map(|index| &index.include);
        if let Some(name) = include.into_iter().find(|name| facts.column(name).is_none()) {
            return Err(PlanError::NoSuchColumn {
                column: self.path(),
                answer: Answer::Index,
                what: "index",
                name: name.clone(),
            });
        }
        for (answer, what, expr) in self.fragments() {
            for name in volatility::column_refs(expr, self.backend()).unwrap_or_default() {
                if !self.names_a_column(&name) {
                    return Err(PlanError::NoSuchColumn {
                        column: self.path(),
                        answer,
                        what,
                        name,
                    });
                }
            }
        }
        Ok(())
    }

    /// Unquoted names match as the engines match them: in any case.
    fn names_a_column(&self, name: &Ident) -> bool {
        let same = |other: &Ident| other.as_str().eq_ignore_ascii_case(name.as_str());
        same(self.contract.column()) || self.facts.columns.iter().any(|c| same(&c.name))
    }

    fn check_type(&self) -> Result<(), PlanError> {
        let ty = self.contract.sql_type(self.backend()).map_or("", |t| t.as_str());
        let word = ty.to_ascii_lowercase();
        if self.backend() == Backend::Postgres
            && ["serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"]
                .contains(&word.as_str())
        {
            return Err(self.unable(
                Answer::Type,
                format!("add `{ty}` to a filled table"),
                "it numbers every row while readers and writers wait",
                "make a sequence in a migration of your own, then use `--type bigint --default \"nextval('...')\"`",
            ));
        }
        if self.facts.type_rewrites == Some(true) {
            return Err(self.unable(
                Answer::Type,
                format!("add a column of type `{ty}` without rewriting the table"),
                "the type carries constraints of its own, which are checked row by row",
                "use its base type and give the constraint with `--check`",
            ));
        }
        Ok(())
    }

    fn check_generated(&self) -> Result<(), PlanError> {
        let answers = self.contract.answers();
        if answers.generated.get(self.backend()).is_none() {
            return Ok(());
        }
        let server = self.facts.server;
        if server.product == Product::Postgres && !server.at_least(18, 0) {
            return Err(self.unable(
                Answer::Generated,
                "add a generated column without rewriting the table",
                "before version 18 it only knows stored ones",
                "use `--fill` with the same expression and `--old-writers trigger`, or a view",
            ));
        }
        if self.contract.required() {
            return Err(self.unable(
                Answer::Presence,
                "add a generated column that is NOT NULL",
                "the whole table would be checked while writers wait",
                "make it `--optional`; an expression that never yields NULL is as good",
            ));
        }
        if answers.references.is_some() || answers.check.get(self.backend()).is_some() {
            return Err(self.unable(
                Answer::Generated,
                "constrain a virtual generated column",
                "its values are not stored",
                "constrain the columns it is computed from",
            ));
        }
        if answers.index.is_some() && server.product == Product::Postgres {
            return Err(self.unable(
                Answer::Index,
                "index a virtual generated column",
                "its values are not stored",
                "index the expression itself in a migration of your own",
            ));
        }
        Ok(())
    }

    fn check_index(&self) -> Result<(), PlanError> {
        let Some(index) = &self.contract.answers().index else { return Ok(()) };
        let backend = self.backend();
        if self.facts.partitioned {
            return Err(self.unable(
                Answer::Index,
                "build an index on a partitioned table without blocking writers",
                "CREATE INDEX CONCURRENTLY does not work on a partitioned parent",
                "drop the index from this contract and build it partition by partition",
            ));
        }
        if backend == Backend::Mysql && index.predicate.get(backend).is_some() {
            return Err(self.unable(
                Answer::Index,
                "build a partial index",
                "it has none",
                "leave the predicate out",
            ));
        }
        if backend != Backend::Postgres && !index.include.is_empty() {
            return Err(self.unable(
                Answer::Index,
                "store further columns in an index",
                "INCLUDE exists on PostgreSQL only",
                "leave `--include` out",
            ));
        }
        let Some(method) = &index.method else { return Ok(()) };
        let wish = format!("build an index by the method `{method}`");
        let word = method.as_str().to_ascii_lowercase();
        let plain = word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        match backend {
            Backend::Sqlite => {
                Err(self.unable(Answer::Index, wish, "it has only one", "leave the method out"))
            }
            Backend::Mysql if word != "btree" => Err(self.unable(
                Answer::Index,
                wish,
                "InnoDB has btree only, and takes it in silence where it is asked for hash",
                "leave the method out",
            )),
            // Extensions bring methods of their own, so only the form can be judged.
            Backend::Postgres if !plain => Err(self.unable(
                Answer::Index,
                wish,
                "a method is one word",
                "choose one such as btree, hash, gin, gist, spgist or brin",
            )),
            Backend::Postgres | Backend::Mysql => Ok(()),
        }
    }

    fn check_check(&self) -> Result<(), PlanError> {
        if self.facts.server.product == Product::Mysql
            && self.contract.answers().check.get(Backend::Mysql).is_some()
        {
            return Err(self.unable(
                Answer::Check,
                "add a check constraint online",
                "it copies the table while writers wait",
                "check the value in the application, or leave the check to a maintenance window",
            ));
        }
        Ok(())
    }

    fn check_replaced(&self) -> Result<(), PlanError> {
        let Some(replaces) = &self.contract.answers().replaces else { return Ok(()) };
        let old = &replaces.column;
        if replaces.back.get(self.backend()).is_none() {
            return Err(PlanError::NeedsDatabase {
                column: self.path(),
                what: format!("an expression for {} that computes `{old}` back", self.backend()),
            });
        }
        let Some(column) = self.facts.column(old).filter(|c| c.sql_type.is_some()) else {
            return Err(PlanError::NeedsDatabase {
                column: self.path(),
                what: format!("the definition of `{old}`, so that dropping it can be undone"),
            });
        };
        if self.facts.primary_key.contains(old) {
            return Err(self.unable(
                Answer::Replaces,
                format!("replace `{old}`"),
                "it is part of the primary key",
                "replace it in a table of its own",
            ));
        }
        if self.backend() == Backend::Sqlite && !column.nullable && column.default.is_none() {
            return Err(self.unable(
                Answer::Replaces,
                format!("fill `{old}` for programs that only write the new column"),
                "its triggers cannot change the row being inserted, and the column is NOT NULL without a default",
                format!("give `{old}` a default first"),
            ));
        }
        Ok(())
    }

    /// Decides what fills existing rows, and whether a job must.
    fn fill(&mut self) -> Result<Fill, PlanError> {
        let backend = self.backend();
        let answers = self.contract.answers();
        match &answers.old_rows {
            OldRows::Sql(_) => {
                let Some(fill) = self.contract.sql_fill(backend).cloned() else {
                    return Err(self.unable(
                        Answer::OldRows,
                        "fill old rows",
                        "the contract has a fill for other engines only",
                        format!("give one with `--fill {}=<SQL>`", backend.name()),
                    ));
                };
                self.because(
                    "old rows are computed, and computing them in the migration would hold locks for as long as the table is large: a job fills them in batches",
                );
                return Ok(Fill::Sql(fill));
            }
            OldRows::Rust(path) => {
                self.because(format!(
                    "old rows are computed by `{path}`, which only the application can run: a job fills them"
                ));
                return Ok(Fill::Rust);
            }
            OldRows::Unfilled => {}
        }
        let Some(default) = self.contract.default(backend).cloned() else {
            if answers.default.is_some() && self.contract.required() {
                return Err(self.unable(
                    Answer::Default,
                    "fill a required column",
                    "the contract has a default for other engines only",
                    format!("give one with `--default {}=<SQL>`", backend.name()),
                ));
            }
            if answers.generated.get(backend).is_some() {
                self.because("the value is always computed from the row: a virtual column stores nothing, so there is nothing to fill");
            } else {
                self.because("old rows may stay NULL, so there is nothing to fill");
            }
            return Ok(Fill::None);
        };
        if self.default_is_instant(&default) { Ok(Fill::None) } else { Ok(Fill::Sql(default)) }
    }

    /// Whether the engine can give every existing row this default without touching it.
    fn default_is_instant(&mut self, default: &Expr) -> bool {
        let backend = self.backend();
        let literal = volatility::is_literal(default, backend);
        let large = self.contract.sql_type(backend).is_some_and(is_large_object);
        let measured = self.facts.default_volatility;
        let judged = measured.unwrap_or_else(|| volatility::judge(default, backend));
        let (instant, reason) = match self.facts.server.product {
            Product::Postgres => match judged {
                Volatility::Immutable => (
                    true,
                    format!(
                        "`{default}` is one value for every old row, which the server keeps beside the table: no row is touched"
                    ),
                ),
                Volatility::Stable => (
                    true,
                    format!(
                        "`{default}` is evaluated once, when the migration runs; every old row gets that one value and none is touched"
                    ),
                ),
                Volatility::Volatile => (
                    false,
                    format!(
                        "`{default}` gives each row a value of its own, so adding it at once would rewrite the table while everybody waits: the default is set for new rows, a job fills the old ones"
                    ),
                ),
                Volatility::Unknown => (
                    false,
                    format!(
                        "only a server can tell whether `{default}` gives each row a value of its own; the plan assumes it does (pass `--database-url` to find out)"
                    ),
                ),
            },
            Product::Mariadb => match judged {
                Volatility::Immutable | Volatility::Stable => (
                    true,
                    format!(
                        "`{default}` is one value for every old row: ADD COLUMN is instant, and asserted to be"
                    ),
                ),
                Volatility::Volatile | Volatility::Unknown => (
                    false,
                    format!(
                        "`{default}` may give each row a value of its own, which copies the table: a job fills old rows"
                    ),
                ),
            },
            Product::Mysql if large => (
                false,
                "MySQL gives a column of this type no literal default, so the default is set for new rows and a job fills the old ones".to_owned(),
            ),
            Product::Mysql => (
                literal,
                if literal {
                    "a literal default is kept beside the table: ADD COLUMN is instant, and asserted to be".to_owned()
                } else {
                    format!(
                        "`{default}` is an expression, for which MySQL rebuilds the table: a job fills old rows"
                    )
                },
            ),
            Product::Sqlite if literal && self.inline_reference() => (
                false,
                "SQLite adds a column with a foreign key only if it starts as NULL: a job fills old rows".to_owned(),
            ),
            Product::Sqlite => (
                literal,
                if literal {
                    "SQLite keeps a literal default beside the table: no row is touched".to_owned()
                } else {
                    format!(
                        "SQLite adds columns with literal defaults only, and `{default}` is an expression: a job fills old rows"
                    )
                },
            ),
        };
        self.because(reason);
        instant
    }

    /// The column arrives complete: one stage, and what the contract hangs on it.
    fn short(&mut self) -> Vec<Stage> {
        let backend = self.backend();
        let answers = self.contract.answers();
        let shape = ColumnShape {
            not_null: self.contract.required(),
            default: self.contract.default(backend).cloned(),
            generated: answers.generated.get(backend).cloned(),
            inline_check: self.inline_check(),
            inline_reference: self.inline_reference(),
        };
        let add = if self.contract.required() {
            SchemaChange::AddRequired
        } else {
            SchemaChange::AddNullable
        };
        let mut expand = Stage::new(StageKind::Expand);
        expand.schema.push(add);
        expand.migrations.push(self.add_column(shape, Vec::new()));
        self.constraints(&mut expand);
        let mut contract = Stage::new(StageKind::Contract);
        if self.contract.default_is_transitional() && self.contract.default(backend).is_some() {
            contract.migrations.push(self.drop_default());
        }
        vec![expand, self.index(), contract]
    }

    /// The column arrives nullable, is filled, and is constrained when it is full.
    fn staged(&mut self, fill: &Fill) -> Result<Vec<Stage>, PlanError> {
        let backend = self.backend();
        let required = self.contract.required();
        let old_writers = self.old_writers(fill)?;
        let nullable = ColumnShape {
            inline_check: self.inline_check(),
            inline_reference: self.inline_reference(),
            ..ColumnShape::default()
        };
        let mut served = Vec::new();
        if self.contract.answers().replaces.is_some() {
            served.push(Step::CreateSync);
        } else if old_writers == OldWriters::Trigger {
            served.push(Step::CreateFill);
        }
        let default_set = backend != Backend::Sqlite && self.contract.default(backend).is_some();
        if default_set {
            served.insert(0, Step::SetDefault);
        }
        let mut expand = Stage::new(StageKind::Expand);
        expand.schema.push(SchemaChange::AddNullable);
        self.expand_migrations(&mut expand, nullable.clone(), served);
        if self.inline_reference() {
            expand.schema.push(SchemaChange::Join);
        }

        let mut constrain = Stage::new(StageKind::Constrain);
        let leftovers = match (fill, required) {
            (Fill::Sql(expr), true) => Some(Leftovers::Require(expr.clone())),
            (Fill::Sql(expr), false) => Some(Leftovers::Allow(expr.clone())),
            (Fill::Rust, true) => Some(Leftovers::Refuse),
            (Fill::Rust, false) | (Fill::None, _) => None,
        };
        let settle =
            leftovers.map(|l| Migration::wrapped("leftovers", vec![Step::FillLeftovers(l)]));
        if required {
            constrain.schema.push(SchemaChange::Require);
        }
        let kept_default = (!self.contract.default_is_transitional())
            .then(|| self.contract.default(backend).cloned())
            .flatten();
        match backend {
            Backend::Postgres if required => {
                constrain.migrations.extend([
                    Migration::wrapped("not_null_check", vec![Step::AddNotNullCheck]),
                    Migration::wrapped("validate_not_null", vec![Step::ValidateNotNullCheck]),
                    Migration::wrapped("not_null", vec![Step::SetNotNull]),
                    Migration::wrapped("drop_not_null_check", vec![Step::DropNotNullCheck]),
                ]);
                self.because("SET NOT NULL alone would scan the table while everybody waits: a helper check is proven first, while reads and writes go on");
            }
            Backend::Mysql if required => {
                constrain.migrations.push(Migration::bare("not_null", Step::SetNotNull));
            }
            Backend::Sqlite if required || kept_default.is_some() => {
                let to = ColumnShape {
                    not_null: required,
                    default: kept_default.clone(),
                    ..nullable.clone()
                };
                constrain
                    .migrations
                    .push(Migration::bare("rebuild", Step::Rebuild { from: nullable, to }));
                self.because("SQLite cannot change a column in place: the table is rebuilt in one transaction, with foreign keys off so that no child row is touched");
            }
            Backend::Postgres | Backend::Mysql | Backend::Sqlite => {}
        }
        self.constraints(&mut constrain);

        let mut contract = Stage::new(StageKind::Contract);
        let carrier = if constrain.migrations.is_empty() { &mut contract } else { &mut constrain };
        carrier.migrations.splice(0..0, settle);
        self.contract_migrations(&mut contract, old_writers, default_set);
        let backfill = Stage::new(StageKind::Backfill);
        Ok(vec![expand, backfill, self.index(), constrain, contract])
    }

    fn old_writers(&mut self, fill: &Fill) -> Result<OldWriters, PlanError> {
        let wished = self.contract.old_writers();
        let computed = matches!(fill, Fill::Sql(_));
        if self.backend() == Backend::Sqlite && wished == OldWriters::Default {
            let explicit = self.contract.answers().old_writers.is_some();
            if explicit || !computed {
                return Err(self.unable(
                    Answer::OldWriters,
                    "serve old writers by a default while old rows are computed",
                    "it cannot give a column a default without giving it to every old row",
                    "choose `--old-writers trigger`",
                ));
            }
            self.because("SQLite cannot set a default after the column exists, so a trigger serves old writers");
            return Ok(OldWriters::Trigger);
        }
        match wished {
            OldWriters::Trigger => self.because("programs that do not know the column still insert: a trigger, there from the same transaction on, computes it for their rows"),
            OldWriters::Default => self.because("programs that do not know the column still insert: the default serves them"),
            OldWriters::Nobody if self.contract.required() => self.because("nobody fills the column for programs that do not know it: they must be gone before it is constrained"),
            OldWriters::Nobody => {}
        }
        Ok(wished)
    }

    fn add_column(&self, shape: ColumnShape, mut served: Vec<Step>) -> Migration {
        let mut steps = vec![Step::AddColumn(shape)];
        steps.append(&mut served);
        match self.backend() {
            Backend::Postgres => {
                steps.push(Step::Comment);
                Migration::wrapped("expand", steps)
            }
            Backend::Sqlite => Migration::wrapped("expand", steps),
            Backend::Mysql => {
                Migration { label: "expand", transaction: super::Transaction::Bare, steps }
            }
        }
    }

    /// MySQL commits after every DDL statement, so there each has a migration of its own.
    fn expand_migrations(&self, expand: &mut Stage, shape: ColumnShape, served: Vec<Step>) {
        match self.backend() {
            Backend::Postgres | Backend::Sqlite => {
                expand.migrations.push(self.add_column(shape, served));
            }
            Backend::Mysql => {
                expand.migrations.push(self.add_column(shape, Vec::new()));
                for step in served {
                    let label = match step {
                        Step::SetDefault => "default",
                        _ => "old_writers",
                    };
                    expand.migrations.push(Migration::bare(label, step));
                }
            }
        }
    }

    fn drop_default(&mut self) -> Migration {
        let backend = self.backend();
        match backend {
            Backend::Postgres => Migration::wrapped("drop_default", vec![Step::DropDefault]),
            Backend::Mysql => Migration::bare("drop_default", Step::DropDefault),
            Backend::Sqlite => {
                self.because(
                    "SQLite cannot drop a default in place: `contract` rebuilds the table",
                );
                let from = ColumnShape {
                    not_null: self.contract.required(),
                    default: self.contract.default(backend).cloned(),
                    inline_check: self.inline_check(),
                    inline_reference: self.inline_reference(),
                    ..ColumnShape::default()
                };
                let to = ColumnShape { default: None, ..from.clone() };
                Migration::bare("rebuild", Step::Rebuild { from, to })
            }
        }
    }

    fn contract_migrations(
        &mut self,
        stage: &mut Stage,
        old_writers: OldWriters,
        default_set: bool,
    ) {
        let replaced = self.contract.answers().replaces.is_some();
        let mut steps = Vec::new();
        if replaced {
            steps.push(Step::DropSync);
        } else if old_writers == OldWriters::Trigger {
            steps.push(Step::DropFill);
        }
        if default_set && self.contract.default_is_transitional() {
            steps.push(Step::DropDefault);
        }
        match self.backend() {
            Backend::Postgres | Backend::Sqlite if !steps.is_empty() => {
                stage.migrations.push(Migration::wrapped("contract", steps));
            }
            Backend::Mysql => {
                for step in steps {
                    let label = match step {
                        Step::DropDefault => "drop_default",
                        _ => "contract",
                    };
                    stage.migrations.push(Migration::bare(label, step));
                }
            }
            Backend::Postgres | Backend::Sqlite => {}
        }
        if replaced {
            stage.schema.push(SchemaChange::DropReplaced);
            stage.migrations.push(match self.backend() {
                Backend::Postgres | Backend::Sqlite => {
                    Migration::wrapped("drop_replaced", vec![Step::DropReplaced])
                }
                Backend::Mysql => Migration::bare("drop_replaced", Step::DropReplaced),
            });
        }
    }

    /// Foreign key and check, each proven in a migration of its own.
    fn constraints(&mut self, stage: &mut Stage) {
        let answers = self.contract.answers();
        let backend = self.backend();
        if answers.references.is_some() {
            match backend {
                Backend::Postgres => {
                    stage.migrations.extend([
                        Migration::wrapped("foreign_key", vec![Step::AddForeignKey]),
                        Migration::wrapped("validate_foreign_key", vec![Step::ValidateForeignKey]),
                    ]);
                    stage.schema.push(SchemaChange::Join);
                    self.because("the foreign key holds for new rows at once and is proven for old ones in a migration of its own, so that no lock is held during the proof");
                }
                Backend::Mysql => {
                    let purpose = match answers.index {
                        Some(_) => IndexPurpose::Wished,
                        None => IndexPurpose::ForeignKey,
                    };
                    stage.migrations.extend([
                        Migration::bare("index", Step::CreateIndex(purpose)),
                        Migration::bare("foreign_key", Step::AddForeignKey),
                    ]);
                    stage.schema.push(SchemaChange::Join);
                    self.because("the foreign key needs an index; building it first and online keeps writers going");
                }
                Backend::Sqlite if stage.kind == StageKind::Expand => {
                    stage.schema.push(SchemaChange::Join);
                }
                Backend::Sqlite => {}
            }
        }
        if answers.check.get(backend).is_some() && backend == Backend::Postgres {
            stage.migrations.extend([
                Migration::wrapped("check", vec![Step::AddCheck]),
                Migration::wrapped("validate_check", vec![Step::ValidateCheck]),
            ]);
            self.because("the check holds for new rows at once and is proven for old ones in a migration of its own");
        }
    }

    fn inline_check(&self) -> bool {
        self.backend() != Backend::Postgres
            && self.contract.answers().check.get(self.backend()).is_some()
    }

    fn inline_reference(&self) -> bool {
        self.backend() == Backend::Sqlite && self.contract.answers().references.is_some()
    }

    fn index(&mut self) -> Stage {
        let mut stage = Stage::new(StageKind::Index);
        let answers = self.contract.answers();
        let with_foreign_key = self.backend() == Backend::Mysql && answers.references.is_some();
        if answers.index.is_some() && !with_foreign_key {
            let step = Step::CreateIndex(IndexPurpose::Wished);
            stage.migrations.push(match self.backend() {
                Backend::Postgres | Backend::Mysql => Migration::bare("index", step),
                Backend::Sqlite => Migration::wrapped("index", vec![step]),
            });
            self.because("the index has a stage of its own: building it takes as long as the table is large, and after the fill it is built once instead of being updated row by row");
        }
        stage
    }

    fn warn(&mut self) {
        let facts = self.facts;
        let backend = self.backend();
        if backend == Backend::Mysql && !facts.strict && self.contract.required() {
            self.warnings.push(
                "this server's sql_mode is not strict: it would turn NULL into '' or 0 silently; the migrations switch strict mode on for themselves".to_owned(),
            );
        }
        if facts.primary_key.is_empty() && !facts.columns.is_empty() {
            self.warnings.push(format!(
                "`{}` has no primary key: `diesel print-schema` stops at it, and a resumable fill has no order to follow",
                self.contract.table()
            ));
        }
        let ty = self.contract.sql_type(backend).map_or("", |t| t.as_str());
        if backend == Backend::Postgres && ty.eq_ignore_ascii_case("json") {
            self.warnings.push(
                "`json` has no equality: DISTINCT, UNION and GROUP BY over the whole row start to fail; `jsonb` has one".to_owned(),
            );
        }
        if let Some(replaces) = &self.contract.answers().replaces {
            self.warnings.push(format!(
                "dropping `{}` also drops its indexes and constraints; undoing that puts the column and its values back, at the end of the table and without them",
                replaces.column
            ));
        }
        if self.contract.answers().presence == Presence::Optional
            && self.contract.old_writers() == OldWriters::Trigger
            && self.contract.answers().replaces.is_none()
        {
            self.warnings.push(
                "until `contract`, the trigger also fills rows for which the new code writes NULL on purpose".to_owned(),
            );
        }
    }
}

impl Stage {
    fn new(kind: StageKind) -> Self {
        Self { kind, migrations: Vec::new(), schema: Vec::new(), gates: Vec::new() }
    }
}

/// Each stage waits for the one before; what enforces or removes waits for old programs too.
///
/// SQLite's trigger fills the row right after it is inserted, and NOT NULL is checked before: once
/// the column is constrained, nothing serves old writers there.
fn gate(stages: &mut [Stage], contract: &Contract, backend: Backend) {
    let filled = stages.iter().any(|s| s.kind == StageKind::Backfill);
    let mut before = None;
    for stage in stages {
        if let Some(before) = before {
            stage.gates.push(if before == StageKind::Backfill {
                Gate::Backfilled
            } else {
                Gate::StageApplied(before)
            });
        }
        match stage.kind {
            StageKind::Expand | StageKind::Backfill | StageKind::Index => {}
            StageKind::Constrain => {
                if filled && !stage.gates.contains(&Gate::Backfilled) {
                    stage.gates.push(Gate::Backfilled);
                }
                let unserved = contract.old_writers() == OldWriters::Nobody
                    || (backend == Backend::Sqlite && contract.required());
                if unserved {
                    stage.gates.push(Gate::OldWritersGone);
                }
            }
            StageKind::Contract => {
                stage.gates.push(Gate::OldWritersGone);
                if contract.answers().replaces.is_some() {
                    stage.gates.push(Gate::ReplacedUnused);
                }
            }
        }
        before = Some(stage.kind);
    }
}
