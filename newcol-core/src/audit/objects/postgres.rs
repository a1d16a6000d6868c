//! PostgreSQL: views are asked of the catalog, functions are read.

use super::Objects;
use crate::{
    audit::{
        Class,
        rules::{
            COLUMN_GRANTS, FROZEN_VIEW, HEIR_HAS_COLUMN, REPLICATED_TABLE, REWRITE_RULE,
            ROW_TYPE_COLUMN,
        },
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
    let name = objects.subject.path.table.to_string();
    let heirs = heirs(catalog, &oid)?;
    for (oid, name) in std::iter::once(&(oid.clone(), name)).chain(&heirs) {
        views(catalog, objects, oid)?;
        rules(catalog, objects, oid)?;
        grants(catalog, objects, (oid, name))?;
        row_types(catalog, objects, (oid, name))?;
        holders(catalog, objects, oid)?;
    }
    own_columns(catalog, objects, &oid)?;
    functions(catalog, objects, &oid)?;
    publications(catalog, objects, &oid)
}

/// The partitions and heirs of a table, with all that it is: they get the column with it.
const TREE: &str = "WITH RECURSIVE tree (id) AS (SELECT {oid}::oid \
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON t.id = i.inhparent) ";

fn tree(oid: &str) -> String {
    TREE.replace("{oid}", oid)
}

/// Partitions and heirs with objects of their own: oid and name. Of those without there may be
/// thousands.
fn heirs(catalog: &mut Catalog<'_>, oid: &str) -> Result<Vec<(String, String)>, FactsError> {
    let rows = catalog.ask(&format!(
        "{tree} SELECT c.oid, c.oid::regclass FROM tree t JOIN pg_class c ON c.oid = t.id \
         JOIN pg_type r ON r.oid = c.reltype WHERE c.oid <> {oid} AND ( \
           EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid \
             AND d.refobjsubid > 0 AND d.deptype = 'n') \
           OR c.oid IN (SELECT attrelid FROM pg_attribute WHERE attacl IS NOT NULL) \
           OR r.oid IN (SELECT atttypid FROM pg_attribute) \
           OR r.typarray IN (SELECT atttypid FROM pg_attribute)) \
         ORDER BY 2",
        tree = tree(oid)
    ))?;
    let read = |row| {
        let mut fields = Fields::from(row);
        (fields.text(), fields.text())
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Heirs that have a column of that name: it becomes the new one there, if it is of the same type.
fn own_columns(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    oid: &str,
) -> Result<(), FactsError> {
    let column = literal(Backend::Postgres, objects.column());
    let differs = match objects.subject.column.sql_types.get(&Backend::Postgres) {
        Some(ty) => format!("a.atttypid <> to_regtype({})", literal(Backend::Postgres, ty)),
        None => "false".to_owned(),
    };
    let rows = catalog.ask(&format!(
        "{tree} SELECT 'table ' || a.attrelid::regclass, coalesce({differs}, false) \
         FROM tree JOIN pg_attribute a ON a.attrelid = tree.id AND a.attname = {column} \
         WHERE NOT a.attisdropped AND NOT EXISTS (SELECT FROM pg_attribute o \
           WHERE o.attrelid = {oid} AND o.attname = {column} AND NOT o.attisdropped)",
        tree = tree(oid)
    ))?;
    for row in rows {
        let mut fields = Fields::from(row);
        let (heir, differs) = (fields.text(), fields.yes());
        let column = objects.column();
        let (class, message) = if differs {
            let message = format!(
                "its own `{column}` is of another type, and PostgreSQL refuses to add the column"
            );
            (Class::Runtime, message)
        } else {
            let message =
                format!("its own `{column}` becomes the new column, with the values it has");
            (Class::Silent, message)
        };
        objects.add(&HEIR_HAS_COLUMN, class, &heir, message);
    }
    Ok(())
}

/// The server has written out the `*` of a view, which shows by its use of every column.
fn views(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    oid: &str,
) -> Result<(), FactsError> {
    let column = literal(Backend::Postgres, objects.column());
    let rows = catalog.ask(&format!(
        "SELECT CASE v.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || v.oid::regclass, \
           count(a.attnum) FILTER (WHERE a.attname <> {column}) = (SELECT count(*) FROM pg_attribute t \
             WHERE t.attrelid = {oid} AND t.attnum > 0 AND NOT t.attisdropped AND t.attname <> {column}) \
           AND NOT bool_or(coalesce(a.attname = {column}, false)) \
         FROM pg_class v JOIN (SELECT DISTINCT r.ev_class, d.refobjsubid FROM pg_depend d \
             JOIN pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN' \
             WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass \
               AND d.refobjid = {oid}) used ON used.ev_class = v.oid \
         LEFT JOIN pg_attribute a ON a.attrelid = {oid} AND a.attnum = used.refobjsubid AND a.attnum > 0 \
         GROUP BY v.oid, v.relkind"
    ))?;
    for row in rows {
        let mut fields = Fields::from(row);
        let (view, all) = (fields.text(), fields.yes());
        if all {
            let message = format!(
                "it has every column of its table, and does not get `{}`",
                objects.column()
            );
            objects.add(&FROZEN_VIEW, Class::Silent, &view, message);
        }
    }
    Ok(())
}

/// What a rule does was written out when it was made, as a view is; one that writes instead of the
/// statement leaves out what it does not know.
fn rules(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    oid: &str,
) -> Result<(), FactsError> {
    let column = literal(Backend::Postgres, objects.column());
    let rows = catalog.ask(&format!(
        "SELECT 'rule ' || quote_ident(r.rulename) || ' on ' || r.ev_class::regclass, \
           r.is_instead AND r.ev_class = {oid} AND r.ev_type IN ('2', '3') \
         FROM pg_rewrite r WHERE r.rulename <> '_RETURN' AND pg_get_ruledef(r.oid) NOT LIKE '%DO INSTEAD NOTHING;' \
           AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_attribute a ON a.attrelid = {oid} \
             AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid \
             AND d.refclassid = 'pg_class'::regclass AND d.refobjid = {oid} AND a.attname = {column}) \
           AND (r.is_instead AND r.ev_class = {oid} AND r.ev_type IN ('2', '3') \
             OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = {oid} AND a.attnum > 0 \
               AND NOT a.attisdropped AND a.attname <> {column} AND NOT EXISTS ( \
                 SELECT FROM pg_depend d WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid \
                   AND d.refclassid = 'pg_class'::regclass AND d.refobjid = {oid} \
                   AND d.refobjsubid = a.attnum)))"
    ))?;
    for row in rows {
        let mut fields = Fields::from(row);
        let (rule, instead) = (fields.text(), fields.yes());
        let column = objects.column();
        let message = match instead {
            true => format!("it writes instead of the statement, and leaves `{column}` out"),
            false => format!("it has every column of its table, and leaves `{column}` out"),
        };
        objects.add(&REWRITE_RULE, Class::Silent, &rule, message);
    }
    Ok(())
}

/// Whatever keeps a column from being dropped: views, rules, policies, triggers of single columns,
/// foreign keys. What also depends on it automatically, as a check does, goes with it.
fn holders(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    oid: &str,
) -> Result<(), FactsError> {
    let Some(old) = objects.subject.column.replaces.clone() else { return Ok(()) };
    let column = literal(Backend::Postgres, &old);
    let rows = catalog.ask(&format!(
        "SELECT DISTINCT CASE WHEN v.oid IS NULL THEN pg_describe_object(d.classid, d.objid, 0) \
           WHEN v.relkind = 'm' THEN 'materialized view ' || v.oid::regclass \
           ELSE 'view ' || v.oid::regclass END \
         FROM pg_depend d JOIN pg_attribute a ON a.attrelid = {oid} AND a.attnum = d.refobjsubid \
         LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.rulename = '_RETURN' \
         LEFT JOIN pg_class v ON v.oid = r.ev_class \
         WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = {oid} AND d.deptype = 'n' \
           AND a.attname = {column} AND NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = d.classid \
             AND o.objid = d.objid AND o.refclassid = d.refclassid AND o.refobjid = d.refobjid \
             AND o.refobjsubid = d.refobjsubid AND o.deptype <> 'n')"
    ))?;
    for row in rows {
        objects.holds_replaced(&Fields::from(row).text(), &old);
    }
    Ok(())
}

/// Functions whose text mentions the table, and those that are triggers of it or of an heir, whose
/// rows get the column, too.
fn functions(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    oid: &str,
) -> Result<(), FactsError> {
    let name = literal(Backend::Postgres, objects.subject.path.table.name.as_str());
    let rows = catalog.ask(&format!(
        "{tree} SELECT 'function ' || p.oid::regprocedure, pg_get_functiondef(p.oid), \
           (SELECT string_agg(DISTINCT CASE t.tgrelid WHEN {oid} THEN pg_get_triggerdef(t.oid) \
              ELSE 'CREATE TRIGGER x AFTER UPDATE ON ' || {oid}::regclass \
                || ' FOR EACH ROW EXECUTE FUNCTION ' || t.tgfoid::regproc || '()' END, ';') \
            FROM pg_trigger t JOIN tree ON tree.id = t.tgrelid \
            WHERE t.tgfoid = p.oid AND NOT t.tgisinternal) \
         FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' \
           AND p.prokind IN ('f', 'p') AND l.lanname NOT IN ('c', 'internal') \
           AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass \
             AND e.objid = p.oid AND e.deptype = 'e') \
           AND (strpos(lower(p.prosrc), lower({name})) > 0 \
             OR EXISTS (SELECT FROM pg_trigger t JOIN tree ON tree.id = t.tgrelid WHERE t.tgfoid = p.oid))",
        tree = tree(oid)
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
    (oid, name): (&str, &str),
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
        let column = objects.column();
        let message =
            format!("it has {rights} on columns of `{name}` one by one, and not on `{column}`");
        objects.add(&COLUMN_GRANTS, Class::Runtime, &format!("role {role}"), message);
    }
    Ok(())
}

/// Columns of other tables that hold rows of this one.
fn row_types(
    catalog: &mut Catalog<'_>,
    objects: &mut Objects<'_>,
    (oid, name): (&str, &str),
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
            "it holds rows of `{name}`: PostgreSQL adds no column with a default while it is there"
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
