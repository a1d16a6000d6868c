//! The information schema of MySQL and MariaDB.

use newcol_core::backend::Product;

use super::{Catalog, Found, FoundCheck, FoundType};
use crate::{rows::RowsError, values::text_literal};

pub(super) fn read(catalog: &mut Catalog<'_>) -> Result<Found, RowsError> {
    let product = catalog.session.server().product;
    let literal = |text: &str| text_literal(product, text);
    // The information schema finds a table by its name only where both names are constants.
    let schema = match &catalog.table.schema {
        Some(schema) => literal(schema.as_str()),
        None => literal(&catalog.ask("SELECT database()")?.concat().concat()),
    };
    let name = literal(catalog.table.name.as_str());
    let here = format!("table_schema = {schema} AND table_name = {name}");
    let expression = if product == Product::Mariadb { "NULL" } else { "expression" };
    let parts = format!(
        "SELECT index_name, coalesce(column_name, {expression}), sub_part \
         FROM information_schema.statistics WHERE {here} AND non_unique = 0 \
         ORDER BY index_name, seq_in_index"
    );
    let computed = catalog.ask(&format!(
        "SELECT column_name, generation_expression FROM information_schema.columns \
         WHERE {here} AND generation_expression <> ''"
    ))?;
    let written = |part: String| {
        let column = computed.iter().find(|row| row.first() == Some(&part));
        column.and_then(|row| row.get(1).cloned()).unwrap_or(part)
    };
    let uniques = catalog.uniques(&parts)?.into_iter();
    let mut found = Found {
        uniques: uniques.map(|parts| parts.into_iter().map(written).collect()).collect(),
        ..Found::default()
    };
    for row in catalog.ask(&parts)? {
        if let [_, column, length] = row.as_slice()
            && let Ok(length) = length.parse()
        {
            found.prefixes.push((column.clone(), length));
        }
    }
    found.references = catalog.references(&format!(
        "SELECT constraint_name, CASE WHEN referenced_table_schema = database() THEN '' \
           ELSE referenced_table_schema END, referenced_table_name, column_name, \
           referenced_column_name \
         FROM information_schema.key_column_usage \
         WHERE {here} AND referenced_table_name IS NOT NULL \
         ORDER BY constraint_name, ordinal_position"
    ))?;
    let checks = if product == Product::Mariadb {
        format!(
            "SELECT constraint_name, check_clause FROM information_schema.check_constraints \
             WHERE constraint_schema = {schema} AND table_name = {name}"
        )
    } else {
        format!(
            "SELECT k.constraint_name, k.check_clause \
             FROM information_schema.table_constraints c \
             JOIN information_schema.check_constraints k \
               ON k.constraint_schema = c.constraint_schema \
              AND k.constraint_name = c.constraint_name \
             WHERE c.table_schema = {schema} AND c.table_name = {name} \
               AND c.constraint_type = 'CHECK' AND c.enforced = 'YES'"
        )
    };
    for row in catalog.ask(&checks)? {
        let [check, text] = row.as_slice() else { continue };
        // MariaDB's JSON is text with this check.
        let json = text.strip_prefix("json_valid(`").and_then(|rest| rest.strip_suffix("`)"));
        if let (Product::Mariadb, Some(column)) = (product, json) {
            found.types.push(FoundType {
                column: column.to_owned(),
                ty: "json".to_owned(),
                labels: Vec::new(),
                domain: None,
            });
            continue;
        }
        let table = catalog.table.name.as_str();
        found.checks.push(FoundCheck {
            names: vec![format!("`{check}`"), format!("'{check}'"), format!("`{table}.{check}`")],
            // MySQL stores the quotes of texts escaped.
            text: text.replace("\\'", "'"),
            column: None,
        });
    }
    Ok(found)
}
