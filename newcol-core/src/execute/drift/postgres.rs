//! PostgreSQL's catalog.

use super::{Part, Parts, Seen, Subject, THERE, Trigger, asked};
use crate::{
    backend::Backend,
    contract::OnDelete,
    db::{DbError, Row, Session, facts::FactsError, probe::ask_in_vain},
    ident::Ident,
    plan::{Landed, Standing},
    render::{
        self,
        text::{self, exact_literal},
    },
};

/// What the server is asked to print of a copy, too.
const PRINTED: [Part; 8] = [
    Part::Type,
    Part::Null,
    Part::Default,
    Part::Generated,
    Part::Comment,
    Part::NotNullCheck,
    Part::Check,
    Part::Index,
];

pub(super) fn look(
    session: &mut Session,
    subject: &Subject<'_>,
    landed: &Landed,
) -> Result<Seen, FactsError> {
    asked(subject, seen(session, subject, landed))
}

fn seen(session: &mut Session, subject: &Subject<'_>, landed: &Landed) -> Result<Seen, DbError> {
    let contract = &subject.plan.contract;
    let table = exact_literal(Backend::Postgres, &text::table(Backend::Postgres, contract.table()));
    let oid = session.value(&format!("SELECT to_regclass({table})::oid"))?;
    let mut seen = Seen { planned: subject.planned(landed), ..Seen::default() };
    let Some(oid) = oid else {
        // Nor can anything be planned of what is not there, but the column itself.
        seen.planned.retain(|part, _| *part == Part::Column);
        return Ok(seen);
    };
    seen.found = printed(session, subject, &oid)?;
    if landed.column.is_some() {
        let copy = text::quote(Backend::Postgres, contract.table().name.as_str());
        let copy = exact_literal(Backend::Postgres, &format!("pg_temp.{copy}"));
        let statements = render::on_copy(&landed.steps, subject.plan);
        let printed = ask_in_vain(session, &statements, |session| {
            printed(session, subject, &format!("{copy}::regclass"))
        })?;
        match printed {
            Some(printed) => seen.planned.extend(printed),
            None => {
                seen.leave_out(&PRINTED);
                seen.unseen.push("type, default, checks and index");
            }
        }
    }
    index(session, (landed, &oid), &mut seen)?;
    let there = triggers(session, &oid)?;
    let fill = subject.triggers(&[&subject.names.fill], &there);
    let sync = subject.triggers(&[&subject.names.sync], &there);
    seen.found.extend(fill.map(|text| (Part::Fill, text)));
    seen.found.extend(sync.map(|text| (Part::Sync, text)));
    foreign_key(session, subject, (landed, &oid), &mut seen)?;
    if let Some(replaces) = &contract.answers().replaces
        && has_column(session, &replaces.column, &oid)?
    {
        seen.found.insert(Part::Replaced, THERE.to_owned());
    }
    Ok(seen)
}

/// What the server prints of the column, and of the checks and indexes that hang on it.
fn printed(session: &mut Session, subject: &Subject<'_>, table: &str) -> Result<Parts, DbError> {
    let mut parts = Parts::new();
    let column = literal(subject.plan.contract.column());
    let rows = session.query(&format!(
        "SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) || coalesce(' COLLATE ' || \
           (SELECT pg_catalog.quote_ident(k.collname) FROM pg_catalog.pg_collation k \
            WHERE k.oid = a.attcollation AND k.oid <> t.typcollation), ''), \
           CASE WHEN a.attnotnull THEN 'NOT NULL' ELSE 'NULL allowed' END, \
           CASE a.attgenerated WHEN '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, \
           CASE a.attgenerated WHEN '' THEN NULL ELSE pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, \
           CASE WHEN pg_catalog.col_description(a.attrelid, a.attnum) IS NOT NULL THEN '{THERE}' END \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE a.attrelid = {table} AND a.attname = {column} AND NOT a.attisdropped"
    ))?;
    if let Some(row) = rows.into_iter().next() {
        parts.insert(Part::Column, THERE.to_owned());
        let of = [Part::Type, Part::Null, Part::Default, Part::Generated, Part::Comment];
        parts.extend(of.into_iter().zip(row).filter_map(|(part, text)| Some((part, text?))));
    }
    for (part, name) in
        [(Part::NotNullCheck, &subject.names.not_null_check), (Part::Check, &subject.names.check)]
    {
        let name = literal(name);
        let check = session.value(&format!(
            "SELECT pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint \
             WHERE conrelid = {table} AND conname = {name}"
        ))?;
        parts.extend(check.map(|text| (part, text)));
    }
    let name = subject.names.index.as_str();
    let index = indexes(session, table)?.into_iter().find(|index| index.name == name);
    parts.extend(index.map(|index| (Part::Index, index.text)));
    Ok(parts)
}

