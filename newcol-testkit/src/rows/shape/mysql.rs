//! The information schema of MySQL and MariaDB.

use newcol_core::backend::Product;

use super::{Catalog, Found, FoundCheck, FoundType};
use crate::{rows::RowsError, values::text_literal};

pub(super) fn read(catalog: &mut Catalog<'_>) -> Result<Found, RowsError> {
    let product = catalog.session.server().product;
    let literal = |text: &str| text_literal(product, text);
    let schema = catalog.table.schema.as_ref();
    let schema = schema.map_or("database()".to_owned(), |schema| literal(schema.as_str()));
    let name = literal(catalog.table.name.as_str());
    let here = format!("table_schema = {schema} AND table_name = {name}");
    let expression = if product == Product::Mariadb { "NULL" } else { "s.expression" };
    let parts = format!(
        "SELECT s.index_name, coalesce(nullif(c.generation_expression, ''), s.column_name, \
           {expression}), s.sub_part FROM information_schema.statistics s \
         LEFT JOIN information_schema.columns c ON c.table_schema = s.table_schema \
           AND c.table_name = s.table_name AND c.column_name = s.column_name \
         WHERE s.table_schema = {schema} AND s.table_name = {name} AND s.non_unique = 0 \
         ORDER BY s.index_name, s.seq_in_index"
    );
    let mut found = Found { uniques: catalog.uniques(&parts)?, ..Found::default() };
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
