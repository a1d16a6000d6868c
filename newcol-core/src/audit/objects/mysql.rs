//! MySQL and MariaDB: views are asked of the information schema, stored programs are read.

use super::Objects;
use crate::{
    audit::{
        Class,
        rules::{COLUMN_GRANTS, FROZEN_VIEW},
    },
    backend::Backend,
    db::{
        facts::{
            Catalog, FactsError, Fields,
            mysql::{Place, find},
        },
        quote::literal,
    },
    render::text::quote,
};

pub(super) fn examine(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
) -> Result<(), FactsError> {
    let place = find(catalog)?.place;
    views(catalog, objects, &place)?;
    programs(catalog, objects, &place)?;
    grants(catalog, objects, &place)
}

/// The server has written out the `*` of a view, which then has every column.
fn views(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    Place { schema, name }: &Place,
) -> Result<(), FactsError> {
    let column = literal(Backend::Mysql, objects.column());
    let rows = catalog.ask(&format!(
        "SELECT v.table_name, v.view_definition, NOT EXISTS (SELECT 1 FROM information_schema.columns t \
           WHERE t.table_schema = {schema} AND t.table_name = {name} AND t.column_name <> {column} \
             AND NOT EXISTS (SELECT 1 FROM information_schema.columns c WHERE c.table_schema = v.table_schema \
               AND c.table_name = v.table_name AND c.column_name = t.column_name)) \
           AND NOT EXISTS (SELECT 1 FROM information_schema.columns c WHERE c.table_schema = v.table_schema \
             AND c.table_name = v.table_name AND c.column_name = {column}) \
         FROM information_schema.views v WHERE v.table_schema = {schema}"
    ))?;
    let table = quote(Backend::Mysql, objects.subject.path.table.name.as_str());
    let old = objects.subject.column.replaces.clone();
    for row in rows {
        let mut fields = Fields::from(row);
        let (view, definition, all) = (fields.text(), fields.text(), fields.yes());
        // The server qualifies every name, and says an alias where there is one.
        if !definition.contains(&table) {
            continue;
        }
        let view = format!("view {view}");
        if all {
            let message = format!(
                "it has every column of its table, and does not get `{}`",
                objects.column()
            );
            objects.add(&FROZEN_VIEW, Class::Silent, &view, message);
        }
        if let Some(old) = &old
            && definition.contains(&format!(".{}", quote(Backend::Mysql, old)))
        {
            objects.holds_replaced(&view, old);
        }
    }
    Ok(())
}

fn programs(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    Place { schema, .. }: &Place,
) -> Result<(), FactsError> {
    let triggers = catalog.ask(&format!(
        "SELECT trigger_name, event_object_table, action_statement FROM information_schema.triggers \
         WHERE trigger_schema = {schema}"
    ))?;
    for row in triggers {
        let mut fields = Fields::from(row);
        let (name, table, body) = (fields.text(), fields.text(), fields.text());
        let table = quote(Backend::Mysql, &table);
        let text = format!("CREATE TRIGGER x AFTER UPDATE ON {table} FOR EACH ROW {body}");
        objects.text(&format!("trigger {name}"), &text);
    }
    let bodies = catalog.ask(&format!(
        "SELECT concat(lower(routine_type), ' ', routine_name), routine_definition \
         FROM information_schema.routines WHERE routine_schema = {schema} \
         UNION ALL SELECT concat('event ', event_name), event_definition \
         FROM information_schema.events WHERE event_schema = {schema}"
    ))?;
    for row in bodies {
        let mut fields = Fields::from(row);
        let (object, body) = (fields.text(), fields.text());
        objects.text(&object, &format!("CREATE PROCEDURE x() {body}"));
    }
    Ok(())
}

fn grants(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    Place { schema, name }: &Place,
) -> Result<(), FactsError> {
    let column = literal(Backend::Mysql, objects.column());
    let rows = catalog.ask(&format!(
        "SELECT p.grantee, group_concat(DISTINCT p.privilege_type ORDER BY p.privilege_type SEPARATOR ', ') \
         FROM information_schema.column_privileges p WHERE p.table_schema = {schema} AND p.table_name = {name} \
           AND NOT EXISTS (SELECT 1 FROM information_schema.column_privileges n WHERE n.grantee = p.grantee \
             AND n.table_schema = p.table_schema AND n.table_name = p.table_name \
             AND n.privilege_type = p.privilege_type AND n.column_name = {column}) \
           AND NOT EXISTS (SELECT 1 FROM information_schema.table_privileges t WHERE t.grantee = p.grantee \
             AND t.table_schema = p.table_schema AND t.table_name = p.table_name \
             AND t.privilege_type = p.privilege_type) \
         GROUP BY p.grantee"
    ))?;
    for row in rows {
        let mut fields = Fields::from(row);
        let (grantee, rights) = (fields.text(), fields.text());
        let message =
            format!("it has {rights} on columns one by one, and not on `{}`", objects.column());
        objects.add(&COLUMN_GRANTS, Class::Runtime, &format!("user {grantee}"), message);
    }
    Ok(())
}
