//! Every case on every server: its fate, and that the audit says it.

use std::collections::BTreeSet;

use newcol_core::{
    audit::{Class, Edit, sql::examine},
    backend::Backend,
    db::Row,
};
use newcol_testkit::Want;

use super::{
    cases::{CASES, Case, Fate},
    world::{Server, subject},
};

/// Runs a case; what it answers and leaves.
fn outcome(
    case: &Case,
    text: &str,
    server: &mut Server,
    with_column: bool,
) -> Result<Vec<Row>, String> {
    let world = server.world(case.kind);
    world.run(case.setup);
    if !case.run.is_empty() {
        world.run(&[text]);
    }
    if with_column {
        world.expand()?;
    }
    let mut session = world.session();
    let sql = if case.run.is_empty() { text } else { case.run };
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

fn fate(case: &Case, text: &str, server: &mut Server) -> Result<Fate, String> {
    match (outcome(case, case.sql, server, false), outcome(case, text, server, true)) {
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

/// Returns what is wrong with a case that its fix has mended.
fn check_mended(case: &Case, server: &mut Server, engine: Backend) -> Option<String> {
    let (subject, engines) = (subject(case.kind, engine), BTreeSet::from([engine]));
    let found = examine(case.sql, &engines, &subject, case.origin);
    let mut edits: Vec<&Edit> = found.iter().flat_map(|f| &f.fix).flat_map(|f| &f.edits).collect();
    edits.sort_by_key(|edit| edit.range.start);
    let mut text = case.sql.to_owned();
    for edit in edits.into_iter().rev() {
        text.replace_range(edit.range.clone(), &edit.text);
    }
    let left = examine(&text, &engines, &subject, case.origin);
    let seen = fate(case, &text, server);
    let mended = left.is_empty() && matches!(seen, Ok(Fate::Same | Fate::Wider));
    (!mended).then(|| format!("{engine}: {text}\n  is no mend: {seen:?}, said {left:?}"))
}

/// Returns what is wrong with a case.
fn check(case: &Case, server: &mut Server, engine: Backend) -> Option<String> {
    let seen = fate(case, case.sql, server);
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
    let (mut wrong, mut mended) = (Vec::new(), 0);
    for case in cases {
        wrong.extend(check(case, &mut server, engine));
        let subject = subject(case.kind, engine);
        let found = examine(case.sql, &BTreeSet::from([engine]), &subject, case.origin);
        if found.iter().any(|finding| finding.fix.is_some()) {
            mended += 1;
            wrong.extend(check_mended(case, &mut server, engine));
        }
    }
    eprintln!("{engine}: {mended} cases have a fix");
    assert!(mended > 5, "{mended} cases have a fix");
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
