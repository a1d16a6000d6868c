//! What the contract promises: which code may run when, and what the column then holds.

use newcol_core::{
    backend::Backend,
    contract::{Contract, Expr, OldRows, SqlType},
    ident::Ident,
    plan::{Gate, Plan, SchemaChange, StageKind, Step, facts::Volatility, volatility::judge},
    render::text,
};

use super::report::{Moment, Side};

/// What the column of a row must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holds {
    /// Anything: nothing is promised.
    Anything,
    /// NULL.
    Null,
    /// A value, whichever: the expression yields another one each time.
    Value,
    /// The value of an expression over the row.
    Expression {
        /// As the user wrote it.
        shown: String,
        /// A condition that is true where the row keeps the promise.
        condition: String,
    },
}

impl Holds {
    /// Writes the promise for a report.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Anything => "anything".to_owned(),
            Self::Null => "NULL".to_owned(),
            Self::Value => "a value".to_owned(),
            Self::Expression { shown, .. } => format!("the value of `{shown}`"),
        }
    }
}

/// Reports whether a release must work at a moment.
pub(super) fn is_promised(plan: &Plan, side: Side, moment: &Moment) -> bool {
    let has_begun = match side {
        Side::Old => true,
        Side::New => moment.is_after(StageKind::Expand),
        Side::Relying => relied_from(plan).is_some_and(|stage| moment.is_after(stage)),
    };
    has_begun && !is_gone(plan, side, moment)
}

/// Reports whether a release must be gone by a moment: a gate waited for that.
pub(super) fn is_gone(plan: &Plan, side: Side, moment: &Moment) -> bool {
    let gate = match side {
        Side::Old => Gate::OldWritersGone,
        Side::New => Gate::ReplacedUnused,
        Side::Relying => return false,
    };
    let waits = plan.stages.iter().find(|stage| stage.gates.contains(&gate));
    waits.is_some_and(|stage| moment.stage.is_some_and(|now| now >= stage.kind))
}

/// Returns the stage after which code may rely on the finished column: the last one that changes
/// `schema.rs`, unless that is the first.
pub(super) fn relied_from(plan: &Plan) -> Option<StageKind> {
    let last = plan.stages.iter().rev().find(|stage| {
        let relies =
            |c: &SchemaChange| matches!(c, SchemaChange::Require | SchemaChange::DropReplaced);
        stage.schema.iter().any(relies)
    });
    last.map(|stage| stage.kind)
}

/// Returns what a row holds that code without the column inserts at a moment.
pub(super) fn inserted(plan: &Plan, moment: &Moment) -> Holds {
    let (contract, backend) = (&plan.contract, plan.backend());
    let answers = contract.answers();
    if !moment.is_after(StageKind::Expand) {
        return Holds::Anything;
    }
    if let Some(generated) = answers.generated.get(backend) {
        return expression(contract, backend, generated, None);
    }
    if answers.replaces.is_some() {
        return contract
            .sql_fill(backend)
            .map_or(Holds::Anything, |fill| expression(contract, backend, fill, None));
    }
    let default = contract.default(backend);
    let served_by_trigger = has_trigger(plan);
    let over = moment.stage == Some(StageKind::Contract);
    if served_by_trigger && !over {
        let fill = contract.sql_fill(backend).or(default);
        return fill.map_or(Holds::Anything, |fill| expression(contract, backend, fill, None));
    }
    match default {
        Some(_) if over && contract.default_is_transitional() => Holds::Anything,
        // SQLite sets a default only where the whole column arrives with it, or by a rebuild.
        Some(_) if backend == Backend::Sqlite && plan.stage(StageKind::Backfill).is_some() => {
            Holds::Anything
        }
        Some(default) => expression(contract, backend, default, plan.facts.default_volatility),
        None if contract.required() && moment.is_after(StageKind::Constrain) => Holds::Anything,
        None => Holds::Null,
    }
}

/// What the column follows when code that does not know it changes a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// Nothing: it stays as it is.
    Nothing,
    /// Everything that it is computed from.
    Row,
    /// The column that it replaces, by its place among the others.
    Replaced(usize),
}

/// Returns what the column follows, given the other columns of the moment.
pub(super) fn follows(plan: &Plan, others: &[Ident]) -> Follows {
    let answers = plan.contract.answers();
    let replaced = answers.replaces.as_ref().map(|replaces| &replaces.column);
    match others.iter().position(|name| Some(name) == replaced) {
        _ if answers.generated.get(plan.backend()).is_some() => Follows::Row,
        Some(at) => Follows::Replaced(at),
        None => Follows::Nothing,
    }
}

