//! PostgreSQL: views are asked of the catalog, functions are read.

use super::Objects;
use crate::{
    audit::{
        Class,
        rules::{COLUMN_GRANTS, FROZEN_VIEW, REPLICATED_TABLE, ROW_TYPE_COLUMN},
    },
    backend::Backend,
    db::{
        facts::{Catalog, FactsError, Fields, postgres::find},
        quote::literal,
    },
};

pub(super) fn examine(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
) -> Result<(), FactsError> {
    let oid = find(catalog)?.oid;
    views(catalog, objects, &oid)?;
    functions(catalog, objects, &oid)?;
    grants(catalog, objects, &oid)?;
    row_types(catalog, objects, &oid)?;
    publications(catalog, objects, &oid)
}

/// The server has written out the `*` of a view, which shows by its use of every column.
fn views(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    oid: &str,
) -> Result<(), FactsError> {
    let column = literal(Backend::Postgres, objects.column());
    let old = objects.subject.column.replaces.clone();
    let old_literal = literal(Backend::Postgres, old.as_deref().unwrap_or_default());
    let rows = catalog.ask(&format!(
        "SELECT CASE v.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || v.oid::regclass, \
           count(a.attnum) FILTER (WHERE a.attname <> {column}) = (SELECT count(*) FROM pg_attribute t \
             WHERE t.attrelid = {oid} AND t.attnum > 0 AND NOT t.attisdropped AND t.attname <> {column}) \
           AND NOT bool_or(coalesce(a.attname = {column}, false)), \
           bool_or(coalesce(a.attname = {old_literal}, false)) \
         FROM pg_class v JOIN (SELECT DISTINCT r.ev_class, d.refobjsubid FROM pg_depend d \
             JOIN pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN' \
             WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass \
               AND d.refobjid = {oid}) used ON used.ev_class = v.oid \
         LEFT JOIN pg_attribute a ON a.attrelid = {oid} AND a.attnum = used.refobjsubid AND a.attnum > 0 \
         GROUP BY v.oid, v.relkind"
    ))?;
    for row in rows {
        let mut fields = Fields::from(row);
        let (view, all, replaced) = (fields.text(), fields.yes(), fields.yes());
        if all {
            let message = format!(
                "it has every column of its table, and does not get `{}`",
                objects.column()
            );
            objects.add(&FROZEN_VIEW, Class::Silent, &view, message);
        }
        if let (Some(old), true) = (&old, replaced) {
            objects.holds_replaced(&view, old);
        }
    }
    Ok(())
}

/// Functions whose text mentions the table, and those that are triggers of it.
fn functions(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    oid: &str,
) -> Result<(), FactsError> {
    let name = literal(Backend::Postgres, objects.subject.path.table.name.as_str());
    let rows = catalog.ask(&format!(
        "SELECT 'function ' || p.oid::regprocedure, pg_get_functiondef(p.oid), \
           (SELECT string_agg(pg_get_triggerdef(t.oid), ';') FROM pg_trigger t \
            WHERE t.tgfoid = p.oid AND t.tgrelid = {oid} AND NOT t.tgisinternal) \
         FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' \
           AND p.prokind IN ('f', 'p') AND l.lanname NOT IN ('c', 'internal') \
           AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass \
             AND e.objid = p.oid AND e.deptype = 'e') \
           AND (strpos(lower(p.prosrc), lower({name})) > 0 \
             OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = p.oid AND t.tgrelid = {oid}))"
    ))?;
    for row in rows {
        let mut fields = Fields::from(row);
        let (function, definition) = (fields.text(), fields.text());
        let triggers = fields.text();
        objects.text(&function, &format!("{definition};\n{triggers}"));
    }
    Ok(())
}

/// Roles with rights on columns, and none of that kind on the table.
fn grants(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    oid: &str,
) -> Result<(), FactsError> {
    let column = literal(Backend::Postgres, objects.column());
    let rows = catalog.ask(&format!(
        "SELECT g.role, string_agg(g.right, ', ' ORDER BY g.right) FROM ( \
           SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END AS role, \
             x.privilege_type AS right \
           FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x \
           WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped AND NOT EXISTS ( \
             SELECT FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) w WHERE c.oid = {oid} \
               AND w.grantee IN (x.grantee, 0) AND w.privilege_type = x.privilege_type) \
           AND NOT EXISTS (SELECT FROM pg_attribute n CROSS JOIN LATERAL aclexplode(n.attacl) y \
             WHERE n.attrelid = {oid} AND n.attname = {column} AND NOT n.attisdropped \
               AND y.grantee IN (x.grantee, 0) AND y.privilege_type = x.privilege_type) \
         ) g GROUP BY g.role"
    ))?;
    for row in rows {
        let mut fields = Fields::from(row);
        let (role, rights) = (fields.text(), fields.text());
        let message =
            format!("it has {rights} on columns one by one, and not on `{}`", objects.column());
        objects.add(&COLUMN_GRANTS, Class::Runtime, &format!("role {role}"), message);
    }
    Ok(())
}

/// Columns of other tables that hold rows of this one.
fn row_types(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    oid: &str,
) -> Result<(), FactsError> {
    if !objects.subject.column.has_default {
        return Ok(());
    }
    let rows = catalog.ask(&format!(
        "SELECT 'column ' || u.attrelid::regclass || '.' || quote_ident(u.attname) \
         FROM pg_class c JOIN pg_type t ON t.oid = c.reltype \
         JOIN pg_attribute u ON u.atttypid IN (t.oid, t.typarray) AND u.attnum > 0 AND NOT u.attisdropped \
         JOIN pg_class h ON h.oid = u.attrelid AND h.relkind IN ('r', 'm') \
         WHERE c.oid = {oid}"
    ))?;
    for row in rows {
        let message = format!(
            "it holds rows of `{}`: PostgreSQL adds no column with a default while it is there",
            objects.subject.path.table
        );
        objects.add(&ROW_TYPE_COLUMN, Class::Runtime, &Fields::from(row).text(), message);
    }
    Ok(())
}

fn publications(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    oid: &str,
) -> Result<(), FactsError> {
    let column = literal(Backend::Postgres, objects.column());
    // Lists of columns came with 15.
    let lists = if catalog.session.server().at_least(15, 0) {
        format!(
            "(SELECT r.prattrs IS NOT NULL AND NOT EXISTS (SELECT FROM pg_attribute a \
               WHERE a.attrelid = {oid} AND a.attname = {column} AND a.attnum = ANY (r.prattrs)) \
             FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = {oid})"
        )
    } else {
        "false".to_owned()
    };
    let rows = catalog.ask(&format!(
        "SELECT 'publication ' || quote_ident(p.pubname), coalesce({lists}, false) FROM pg_publication p \
         WHERE EXISTS (SELECT FROM pg_publication_tables t JOIN pg_class c ON c.relname = t.tablename \
           JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schemaname \
           WHERE t.pubname = p.pubname AND c.oid = {oid})"
    ))?;
    for row in rows {
        let mut fields = Fields::from(row);
        let (publication, lists) = (fields.text(), fields.yes());
        let column = objects.column();
        let (class, message) = if lists {
            (Class::Silent, format!("it lists its columns, and does not publish `{column}`"))
        } else {
            let message = format!("subscribers must have `{column}` before this server does");
            (Class::Runtime, message)
        };
        objects.add(&REPLICATED_TABLE, class, &publication, message);
    }
    Ok(())
}