/// An index of a table.
struct Index {
    name: String,
    /// What it is, without its own name and the table's.
    text: String,
}

fn indexes(session: &mut Session, table: &str) -> Result<Vec<Index>, DbError> {
    let rows = session.query(&format!(
        "SELECT c.relname, CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, \
           pg_catalog.pg_get_indexdef(c.oid), i.indisvalid AND i.indisready AND i.indislive \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = {table}"
    ))?;
    let read = |row: Row| {
        let [name, unique, definition, valid] = row.try_into().ok()?;
        let definition = definition?;
        let from = definition.find(" USING ").map_or(0, |at| at + 1);
        let text = match valid.as_deref() {
            Some("t") => format!("{}{}", unique?, &definition[from..]),
            _ => "one that is not valid".to_owned(),
        };
        Some(Index { name: name?, text })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// What is there before its stage is taken up by the build; and the same index may have another
/// name.
fn index(
    session: &mut Session,
    (landed, oid): (&Landed, &str),
    seen: &mut Seen,
) -> Result<(), DbError> {
    let Some(planned) = seen.planned.get(&Part::Index).filter(|_| landed.index).cloned() else {
        seen.leave_out(&[Part::Index]);
        return Ok(());
    };
    if !seen.found.contains_key(&Part::Index)
        && indexes(session, oid)?.iter().any(|index| index.text == planned)
    {
        seen.found.insert(Part::Index, planned);
    }
    Ok(())
}

/// Triggers of a table with the source of their functions, where they fire as ours do.
fn triggers(session: &mut Session, oid: &str) -> Result<Vec<Trigger>, DbError> {
    // Before each row (3), on INSERT (4), or on INSERT and UPDATE (20).
    let rows = session.query(&format!(
        "SELECT t.tgname, CASE WHEN t.tgenabled IN ('O', 'A') AND t.tgtype IN (7, 23) \
           THEN p.prosrc END \
         FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid \
         WHERE t.tgrelid = {oid} AND NOT t.tgisinternal"
    ))?;
    let read = |row: Row| {
        let [name, body] = row.try_into().ok()?;
        Some(Trigger { name: name?, body })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// A temporary copy cannot have it, so it is looked at piece by piece.
fn foreign_key(
    session: &mut Session,
    subject: &Subject<'_>,
    (landed, oid): (&Landed, &str),
    seen: &mut Seen,
) -> Result<(), DbError> {
    let standing = |proven: bool| if proven { "proven" } else { "for new rows only" };
    let planned = match landed.foreign_key {
        Standing::Absent => None,
        Standing::NotProven => Some(standing(false)),
        Standing::Proven => Some(standing(true)),
    };
    seen.planned.extend(planned.map(|text| (Part::ForeignKey, text.to_owned())));
    let Some(reference) = &subject.plan.contract.answers().references else { return Ok(()) };
    let parent = text::table(Backend::Postgres, &reference.table);
    let action = match reference.on_delete {
        None | Some(OnDelete::NoAction) => "a",
        Some(OnDelete::Restrict) => "r",
        Some(OnDelete::Cascade) => "c",
        Some(OnDelete::SetNull) => "n",
        Some(OnDelete::SetDefault) => "d",
    };
    let rows = session.query(&format!(
        "SELECT k.convalidated, pg_catalog.pg_get_constraintdef(k.oid), \
           k.contype = 'f' AND k.confrelid = to_regclass({}) AND k.confdeltype = '{action}' \
           AND k.conkey = ARRAY[(SELECT attnum FROM pg_catalog.pg_attribute \
             WHERE attrelid = k.conrelid AND attname = {})] \
           AND k.confkey = ARRAY[(SELECT attnum FROM pg_catalog.pg_attribute \
             WHERE attrelid = k.confrelid AND attname = {})] \
         FROM pg_catalog.pg_constraint k WHERE k.conrelid = {oid} AND k.conname = {}",
        exact_literal(Backend::Postgres, &parent),
        literal(subject.plan.contract.column()),
        literal(&reference.column),
        literal(&subject.names.foreign_key),
    ))?;
    if let Some(row) = rows.into_iter().next() {
        let [proven, definition, is_same] = row.try_into().unwrap_or_default();
        let text = match is_same.as_deref() {
            Some("t") => standing(proven.as_deref() == Some("t")).to_owned(),
            _ => definition.unwrap_or_default(),
        };
        seen.found.insert(Part::ForeignKey, text);
    }
    Ok(())
}

fn has_column(session: &mut Session, column: &Ident, oid: &str) -> Result<bool, DbError> {
    session.query_bool(&format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute \
         WHERE attrelid = {oid} AND attname = {} AND NOT attisdropped)",
        literal(column)
    ))
}

fn literal(name: &Ident) -> String {
    exact_literal(Backend::Postgres, name.as_str())
}