/// Returns what the replaced column holds in rows of code that does not write it.
pub(super) fn replaced(plan: &Plan, moment: &Moment) -> Holds {
    let kept =
        moment.is_after(StageKind::Expand) && moment.stage.is_some_and(|s| s < StageKind::Contract);
    if kept { in_step(plan) } else { Holds::Anything }
}

/// Returns what a replaced column holds that is in step: what the new one yields back or, where it
/// yields the new one already, what it held.
pub(super) fn in_step(plan: &Plan) -> Holds {
    let backend = plan.backend();
    let replaces = plan.contract.answers().replaces.as_ref();
    let back = replaces.and_then(|replaces| Some((&replaces.column, replaces.back.get(backend)?)));
    let Some((column, back)) = back else { return Holds::Anything };
    let ty = plan.facts.column(column).and_then(|column| column.sql_type.as_deref());
    let mut condition = equals(backend, column, ty, back.as_str());
    if let Some(fill) = plan.contract.sql_fill(backend) {
        let ty = plan.contract.sql_type(backend).map(SqlType::as_str);
        let yields = equals(backend, plan.contract.column(), ty, fill.as_str());
        condition = format!("{condition} OR {yields}");
    }
    Holds::Expression { shown: back.to_string(), condition }
}

/// Returns what a row holds at a moment that was there before the column and was left alone.
pub(super) fn settled(plan: &Plan, moment: &Moment) -> Holds {
    let (contract, backend) = (&plan.contract, plan.backend());
    if let Some(generated) = contract.answers().generated.get(backend) {
        return if moment.is_after(StageKind::Expand) {
            expression(contract, backend, generated, None)
        } else {
            Holds::Anything
        };
    }
    let since = if plan.stage(StageKind::Backfill).is_some() {
        StageKind::Backfill
    } else {
        StageKind::Expand
    };
    if !moment.is_after(since) {
        return Holds::Anything;
    }
    let measured = plan.facts.default_volatility;
    match &contract.answers().old_rows {
        OldRows::Sql(_) => contract
            .sql_fill(backend)
            .map_or(Holds::Anything, |fill| expression(contract, backend, fill, None)),
        OldRows::Rust(_) if contract.required() => Holds::Value,
        OldRows::Rust(_) => Holds::Anything,
        OldRows::Unfilled => match contract.default(backend) {
            Some(default) => expression(contract, backend, default, measured),
            None => Holds::Null,
        },
    }
}

/// Reports whether the plan makes a trigger for old writers.
fn has_trigger(plan: &Plan) -> bool {
    let migrations = plan.stages.iter().flat_map(|stage| &stage.migrations);
    migrations.flat_map(|m| &m.steps).any(|step| matches!(step, Step::CreateFill))
}

fn expression(
    contract: &Contract,
    backend: Backend,
    expr: &Expr,
    measured: Option<Volatility>,
) -> Holds {
    if expr.is_null() {
        return Holds::Null;
    }
    match measured.unwrap_or_else(|| judge(expr, backend)) {
        Volatility::Immutable => {}
        // One that only a server can judge may still yield NULL for a row.
        Volatility::Unknown => return Holds::Anything,
        Volatility::Stable | Volatility::Volatile => return Holds::Value,
    }
    let ty = contract.sql_type(backend).map(SqlType::as_str);
    let condition = equals(backend, contract.column(), ty, expr.as_str());
    Holds::Expression { shown: expr.to_string(), condition }
}

/// Returns a condition that is true where a column holds the value of an expression.
pub(crate) fn equals(backend: Backend, column: &Ident, ty: Option<&str>, expr: &str) -> String {
    let column = text::name(backend, column);
    match (backend, ty) {
        // Cast, because the column rounds and cuts what it is given; as text, because not every
        // type has an equality.
        (Backend::Postgres, Some(ty)) => {
            format!("{column}::text IS NOT DISTINCT FROM (({expr})::{ty})::text")
        }
        (Backend::Postgres, None) => format!("{column}::text IS NOT DISTINCT FROM ({expr})::text"),
        (Backend::Mysql, _) => format!("{column} <=> ({expr})"),
        (Backend::Sqlite, _) => format!("{column} IS ({expr})"),
    }
}
