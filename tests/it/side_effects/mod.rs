//! Law 6: filling a column changes no other, whatever the engine would do on an UPDATE; or it is
//! refused, and what the user is told to choose from helps.

mod mysql;
mod postgres;
mod sqlite;

use std::fmt::Display;

use newcol_core::{
    contract::{Contract, read},
    db::{DatabaseUrl, OpenOptions, Session},
    execute::side_effects::{Care, Refusal, SideEffects, Triggers},
    plan::Plan,
    render::text,
};
use newcol_testkit::{ScratchDb, redact::redact};

/// The trigger's functions, as `diesel setup` writes them.
pub(crate) const DIESEL_SETUP: &str = "
CREATE OR REPLACE FUNCTION diesel_manage_updated_at(_tbl regclass) RETURNS VOID AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER set_updated_at BEFORE UPDATE ON %s
                    FOR EACH ROW EXECUTE PROCEDURE diesel_set_updated_at()', _tbl);
END;
$$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION diesel_set_updated_at() RETURNS trigger AS $$
BEGIN
    IF (
        NEW IS DISTINCT FROM OLD AND
        NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at
    ) THEN
        NEW.updated_at := current_timestamp;
    END IF;
    RETURN NEW;
END;
$$ LANGUAGE plpgsql;";

const SHOUT: &str = "type = 'varchar(60)'\n[old_rows]\nfill = 'upper(name)'\n";

fn contract(body: &str) -> Contract {
    let head = "format = 1\ntable = 'users'\ncolumn = 'shout'\nwhy = 'a test'\nrequired = true\n";
    read::read(&format!("{head}{body}")).unwrap().contract
}

fn open(db: &ScratchDb) -> Session {
    open_url(db.url(), &OpenOptions::create())
}

fn open_url(url: &str, options: &OpenOptions) -> Session {
    Session::open(&DatabaseUrl::parse(url).unwrap(), options).unwrap()
}

/// Plans, and adds the column as the `expand` stage does.
fn expand(session: &mut Session, body: &str) -> Plan {
    crate::expanded::expand(session, &contract(body))
}

/// What is known afresh, judged.
fn judged(session: &mut Session, plan: &Plan, triggers: Triggers) -> Result<Care, Refusal> {
    SideEffects::read(session, plan).unwrap().care(triggers)
}

fn care(session: &mut Session, plan: &Plan, triggers: Triggers) -> Care {
    judged(session, plan, triggers).unwrap()
}

fn refusal(session: &mut Session, plan: &Plan, triggers: Triggers) -> Refusal {
    judged(session, plan, triggers).unwrap_err()
}

/// All that the user is told, or all that the engine is.
fn told(judged: &Result<Care, Refusal>) -> String {
    fn lines<T: Display>(what: &str, said: &[T]) -> String {
        said.iter().map(|said| format!("{what}: {said}\n")).collect()
    }
    let text = match judged {
        Ok(care) => [
            lines("session", &care.session),
            lines("before", &care.before),
            lines("after", &care.after),
            lines("assign", &care.assign),
            lines("notice", &care.notices),
        ]
        .concat(),
        Err(refusal) => format!("{refusal}\n{}", lines("choice", &refusal.choices())),
    };
    redact(&text)
}

/// The statement that a choice proposes to run.
fn proposed(refusal: &Refusal, choice: usize) -> String {
    let choice = refusal.choices().remove(choice);
    match choice.split_once("run `") {
        Some((_, statement)) => statement.split('`').next().unwrap().to_owned(),
        // Names in backticks leave none for the statement.
        None => choice.split_once("run ").unwrap().1.to_owned(),
    }
}

/// Fills as the batches of a job do, all at once.
fn fill(session: &mut Session, plan: &Plan, care: &Care) {
    let backend = session.backend();
    let (table, column) =
        (text::table(backend, plan.contract.table()), text::name(backend, plan.contract.column()));
    let kept = care.assign.iter().map(|c| text::name(backend, c)).map(|c| format!(", {c} = {c}"));
    let kept: String = kept.collect();
    let update = format!(
        "UPDATE {table} SET {column} = ({}){kept} WHERE {column} IS NULL",
        plan.fill().unwrap()
    );
    for statement in &care.session {
        session.batch(statement.as_str()).unwrap();
    }
    session.batch("BEGIN").unwrap();
    for statement in &care.before {
        session.batch(statement.as_str()).unwrap();
    }
    session.batch(&update).unwrap();
    for statement in &care.after {
        session.batch(statement.as_str()).unwrap();
    }
    session.batch("COMMIT").unwrap();
}

fn rows(session: &mut Session, sql: &str) -> String {
    let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    let rows = session.query(sql).unwrap().into_iter();
    rows.map(|row| row.into_iter().map(text).collect::<Vec<_>>().join(" ") + "\n").collect()
}
