//! A column as the `expand` stage leaves it, without migrations on disk.

use newcol_core::{
    contract::Contract,
    db::{Session, facts::read_table},
    plan::{Plan, StageKind},
    render,
};

/// Plans a column and adds it.
pub(crate) fn expand(session: &mut Session, contract: &Contract) -> Plan {
    let facts = read_table(session, contract.table()).unwrap();
    let plan = Plan::build(contract, &facts).unwrap();
    let steps = plan.stage(StageKind::Expand).unwrap().migrations.iter().flat_map(|m| &m.steps);
    for statement in steps.flat_map(|step| render::up(step, &plan)) {
        session.batch(statement.sql.as_str()).unwrap();
    }
    plan
}
