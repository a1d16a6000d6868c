//! Every case on every server: its fate, and that the audit says it.

use std::collections::BTreeSet;

use newcol_core::{
    audit::{Class, sql::examine},
    backend::Backend,
    db::Row,
};
use newcol_testkit::Want;

use super::{
    cases::{CASES, Case, Fate},
    world::{Server, subject},
};

/// Runs a case; what it answers and leaves.
fn outcome(case: &Case, server: &mut Server, with_column: bool) -> Result<Vec<Row>, String> {
    let world = server.world(case.kind);
    world.run(case.setup);
    if !case.run.is_empty() {
        world.run(&[case.sql]);
    }
    if with_column {
        world.expand()?;
    }
    let mut session = world.session();
    let sql = if case.run.is_empty() { case.sql } else { case.run };
    let mut rows = session.query(sql).map_err(|error| format!("{error:?}"))?;
    if !case.ask.is_empty() {
        rows.extend(session.query(case.ask).unwrap());
    }
    if with_column && !case.wrong.is_empty() {
        let wrong = session.value(case.wrong).unwrap();
        rows.extend((wrong.as_deref() != Some("0")).then(|| vec![wrong]));
    }
    Ok(rows)
}

fn fate(case: &Case, server: &mut Server) -> Result<Fate, String> {
    match (outcome(case, server, false), outcome(case, server, true)) {
        (Err(error), _) => Err(format!("fails before the column comes: {error}")),
        (Ok(_), Err(_)) => Ok(Fate::Fails),
        (Ok(before), Ok(after)) if before == after => Ok(Fate::Same),
        (Ok(before), Ok(after)) => {
            let wider = |(b, a): (&Row, &Row)| a.len() == b.len() + 1 && a.starts_with(b);
            let all = before.len() == after.len() && before.iter().zip(&after).all(wider);
            Ok(if all { Fate::Wider } else { Fate::Differs })
        }
    }
}

/// Returns what is wrong with a case.
fn check(case: &Case, server: &mut Server, engine: Backend) -> Option<String> {
    let seen = fate(case, server);
    let subject = subject(case.kind, engine);
    let found = examine(case.sql, &BTreeSet::from([engine]), &subject, case.origin);
    let said: Vec<(&str, Class)> = found.iter().map(|f| (f.rule.id, f.class)).collect();
    let rules: Vec<&str> = said.iter().map(|(rule, _)| *rule).collect();
    let wanted: Vec<&str> = case.rule.into_iter().collect();
    let class = match case.fate {
        Fate::Fails => Some(Class::Runtime),
        Fate::Differs => Some(Class::Silent),
        Fate::Same | Fate::Wider => None,
    };
    let right_class = class.is_none_or(|class| said.iter().all(|(_, said)| *said == class));
    (seen != Ok(case.fate) || rules != wanted || !right_class).then(|| {
        format!(
            "{engine}: {}\n  wanted {:?} {wanted:?}, happened {seen:?}, said {said:?}",
            case.sql, case.fate
        )
    })
}

fn all(want: Want, engine: Backend) {
    let Some(mut server) = Server::new(want) else { return };
    let cases = CASES.iter().copied().flatten().filter(|case| case.is_for(engine));
    let wrong: Vec<String> = cases.filter_map(|case| check(case, &mut server, engine)).collect();
    assert!(wrong.is_empty(), "{}\n{} wrong", wrong.join("\n"), wrong.len());
}

#[test]
fn postgres_18() {
    all(Want::postgres().version(18), Backend::Postgres);
}

#[test]
fn postgres_13() {
    all(Want::postgres().version(13), Backend::Postgres);
}

#[test]
fn mysql() {
    all(Want::mysql(), Backend::Mysql);
}

#[test]
fn sqlite() {
    all(Want::sqlite(), Backend::Sqlite);
}
