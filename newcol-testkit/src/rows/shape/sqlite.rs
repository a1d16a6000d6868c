//! SQLite's pragmas, and the checks that only the text of a table tells.

use newcol_core::{backend::Product, plan::facts::TableFacts};

use super::{Catalog, Found, FoundCheck};
use crate::{dump::sqlite::clauses, rows::RowsError, values::text_literal};

pub(super) fn read(catalog: &mut Catalog<'_>, facts: &TableFacts) -> Result<Found, RowsError> {
    let literal = |text: &str| text_literal(Product::Sqlite, text);
    let name = literal(catalog.table.name.as_str());
    let schema = catalog.table.schema.as_ref().map(|schema| literal(schema.as_str()));
    let place = schema.map_or(name.clone(), |schema| format!("{name}, {schema}"));
    let statement = facts.sqlite.as_ref();
    let attached = statement.map(|sqlite| sqlite.attached.as_slice()).unwrap_or_default();
    let create = statement.map(|sqlite| sqlite.create.as_str()).unwrap_or_default();
    let mut found = Found::default();
    // Expressions of an index stand only in its text, whose every word is looked at; those of
    // computed columns only in the text of the table.
    let computed = clauses(create, "AS").join(" ");
    let parts = catalog.uniques(&format!(
        "SELECT i.name, CASE WHEN x.cid = -2 THEN '(' || i.name WHEN c.hidden > 1 THEN '(' \
           ELSE x.name END FROM pragma_index_list({place}) i \
         JOIN pragma_index_xinfo(i.name) x LEFT JOIN pragma_table_xinfo({place}) c ON c.cid = x.cid \
         WHERE i.\"unique\" = 1 AND x.\"key\" = 1 ORDER BY i.seq, x.seqno"
    ))?;
    let written = |part: String| {
        let Some(of) = part.strip_prefix('(') else { return part };
        let index = attached.iter().find(|(name, _)| name.as_str() == of);
        index.map_or_else(|| computed.clone(), |(_, text)| text.clone())
    };
    found.uniques =
        parts.into_iter().map(|parts| parts.into_iter().map(written).collect()).collect();
    found.references = catalog.references(&format!(
        "SELECT id, '', \"table\", \"from\", \"to\" FROM pragma_foreign_key_list({place}) \
         ORDER BY id, seq"
    ))?;
    for text in clauses(create, "CHECK") {
        let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text);
        found.checks.push(FoundCheck {
            names: vec![inner.trim().to_owned()],
            text: inner.to_owned(),
            column: None,
        });
    }
    Ok(found)
}
