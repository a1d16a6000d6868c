//! What the stages that are applied have made of a column, by the plan alone.

use super::{ColumnShape, Migration, Plan, Stage, Step};
use crate::{backend::Backend, contract::Contract};

/// A column and what hangs on it, at a moment of its life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Landed {
    /// The column; `None` before it is added.
    pub column: Option<ColumnShape>,
    /// Whether it has a comment that a step of its own wrote.
    pub comment: bool,
    /// Whether a trigger fills it for old writers.
    pub fill: bool,
    /// Whether triggers keep it and the one it replaces equal.
    pub sync: bool,
    /// The helper check that says NOT NULL.
    pub not_null_check: Standing,
    /// The wished check, where it is not part of the column.
    pub check: Standing,
    /// The foreign key, where it is not part of the column.
    pub foreign_key: Standing,
    /// Whether the index is built: the wished one, or the foreign key's.
    pub index: bool,
    /// Whether the replaced column is gone.
    pub replaced_is_gone: bool,
    /// The steps that made all of this, in order.
    pub steps: Vec<Step>,
}

/// How far a constraint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// There is none.
    #[default]
    Absent,
    /// It holds for new rows.
    NotProven,
    /// It holds for all rows.
    Proven,
}

impl Plan {
    /// Adds up the migrations of which this is said that they are applied.
    pub fn landed(&self, mut is_applied: impl FnMut(&Stage, &Migration) -> bool) -> Landed {
        let mut landed = Landed::default();
        for stage in &self.stages {
            for migration in stage.migrations.iter().filter(|m| is_applied(stage, m)) {
                for step in &migration.steps {
                    landed.land(step, &self.contract, self.backend());
                }
            }
        }
        landed
    }
}

impl Landed {
    fn land(&mut self, step: &Step, contract: &Contract, backend: Backend) {
        self.steps.push(step.clone());
        match step {
            Step::AddColumn(shape) | Step::Rebuild { to: shape, .. } => {
                self.column = Some(shape.clone());
            }
            Step::Comment => self.comment = true,
            Step::SetDefault => self.column().default = contract.default(backend).cloned(),
            Step::DropDefault => self.column().default = None,
            Step::SetNotNull => self.column().not_null = true,
            Step::CreateFill => self.fill = true,
            Step::DropFill => self.fill = false,
            Step::CreateSync => self.sync = true,
            Step::DropSync => self.sync = false,
            Step::FillLeftovers(_) => {}
            Step::AddNotNullCheck => self.not_null_check = Standing::NotProven,
            Step::ValidateNotNullCheck => self.not_null_check = Standing::Proven,
            Step::DropNotNullCheck => self.not_null_check = Standing::Absent,
            Step::AddCheck => self.check = Standing::NotProven,
            Step::ValidateCheck => self.check = Standing::Proven,
            Step::AddForeignKey if backend == Backend::Mysql => {
                self.foreign_key = Standing::Proven;
            }
            Step::AddForeignKey => self.foreign_key = Standing::NotProven,
            Step::ValidateForeignKey => self.foreign_key = Standing::Proven,
            Step::CreateIndex(_) | Step::CreatePartitionedIndex => self.index = true,
            // The index stays what it is.
            Step::AddUnique => {}
            Step::DropReplaced => self.replaced_is_gone = true,
        }
    }

    fn column(&mut self) -> &mut ColumnShape {
        self.column.get_or_insert_default()
    }
}
