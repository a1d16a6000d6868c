//! What the migrations say of a table that `schema.rs` does not.

use crate::{
    backend::Backend,
    ident::TableName,
    sql::{Statement, statements},
};

/// Returns what hinders plain rows in a table, in the words of its migrations.
pub(super) fn obstacle(
    history: &[String],
    backend: Backend,
    table: &TableName,
) -> Option<&'static str> {
    let name = table.name.as_str().to_lowercase();
    let all: Vec<Statement> = history.iter().flat_map(|text| statements(text, backend)).collect();
    let creates = |one: &&Statement| one.name_after(&["TABLE"]).as_ref() == Some(&name);
    let about: Vec<&Statement> = all.iter().filter(creates).collect();
    if !about.iter().any(|one| one.starts(&["CREATE"])) {
        return Some("no migration creates it under its name");
    }
    if all.iter().any(|one| is_trigger_on(one, &name)) {
        return Some("it has triggers");
    }
    about.into_iter().find_map(within)
}

fn is_trigger_on(one: &Statement, table: &str) -> bool {
    let trigger = one.words().iter().any(|word| word == "TRIGGER")
        && one.names_after(&["ON"]).any(|name| name == table);
    trigger || one.calls_with("diesel_manage_updated_at", table)
}

fn within(one: &Statement) -> Option<&'static str> {
    let words = one.words();
    let has = |word: &str| words.iter().any(|w| w == word);
    if has("REFERENCES") {
        Some("its rows need rows of other tables")
    } else if has("CHECK") || has("EXCLUDE") {
        Some("it has constraints of its own")
    } else if words.windows(2).any(|pair| pair == ["GENERATED", "ALWAYS"]) || has("AS") {
        Some("the database generates some of its values")
    } else {
        None
    }
}
