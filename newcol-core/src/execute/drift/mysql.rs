//! The information schema of MySQL and MariaDB.
//!
//! There is no copy to try things on, because temporary tables reach the log of replication. So
//! types are compared as Diesel sees them, a default by its text where it is a plain literal that
//! servers print as it was written, and of any other default, of a check, a comment and a generated
//! value only whether there is one.

use super::{Part, Parts, Seen, Subject, THERE, Trigger, asked, null};
use crate::{
    backend::{Backend, Product},
    contract::Uniqueness,
    db::{
        Row, Session,
        facts::{Catalog, FactsError, mysql as facts, read_table},
    },
    execute::grants::Grants,
    plan::{Landed, Standing},
    render::text::{self, exact_literal},
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
    if let Some(shape) = &landed.column {
        planned.insert(Part::Comment, THERE.to_owned());
        if shape.inline_check {
            planned.insert(Part::Check, THERE.to_owned());
        }
        if let Some(default) = &shape.default
            && let Some(ty) = contract.sql_type(Backend::Mysql)
            && let Some(literal) = literal(ty.as_str(), default.as_str())
        {
            planned.insert(Part::Default, literal);
        }
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

/// A default that is a number or a text without escapes, where the server prints it as one.
fn literal(ty: &str, default: &str) -> Option<String> {
    const NUMBERS: [&str; 9] = [
        "int",
        "bigint",
        "smallint",
        "tinyint",
        "mediumint",
        "decimal",
        "numeric",
        "double",
        "float",
    ];
    let ty = ty.to_lowercase();
    let is_number = NUMBERS.iter().any(|number| ty.starts_with(number));
    let inner = default.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    if is_number {
        let number: f64 = inner.unwrap_or(default).trim().parse().ok()?;
        Some(number.to_string())
    } else if ty.starts_with("varchar") || ty.starts_with("char") {
        inner.filter(|text| !text.contains(['\'', '\\'])).map(|_| default.to_owned())
    } else {
        None
    }
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
        } else if let Some(default) = &column.default {
            let is_literal = seen.planned.get(&Part::Default).is_some_and(|text| text != THERE);
            let text = match literal(ty.unwrap_or_default(), default) {
                Some(literal) if is_literal => literal,
                // What cannot be compared is there; what should not be there is shown.
                _ if seen.planned.contains_key(&Part::Default) && !is_literal => THERE.to_owned(),
                _ => default.clone(),
            };
            found.insert(Part::Default, text);
        }
        if column.comment.is_some() {
            found.insert(Part::Comment, THERE.to_owned());
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
    let passed_over = match subject.product {
        Product::Mariadb => "ignored = 'YES'",
        Product::Mysql | Product::Postgres | Product::Sqlite => "is_visible = 'NO'",
    };
    let indexes = asked(
        subject,
        session.query(&format!(
            "SELECT index_name, non_unique, group_concat(column_name ORDER BY seq_in_index), \
               max({passed_over}) \
             FROM information_schema.statistics WHERE table_schema = {schema} AND table_name = {name} \
             GROUP BY index_name, non_unique"
        )),
    )?;
    let read = |row: Row| {
        let [name, non_unique, columns, passed_over] = row.try_into().ok()?;
        let is_ours = name? == subject.names.index.as_str();
        let text = match passed_over.as_deref() {
            Some("1") => "one that queries do not use".to_owned(),
            _ => index(non_unique.as_deref() == Some("0"), &columns?),
        };
        is_ours.then_some((Part::Index, text))
    };
    seen.found.extend(indexes.into_iter().filter_map(read));
    constraints(session, subject, &place.place, &mut seen)?;
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

/// The foreign key by its name, and whether any check reads the column.
fn constraints(
    session: &mut Session,
    subject: &Subject<'_>,
    facts::Place { schema, name }: &facts::Place,
    seen: &mut Seen,
) -> Result<(), FactsError> {
    let rows = asked(
        subject,
        session.query(&format!(
            "SELECT constraint_type, constraint_name FROM information_schema.table_constraints \
             WHERE table_schema = {schema} AND table_name = {name}"
        )),
    )?;
    let is = |row: &Row, kind: &str| row.first().is_some_and(|cell| cell.as_deref() == Some(kind));
    // Every table of Diesel's has one: whoever may only read is shown none.
    if !rows.iter().any(|row| is(row, "PRIMARY KEY")) {
        let mut parts = vec![Part::ForeignKey, Part::Check];
        parts.retain(|part| seen.planned.contains_key(part));
        if !parts.is_empty() {
            seen.unseen.push("constraints, for want of any privilege but SELECT");
        }
        seen.leave_out(&parts);
        return Ok(());
    }
    let ours = subject.names.foreign_key.to_string();
    if rows.iter().any(|row| is(row, "FOREIGN KEY") && row.get(1) == Some(&Some(ours.clone()))) {
        seen.found.insert(Part::ForeignKey, THERE.to_owned());
    }
    if seen.planned.contains_key(&Part::Check) {
        let quoted = text::quote(Backend::Mysql, subject.plan.contract.column().as_str());
        let of_table = match subject.product {
            Product::Mariadb => format!("AND c.table_name = {name}"),
            Product::Mysql | Product::Postgres | Product::Sqlite => format!(
                "AND EXISTS (SELECT 1 FROM information_schema.table_constraints t \
                 WHERE t.constraint_schema = c.constraint_schema AND t.table_name = {name} \
                   AND t.constraint_name = c.constraint_name AND t.constraint_type = 'CHECK')"
            ),
        };
        let checked = session.query_bool(&format!(
            "SELECT count(*) > 0 FROM information_schema.check_constraints c \
             WHERE c.constraint_schema = {schema} AND instr(c.check_clause, {}) > 0 {of_table}",
            exact_literal(Backend::Mysql, &quoted)
        ));
        if asked(subject, checked)? {
            seen.found.insert(Part::Check, THERE.to_owned());
        }
    }
    Ok(())
}
