//! Objects of the database that a new column of a table touches: views, routines, triggers, rights,
//! publications.
//!
//! Bodies that the server keeps as text are examined as any SQL is; what it has taken apart (views,
//! rights, types) is asked of its catalog. Only reads.

mod mysql;
mod postgres;
mod sqlite;

use std::collections::BTreeSet;

use super::{
    Class, Finding, Subject, Where,
    rules::{REPLACED_IN_USE, Rule},
    sql::{Origin, examine},
};
use crate::{
    backend::Backend,
    db::{
        Session,
        facts::{Catalog, FactsError},
    },
    plan::StageKind,
};

/// Returns what is found among the objects of a database.
pub fn examine_objects(
    session: &mut Session,
    subject: &Subject,
) -> Result<Vec<Finding>, FactsError> {
    let engine = session.backend();
    let mut objects = Objects { subject, engine, found: Vec::new() };
    let mut catalog = Catalog { session, table: &subject.path.table };
    match engine {
        Backend::Postgres => postgres::examine(&mut catalog, &mut objects)?,
        Backend::Mysql => mysql::examine(&mut catalog, &mut objects)?,
        Backend::Sqlite => sqlite::examine(&mut catalog, &mut objects)?,
    }
    objects.found.sort_by_key(|finding| (finding.place.to_string(), finding.rule.id));
    // What holds on to a table may hold on to its heirs, too.
    objects.found.dedup_by(|one, other| one.place == other.place && one.rule == other.rule);
    Ok(objects.found)
}

/// What is found so far.
struct Objects<'a> {
    subject: &'a Subject,
    engine: Backend,
    found: Vec<Finding>,
}

impl Objects<'_> {
    fn column(&self) -> &str {
        &self.subject.column.sql_name
    }

    /// Adds a finding that is due before the column comes.
    fn add(&mut self, rule: &'static Rule, class: Class, object: &str, message: String) {
        self.found.push(Finding {
            rule,
            class,
            due: StageKind::Expand,
            place: Where::Database(object.to_owned()),
            message,
            help: None,
            fix: None,
        });
    }

    /// Adds that an object holds on to the column that is replaced.
    fn holds_replaced(&mut self, object: &str, old: &str) {
        let message =
            format!("it uses `{old}`, which goes when `{}` has taken its place", self.column());
        self.add(&REPLACED_IN_USE, Class::Runtime, object, message);
        if let Some(last) = self.found.last_mut() {
            last.due = StageKind::Contract;
        }
    }

    /// Examines the text of an object; a rule is said once of it.
    fn text(&mut self, object: &str, text: &str) {
        let mut said: Vec<&str> = Vec::new();
        for finding in examine(text, &BTreeSet::from([self.engine]), self.subject, Origin::Object) {
            if said.contains(&finding.rule.id) {
                continue;
            }
            said.push(finding.rule.id);
            self.found.push(Finding {
                rule: finding.rule,
                class: finding.class,
                due: finding.due,
                place: Where::Database(object.to_owned()),
                message: finding.message,
                help: finding.help,
                fix: None,
            });
        }
    }
}
