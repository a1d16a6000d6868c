//! SQLite's schema table, which keeps what was written.

use super::{Part, Parts, Seen, Subject, THERE, Trigger, asked, null};
use crate::{
    backend::Backend,
    contract::{OnDelete, Uniqueness},
    db::{
        Session,
        facts::{FactsError, read_table},
    },
    plan::Landed,
    render::text::exact_literal,
};

pub(super) fn look(
    session: &mut Session,
    subject: &Subject<'_>,
    landed: &Landed,
) -> Result<Seen, FactsError> {
    let contract = &subject.plan.contract;
    let mut seen = Seen { planned: planned(subject, landed), ..Seen::default() };
    let facts = match read_table(session, contract.table()) {
        Err(FactsError::NoTable { .. }) => {
            seen.planned.retain(|part, _| *part == Part::Column);
            return Ok(seen);
        }
        facts => facts?,
    };
    let found = &mut seen.found;
    if let Some(column) = facts.column(contract.column()) {
        found.insert(Part::Column, THERE.to_owned());
        found.insert(Part::Null, null(!column.nullable).to_owned());
        found.extend(column.sql_type.as_deref().map(|ty| (Part::Type, plain(ty))));
        if column.generated {
            found.insert(Part::Generated, THERE.to_owned());
        } else {
            found.extend(column.default.as_deref().map(|text| (Part::Default, plain(text))));
        }
    }
    if let Some(replaces) = &contract.answers().replaces
        && facts.column(&replaces.column).is_some()
    {
        found.insert(Part::Replaced, THERE.to_owned());
    }
    if let Some(reference) = foreign_key(session, subject)? {
        found.insert(Part::ForeignKey, reference);
    }
    let (create, attached) =
        facts.sqlite.map(|table| (table.create, table.attached)).unwrap_or_default();
    // The table's own statement keeps what was written.
    let check = contract.answers().check.get(Backend::Sqlite);
    if check.is_some_and(|check| plain(&create).contains(&plain(check.as_str()))) {
        found.insert(Part::Check, THERE.to_owned());
    }
    let mut triggers = Vec::new();
    for (name, sql) in attached {
        // It is kept from its name on, as it was written.
        let from = |start: &str| sql.strip_prefix(start).map(str::to_owned);
        if let Some(body) = from("CREATE TRIGGER ") {
            triggers.push(Trigger { name: name.to_string(), body: Some(body) });
        } else if name == subject.names.index {
            let text = match from("CREATE UNIQUE INDEX ").or_else(|| from("CREATE INDEX ")) {
                Some(text) if subject.scripts.contains(&text) => unique(sql.contains(" UNIQUE ")),
                _ => sql,
            };
            found.insert(Part::Index, text);
        }
    }
    let names = &subject.names;
    let sync = [&names.sync_insert, &names.sync_update, &names.sync_back];
    found.extend(subject.triggers(&[&names.fill], &triggers).map(|text| (Part::Fill, text)));
    found.extend(subject.triggers(&sync, &triggers).map(|text| (Part::Sync, text)));
    Ok(seen)
}

fn planned(subject: &Subject<'_>, landed: &Landed) -> Parts {
    let mut planned = subject.planned(landed);
    let contract = &subject.plan.contract;
    let Some(shape) = &landed.column else { return planned };
    let ty = contract.sql_type(Backend::Sqlite);
    planned.extend(ty.map(|ty| (Part::Type, plain(ty.as_str()))));
    let default = shape.default.as_ref().map(ToString::to_string);
    planned.extend(default.map(|text| (Part::Default, plain(&text))));
    if shape.inline_check {
        planned.insert(Part::Check, THERE.to_owned());
    }
    if let Some(reference) =
        contract.answers().references.as_ref().filter(|_| shape.inline_reference)
    {
        let action = reference.on_delete.unwrap_or(OnDelete::NoAction).name().to_uppercase();
        planned.insert(Part::ForeignKey, to(reference.table.name.as_str(), &action));
    }
    if landed.index {
        let wish = contract.answers().index.clone().unwrap_or_default();
        planned.insert(Part::Index, unique(wish.uniqueness != Uniqueness::Plain));
    }
    planned
}

fn unique(unique: bool) -> String {
    format!("{}as released", if unique { "UNIQUE, " } else { "" })
}

/// What the column references in the database, where it is one column of one table.
fn foreign_key(session: &mut Session, subject: &Subject<'_>) -> Result<Option<String>, FactsError> {
    let contract = &subject.plan.contract;
    let table = contract.table();
    let literal = |text: &str| exact_literal(Backend::Sqlite, text);
    let schema = table.schema.as_ref().map(|schema| format!(", {}", literal(schema.as_str())));
    let found = session.query(&format!(
        "SELECT \"table\", on_delete FROM pragma_foreign_key_list({}{}) \
         WHERE \"from\" = {} COLLATE NOCASE",
        literal(table.name.as_str()),
        schema.unwrap_or_default(),
        literal(contract.column().as_str()),
    ));
    let first = asked(subject, found)?.into_iter().next();
    Ok(first.and_then(|row| {
        let [parent, action] = row.try_into().ok()?;
        Some(to(&parent?, &action?))
    }))
}

fn to(parent: &str, action: &str) -> String {
    format!("to {} ON DELETE {action}", parent.to_lowercase())
}

/// Without what SQLite may print otherwise than it was written: case and spaces.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
