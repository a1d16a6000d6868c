//! The information schema of MySQL and MariaDB.
//!
//! There is no copy to try things on, because temporary tables reach the log of replication. So
//! types are compared as Diesel sees them, and of a default only whether there is one.

use super::{Part, Parts, Seen, Subject, THERE, Trigger, asked, null};
use crate::{
    backend::Backend,
    contract::Uniqueness,
    db::{
        Row, Session,
        facts::{Catalog, FactsError, mysql as facts, read_table},
    },
    execute::grants::Grants,
    plan::{Landed, Standing},
    schema::{
        diesel_toml::PrintSchemaConfig,
        types::{Named, TypeQuery, derive},
    },
};

pub(super) fn planned(subject: &Subject<'_>, landed: &Landed) -> Parts {
    let mut planned = subject.planned(landed);
    let contract = &subject.plan.contract;
    let wish = contract.answers().index.as_ref();
    let unique = wish.is_some_and(|wish| wish.uniqueness != Uniqueness::Plain);
    let column = contract.column().as_str();
    if landed.column.is_some()
        && let Some(ty) = contract.sql_type(Backend::Mysql)
    {
        planned.extend(as_diesel(subject, ty.as_str()).map(|text| (Part::Type, text)));
    }
    if landed.index {
        planned.insert(Part::Index, index(unique, column));
    }
    if landed.foreign_key != Standing::Absent {
        planned.insert(Part::ForeignKey, THERE.to_owned());
    }
    planned
}

fn index(unique: bool, columns: &str) -> String {
    format!("{}on {columns}", if unique { "UNIQUE " } else { "" })
}

/// The type as `print-schema` writes it, with its length.
fn as_diesel(subject: &Subject<'_>, sql: &str) -> Option<String> {
    let derived = derive(&TypeQuery {
        product: subject.product,
        sql,
        column: subject.plan.contract.path(),
        config: &PrintSchemaConfig::default(),
        named: Named::Unknown,
        default_schema: "",
    })
    .ok()?;
    let length = derived.max_length.map(|length| format!(" of {length}")).unwrap_or_default();
    Some(format!("{}{length}", derived.diesel))
}

pub(super) fn look(
    session: &mut Session,
    subject: &Subject<'_>,
    landed: &Landed,
) -> Result<Seen, FactsError> {
    let contract = &subject.plan.contract;
    let table = contract.table();
    let mut seen = Seen { planned: planned(subject, landed), ..Seen::default() };
    let facts = match read_table(session, table) {
        // What a user has no privilege for is not shown to it.
        Err(FactsError::NoTable { .. }) => {
            return Ok(Seen { unseen: vec!["the table"], ..Seen::default() });
        }
        facts => facts?,
    };
    let place = facts::find(&mut Catalog { session, table })?;
    if let Some(column) = facts.column(contract.column()) {
        let found = &mut seen.found;
        found.insert(Part::Column, THERE.to_owned());
        found.insert(Part::Null, null(!column.nullable).to_owned());
        let ty = column.sql_type.as_deref();
        found.extend(ty.and_then(|sql| as_diesel(subject, sql)).map(|text| (Part::Type, text)));
        let is_timestamp = ty.is_some_and(|ty| ty.starts_with("timestamp"));
        if column.generated {
            found.insert(Part::Generated, THERE.to_owned());
        } else if column.default.is_some() {
            found.insert(Part::Default, THERE.to_owned());
        }
        // Older servers give a time a default of their own.
        if is_timestamp && !seen.planned.contains_key(&Part::Default) {
            seen.leave_out(&[Part::Default]);
        }
        if !(seen.found.contains_key(&Part::Type) && seen.planned.contains_key(&Part::Type)) {
            seen.leave_out(&[Part::Type]);
        }
    }
    if let Some(replaces) = &contract.answers().replaces
        && facts.column(&replaces.column).is_some()
    {
        seen.found.insert(Part::Replaced, THERE.to_owned());
    }
    let facts::Place { schema, name } = &place.place;
    let indexes = asked(
        subject,
        session.query(&format!(
            "SELECT index_name, non_unique, group_concat(column_name ORDER BY seq_in_index) \
             FROM information_schema.statistics WHERE table_schema = {schema} AND table_name = {name} \
             GROUP BY index_name, non_unique"
        )),
    )?;
    let read = |row: Row| {
        let [name, non_unique, columns] = row.try_into().ok()?;
        let is_ours = name? == subject.names.index.as_str();
        is_ours.then_some((Part::Index, index(non_unique.as_deref() == Some("0"), &columns?)))
    };
    seen.found.extend(indexes.into_iter().filter_map(read));
    let keys = asked(
        subject,
        session.query(&format!(
            "SELECT constraint_name FROM information_schema.table_constraints \
             WHERE table_schema = {schema} AND table_name = {name} AND constraint_type = 'FOREIGN KEY'"
        )),
    )?;
    let is_ours = |row: &Row| row.first() == Some(&Some(subject.names.foreign_key.to_string()));
    if keys.iter().any(is_ours) {
        seen.found.insert(Part::ForeignKey, THERE.to_owned());
    }
    let grants = asked(subject, session.query(Grants::QUESTION))?;
    if !Grants::of(&grants).may("TRIGGER", &place.spelled) {
        seen.leave_out(&[Part::Fill, Part::Sync]);
        seen.unseen.push("triggers, for want of the privilege TRIGGER");
        return Ok(seen);
    }
    let there = asked(
        subject,
        session.query(&format!(
            "SELECT trigger_name, CASE action_timing WHEN 'BEFORE' THEN action_statement END \
             FROM information_schema.triggers \
             WHERE event_object_schema = {schema} AND event_object_table = {name}"
        )),
    )?;
    let read = |row: Row| {
        let [name, body] = row.try_into().ok()?;
        Some(Trigger { name: name?, body })
    };
    let there: Vec<Trigger> = there.into_iter().filter_map(read).collect();
    let names = &subject.names;
    let fill = subject.triggers(&[&names.fill], &there);
    let sync = subject.triggers(&[&names.sync_insert, &names.sync_update], &there);
    seen.found.extend(fill.map(|text| (Part::Fill, text)));
    seen.found.extend(sync.map(|text| (Part::Sync, text)));
    Ok(seen)
}
