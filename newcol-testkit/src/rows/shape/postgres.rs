//! PostgreSQL's catalog.

use newcol_core::{
    backend::{Backend, Product},
    ident::Ident,
    render::text,
};

use super::{Catalog, Found, FoundCheck, FoundType};
use crate::{rows::RowsError, values::text_literal};

/// Goes from the types in `{start}` through domains and arrays to the types under them.
const TYPES: &str = "
    WITH RECURSIVE layer(id, depth, type, modifier, dims) AS (
      {start}
      UNION ALL
      SELECT l.id, l.depth + 1,
        CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END,
        CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE l.modifier END,
        l.dims + CASE t.typtype WHEN 'd' THEN 0 ELSE 1 END
      FROM layer l JOIN pg_catalog.pg_type t ON t.oid = l.type
      WHERE t.typtype = 'd' OR (t.typcategory = 'A' AND t.typelem <> 0 AND t.typlen = -1))";

/// One row per column: its name, the type under it, and its domain.
const UNDER: &str = "
    SELECT DISTINCT ON (l.id) l.id,
      pg_catalog.format_type(l.type, l.modifier) || CASE WHEN l.dims > 0 THEN '[]' ELSE '' END,
      (SELECT pg_catalog.format_type(d.oid, NULL) FROM layer f
         JOIN pg_catalog.pg_type d ON d.oid = f.type AND d.typtype = 'd'
         WHERE f.id = l.id AND f.depth = 0)
    FROM layer l ORDER BY l.id, l.depth DESC";

/// Labels of enums, one row each.
const LABELS: &str = "
    SELECT DISTINCT l.id, e.enumlabel, e.enumsortorder
    FROM layer l JOIN pg_catalog.pg_enum e ON e.enumtypid = l.type ORDER BY 1, 3";

const DOMAIN_CHECKS: &str = "
    SELECT DISTINCT k.conname, pg_catalog.pg_get_constraintdef(k.oid), l.id
    FROM layer l JOIN pg_catalog.pg_constraint k ON k.contypid = l.type AND k.contype = 'c'";

pub(super) fn read(catalog: &mut Catalog<'_>) -> Result<Found, RowsError> {
    let name = text_literal(Product::Postgres, &text::table(Backend::Postgres, catalog.table));
    let oid = catalog.ask(&format!("SELECT to_regclass({name})::oid"))?;
    let oid = oid.into_iter().flatten().next().filter(|oid| !oid.is_empty());
    let oid = oid.ok_or_else(|| catalog.missing())?;
    let start = format!(
        "SELECT a.attname::text, 0, a.atttypid, a.atttypmod, 0 FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped"
    );
    let mut found = Found { types: types(catalog, &start)?, ..Found::default() };
    // Exclusion constraints forbid what overlaps; values that are unique do not.
    found.uniques = catalog.uniques(&format!(
        "SELECT i.indexrelid, CASE WHEN a.attgenerated = '' THEN a.attname::text \
           WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) \
           ELSE pg_catalog.pg_get_indexdef(i.indexrelid, k.at::int, true) END \
         FROM pg_catalog.pg_index i CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY k(num, at) \
         LEFT JOIN pg_catalog.pg_attribute a \
           ON a.attrelid = i.indrelid AND a.attnum = k.num AND k.num > 0 \
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE i.indrelid = {oid} AND (i.indisunique OR i.indisexclusion) \
           AND k.at <= i.indnkeyatts ORDER BY i.indexrelid, k.at"
    ))?;
    found.references = catalog.references(&format!(
        "SELECT k.oid, CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN '' \
           ELSE n.nspname::text END, c.relname, h.attname, t.attname \
         FROM pg_catalog.pg_constraint k \
         CROSS JOIN unnest(k.conkey, k.confkey) WITH ORDINALITY p(here, there, at) \
         JOIN pg_catalog.pg_class c ON c.oid = k.confrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute h ON h.attrelid = k.conrelid AND h.attnum = p.here \
         JOIN pg_catalog.pg_attribute t ON t.attrelid = k.confrelid AND t.attnum = p.there \
         WHERE k.conrelid = {oid} AND k.contype = 'f' AND NOT c.relispartition \
         ORDER BY k.oid, p.at"
    ))?;
    // The bounds of partitions work like a check, and their texts hold values inside them.
    let checks = catalog.ask(&format!(
        "SELECT k.conname::text, pg_catalog.pg_get_expr(k.conbin, k.conrelid), '' \
         FROM pg_catalog.pg_constraint k WHERE k.conrelid = {oid} AND k.contype = 'c' \
         UNION ALL SELECT 'no partition of relation', concat(pg_catalog.pg_get_partkeydef({oid}), \
           (SELECT string_agg(concat(' ', pg_catalog.pg_get_expr(c.relpartbound, c.oid)), '') \
            FROM pg_catalog.pg_partition_tree({oid}) t \
            JOIN pg_catalog.pg_class c ON c.oid = t.relid AND t.level > 0)), '' \
         WHERE pg_catalog.pg_get_partkeydef({oid}) IS NOT NULL \
         UNION ALL SELECT 'violates partition constraint', \
           pg_catalog.pg_get_partition_constraintdef({oid}), '' \
         WHERE pg_catalog.pg_get_partition_constraintdef({oid}) IS NOT NULL"
    ))?;
    found.checks = checks.into_iter().filter_map(check).collect();
    found.checks.extend(domain_checks(catalog, &start)?);
    Ok(found)
}

/// Reads what stands behind the type of a column that is not there yet, where it is an enum or a
/// domain.
pub(super) fn read_type(
    catalog: &mut Catalog<'_>,
    column: &Ident,
    sql: &str,
) -> Result<Found, RowsError> {
    let start = format!(
        "SELECT {}::text, 0, t.oid, -1, 0 FROM pg_catalog.pg_type t \
         WHERE t.oid = to_regtype({}) AND t.typtype IN ('d', 'e')",
        text_literal(Product::Postgres, column.as_str()),
        text_literal(Product::Postgres, sql)
    );
    Ok(Found {
        types: types(catalog, &start)?,
        checks: domain_checks(catalog, &start)?,
        ..Found::default()
    })
}

fn domain_checks(catalog: &mut Catalog<'_>, start: &str) -> Result<Vec<FoundCheck>, RowsError> {
    let layers = TYPES.replace("{start}", start);
    Ok(catalog.ask(&format!("{layers} {DOMAIN_CHECKS}"))?.into_iter().filter_map(check).collect())
}

fn types(catalog: &mut Catalog<'_>, start: &str) -> Result<Vec<FoundType>, RowsError> {
    let layers = TYPES.replace("{start}", start);
    let labels = catalog.ask(&format!("{layers} {LABELS}"))?;
    let under = catalog.ask(&format!("{layers} {UNDER}"))?;
    let read = under.into_iter().filter_map(|row| {
        let [column, ty, domain] = <[String; 3]>::try_from(row).ok()?;
        let of_column = labels.iter().filter(|label| label.first() == Some(&column));
        Some(FoundType {
            labels: of_column.filter_map(|label| label.get(1).cloned()).collect(),
            column,
            ty,
            domain: Some(domain).filter(|domain| !domain.is_empty()),
        })
    });
    Ok(read.collect())
}

fn check(row: Vec<String>) -> Option<FoundCheck> {
    let [name, text, column] = <[String; 3]>::try_from(row).ok()?;
    let names = if name.contains(' ') && column.is_empty() {
        vec![name]
    } else {
        vec![format!("\"{name}\"")]
    };
    let column = Some(column).filter(|column| !column.is_empty());
    Some(FoundCheck { names, text, column })
}
