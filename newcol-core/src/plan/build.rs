//! Contract and facts → plan: the only place that decides staging policy.
//!
//! The fewest stages that are safe, and for each decision a sentence that says why. What an engine
//! cannot do is refused first (`refuse`); what fills old rows is decided in `fill`.

use super::{
    ColumnShape, Gate, IndexPurpose, Leftovers, Migration, Plan, SchemaChange, Stage, StageKind,
    Step, error::PlanError, facts::TableFacts, fill::Fill, nullness::null_where, volatility,
};
use crate::{
    backend::Backend,
    contract::{Answer, Contract, OldWriters, Presence, Uniqueness},
    ident::ColumnPath,
};

impl Plan {
    /// Chooses the fewest stages that carry the contract out safely on the server of `facts`.
    pub fn build(contract: &Contract, facts: &TableFacts) -> Result<Self, PlanError> {
        Builder { contract, facts, reasons: Vec::new(), warnings: Vec::new() }.build()
    }
}

pub(super) struct Builder<'a> {
    pub(super) contract: &'a Contract,
    pub(super) facts: &'a TableFacts,
    reasons: Vec<String>,
    warnings: Vec<String>,
}

impl Builder<'_> {
    fn build(mut self) -> Result<Plan, PlanError> {
        self.refuse()?;
        let fill = self.fill()?;
        let stages = match &fill {
            Fill::None => self.short(),
            Fill::Sql(_) | Fill::Rust => self.staged(&fill)?,
        };
        self.warn(&stages);
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

    pub(super) fn backend(&self) -> Backend {
        self.facts.server.backend()
    }

    pub(super) fn path(&self) -> ColumnPath {
        self.contract.path().clone()
    }

    pub(super) fn because(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    pub(super) fn unable(
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
        let settle = leftovers.map(|leftovers| {
            let step = Step::FillLeftovers(leftovers);
            match backend {
                // In a transaction, its count would lock every row until the end.
                Backend::Mysql => Migration::bare("leftovers", step),
                Backend::Postgres | Backend::Sqlite => Migration::wrapped("leftovers", vec![step]),
            }
        });
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
                self.check_not_null()?;
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
        if replaced {
            stage.schema.push(SchemaChange::DropReplaced);
            // In one transaction with what kept it in step, there and back: new code that writes
            // between would leave it behind.
            steps.push(Step::DropReplaced);
        }
        match self.backend() {
            Backend::Postgres | Backend::Sqlite if !steps.is_empty() => {
                stage.migrations.push(Migration::wrapped("contract", steps));
            }
            Backend::Mysql => {
                for step in steps {
                    let label = match step {
                        Step::DropDefault => "drop_default",
                        Step::DropReplaced => "drop_replaced",
                        _ => "contract",
                    };
                    stage.migrations.push(Migration::bare(label, step));
                }
            }
            Backend::Postgres | Backend::Sqlite => {}
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

    pub(super) fn inline_reference(&self) -> bool {
        self.backend() == Backend::Sqlite && self.contract.answers().references.is_some()
    }

    fn index(&mut self) -> Stage {
        let mut stage = Stage::new(StageKind::Index);
        let answers = self.contract.answers();
        let with_foreign_key = self.backend() == Backend::Mysql && answers.references.is_some();
        if answers.index.is_some() && !with_foreign_key {
            let step = Step::CreateIndex(IndexPurpose::Wished);
            stage.migrations.push(match self.backend() {
                Backend::Postgres if self.facts.partitioned => {
                    self.because("the table is partitioned, and no statement builds its index without holding writers up: `cargo newcol apply` builds it on one partition after the other, and the migration puts these together");
                    Migration::wrapped("index", vec![Step::CreatePartitionedIndex])
                }
                Backend::Postgres | Backend::Mysql => Migration::bare("index", step),
                Backend::Sqlite => Migration::wrapped("index", vec![step]),
            });
            if self.backend() == Backend::Postgres && self.is_constraint() {
                stage.migrations.push(Migration::wrapped("unique", vec![Step::AddUnique]));
                self.because("a UNIQUE constraint would build its index while everybody waits: it takes over one that was built before");
            }
            self.because("the index has a stage of its own: building it takes as long as the table is large, and after the fill it is built once instead of being updated row by row");
        }
        stage
    }

    /// Reports whether the index is to be a constraint too.
    pub(super) fn is_constraint(&self) -> bool {
        let index = self.contract.answers().index.as_ref();
        index.is_some_and(|index| index.uniqueness == Uniqueness::Constraint)
    }

    fn warn(&mut self, stages: &[Stage]) {
        self.warn_of_triggers(stages);
        let facts = self.facts;
        let backend = self.backend();
        if backend == Backend::Mysql && !facts.strict && self.contract.required() {
            self.warnings.push(
                "this server's sql_mode is not strict: it would turn NULL into '' or 0 silently; the migrations switch strict mode on for themselves".to_owned(),
            );
        }
        self.warn_of_null();
        self.warn_of_constant();
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

    /// A fill that is one value for all asks for a job that a default would spare.
    fn warn_of_constant(&mut self) {
        let (contract, backend) = (self.contract, self.backend());
        let answers = contract.answers();
        let fill = contract.sql_fill(backend).filter(|_| {
            contract.required() && answers.default.is_none() && answers.replaces.is_none()
        });
        if let Some(fill) = fill.filter(|fill| volatility::is_literal(fill, backend)) {
            self.warnings.push(format!(
                "the fill is the same for every row: `--default \"{fill}\" --drop-default` instead of it gives old rows their value at once, without a job"
            ));
        }
    }

    /// A required column wants a value from every row, also from those that old programs insert.
    fn warn_of_null(&mut self) {
        let (contract, backend) = (self.contract, self.backend());
        let null_where = contract
            .sql_fill(backend)
            .filter(|_| contract.required())
            .and_then(|fill| null_where(fill, backend, &self.facts.columns));
        if let Some(null_where) = null_where {
            self.warnings.push(format!(
                "the fill has no value for a row {null_where}, and `{}` is required: such a row keeps `constrain` back, and cannot be inserted after it; `coalesce(...)` gives it one",
                contract.path()
            ));
        }
    }

    /// What fills a row must not look like a change of it to triggers, where that can be had.
    fn warn_of_triggers(&mut self, stages: &[Stage]) {
        let steps: Vec<&Step> =
            stages.iter().flat_map(|s| &s.migrations).flat_map(|m| &m.steps).collect();
        let fills = steps.iter().any(|step| {
            matches!(step, Step::FillLeftovers(Leftovers::Require(_) | Leftovers::Allow(_)))
        });
        let serves = steps.iter().any(|step| matches!(step, Step::CreateFill | Step::CreateSync));
        let then = match self.backend() {
            Backend::Postgres if fills => {
                "it is off, while writers wait, when a migration fills what the backfill has left"
            }
            Backend::Mysql if fills => {
                "it cannot be switched off on this engine, so it runs for the rows that a migration fills"
            }
            Backend::Sqlite if serves => {
                "it is off when a migration fills rows, but runs for those of old programs, which are filled by an UPDATE once they are inserted"
            }
            Backend::Postgres | Backend::Mysql | Backend::Sqlite => return,
        };
        let table = self.contract.table();
        self.warnings.extend(self.facts.update_triggers.iter().map(|trigger| {
            format!("the trigger `{trigger}` fires on every UPDATE of `{table}`: {then}")
        }));
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
