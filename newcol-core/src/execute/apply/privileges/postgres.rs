//! What a role of PostgreSQL may do.

use std::collections::BTreeMap;

use super::{DIESEL, Direction, Lack, Uses};
use crate::{
    backend::Backend,
    db::{DbError, Row, Session},
    ident::TableName,
    render::text::{self, exact_literal, quote},
};

fn quoted(name: &str) -> String {
    quote(Backend::Postgres, name)
}

fn literal(text: &str) -> String {
    exact_literal(Backend::Postgres, text)
}

/// Returns what it lacks to keep Diesel's table.
pub(super) fn bookkeeping(
    session: &mut Session,
    user: &str,
    direction: Direction,
) -> Result<Vec<Lack>, DbError> {
    let role = quoted(user);
    if session.has_migrations_table()? {
        let change = match direction {
            Direction::Up => "INSERT",
            Direction::Down => "DELETE",
        };
        let mut lacks = Vec::new();
        for (privilege, verb) in [("SELECT", "read"), (change, "write to")] {
            let ask = format!("SELECT has_table_privilege('{DIESEL}', '{privilege}')");
            if !session.query_bool(&ask)? {
                let schema = session.value(&format!(
                    "SELECT relnamespace::regnamespace FROM pg_catalog.pg_class \
                     WHERE oid = to_regclass('{DIESEL}')"
                ))?;
                lacks.push(Lack {
                    what: format!("{verb} Diesel's table `{DIESEL}`"),
                    grant: format!(
                        "GRANT SELECT, INSERT, DELETE ON {}.{DIESEL} TO {role}",
                        schema.unwrap_or_default()
                    ),
                });
            }
        }
        return Ok(lacks);
    }
    let schema = "SELECT n.nspname, n.nspname = current_schema(), \
                  has_schema_privilege(n.oid, 'USAGE'), has_schema_privilege(n.oid, 'CREATE') \
                  FROM pg_catalog.pg_namespace n, \
                  unnest(string_to_array(replace(replace(current_setting('search_path'), '\"', ''), \
                    '$user', current_user), ',')) WITH ORDINALITY AS p (name, place) \
                  WHERE n.nspname = btrim(p.name) ORDER BY p.place";
    let rows = session.query(schema)?;
    let is = |row: &Row, at: usize| row.get(at).cloned().flatten().as_deref() == Some("t");
    // Where it may use none of them, the first one is meant.
    let Some(row) = rows.iter().find(|row| is(row, 1)).or(rows.first()) else {
        return Ok(Vec::new());
    };
    let name = row.first().cloned().flatten().unwrap_or_default();
    let mut lacks = Vec::new();
    for (at, privilege, verb) in [(2, "USAGE", "use"), (3, "CREATE", "create tables in")] {
        if !is(row, at) {
            lacks.push(Lack {
                what: format!("{verb} schema `{name}`"),
                grant: format!("GRANT {privilege} ON SCHEMA {} TO {role}", quoted(&name)),
            });
        }
    }
    Ok(lacks)
}

/// Returns what it lacks to carry stages out.
pub(super) fn lacks(
    session: &mut Session,
    user: &str,
    tables: &BTreeMap<TableName, Uses>,
) -> Result<Vec<Lack>, DbError> {
    let role = quoted(user);
    let mut lacks = Vec::new();
    for (table, uses) in tables {
        schema(session, table, uses, &role, &mut lacks)?;
        if lacks.is_empty() {
            family(session, table, &role, &mut lacks)?;
            for parent in &uses.parents {
                let ask = format!(
                    "SELECT NOT has_any_column_privilege(to_regclass({}), 'REFERENCES')",
                    literal(parent)
                );
                if session.query_bool(&ask)? {
                    lacks.push(Lack {
                        what: format!("refer to {parent}"),
                        grant: format!("GRANT REFERENCES ON {parent} TO {role}"),
                    });
                }
            }
        }
        for function in &uses.drops {
            let owner = session.value(&format!(
                "SELECT o.rolname FROM pg_catalog.pg_proc p \
                 JOIN pg_catalog.pg_roles o ON o.oid = p.proowner \
                 WHERE p.oid = to_regproc({}) AND NOT pg_has_role(p.proowner, 'USAGE')",
                literal(function)
            ))?;
            if let Some(owner) = owner {
                lacks.push(Lack {
                    what: format!("drop function {function}, which `{owner}` owns"),
                    grant: format!("ALTER FUNCTION {function}() OWNER TO {role}"),
                });
            }
        }
        let plpgsql = "SELECT NOT has_language_privilege('plpgsql', 'USAGE')";
        // Two tables are locked by a block.
        let blocks = uses.creates || !uses.parents.is_empty();
        if blocks && session.query_bool(plpgsql)? {
            lacks.push(Lack {
                what: "write functions in PL/pgSQL".to_owned(),
                grant: format!("GRANT USAGE ON LANGUAGE plpgsql TO {role}"),
            });
        }
    }
    Ok(lacks)
}

/// Without the schema, its tables are not even found.
fn schema(
    session: &mut Session,
    table: &TableName,
    uses: &Uses,
    role: &str,
    lacks: &mut Vec<Lack>,
) -> Result<(), DbError> {
    let name = literal(table.name.as_str());
    let of = match &table.schema {
        Some(schema) => format!("n.nspname = {}", literal(schema.as_str())),
        // The one that is found; where none is, one of those that may not be used.
        None => format!(
            "CASE WHEN to_regclass({found}) IS NULL THEN NOT has_schema_privilege(n.oid, 'USAGE') \
             ELSE c.oid = to_regclass({found}) END",
            found = literal(&text::table(Backend::Postgres, table))
        ),
    };
    let of_table = format!(
        "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relname = {name} AND c.relkind IN ('r', 'p') AND {of}"
    );
    in_schemas(session, &of_table, uses, role, lacks)?;
    if uses.indexes && lacks.is_empty() {
        // An index of a partition stands beside it.
        let root = literal(&text::table(Backend::Postgres, table));
        let of_partitions = format!(
            "pg_catalog.pg_namespace n WHERE n.oid IN (SELECT c.relnamespace \
             FROM pg_catalog.pg_partition_tree(to_regclass({root})) t \
             JOIN pg_catalog.pg_class c ON c.oid = t.relid) ORDER BY 1"
        );
        in_schemas(session, &of_partitions, uses, role, lacks)?;
    }
    Ok(())
}

fn in_schemas(
    session: &mut Session,
    schemas: &str,
    uses: &Uses,
    role: &str,
    lacks: &mut Vec<Lack>,
) -> Result<(), DbError> {
    let rows = session.query(&format!(
        "SELECT n.nspname, has_schema_privilege(n.oid, 'USAGE'), has_schema_privilege(n.oid, 'CREATE') \
         FROM {schemas}"
    ))?;
    for row in rows {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().unwrap_or_default();
        let (name, may_use, may_create) = (next(), next() == "t", next() == "t");
        let mut lack = |what: String, privilege: &str| {
            let grant = format!("GRANT {privilege} ON SCHEMA {} TO {role}", quoted(&name));
            lacks.push(Lack { what, grant });
        };
        if !may_use {
            lack(format!("use schema `{name}`"), "USAGE");
        }
        if uses.creates && !may_create {
            lack(format!("create indexes and functions in schema `{name}`"), "CREATE");
        }
    }
    Ok(())
}

/// A table is altered by its owner only, and so are its partitions and heirs, which follow it.
fn family(
    session: &mut Session,
    table: &TableName,
    role: &str,
    lacks: &mut Vec<Lack>,
) -> Result<(), DbError> {
    let root = literal(&text::table(Backend::Postgres, table));
    let rows = session.query(&format!(
        "WITH RECURSIVE tree (id) AS (SELECT to_regclass({root})::oid UNION \
           SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = id) \
         SELECT c.oid::pg_catalog.regclass, o.rolname, o.rolsuper, pg_has_role(o.oid, 'MEMBER'), \
           pg_has_role(o.oid, 'USAGE'), \
           CASE WHEN pg_has_role(o.oid, 'USAGE') THEN (SELECT string_agg(p.name, ', ') \
             FROM unnest(ARRAY['SELECT', 'UPDATE', 'TRIGGER']) AS p (name) \
             WHERE NOT has_table_privilege(c.oid, p.name)) END \
         FROM tree JOIN pg_catalog.pg_class c ON c.oid = id \
         JOIN pg_catalog.pg_roles o ON o.oid = c.relowner \
         ORDER BY c.oid"
    ))?;
    for row in rows {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().unwrap_or_default();
        let (table, owner, superuser) = (next(), next(), next() == "t");
        let (is_member, inherits, revoked) = (next() == "t", next() == "t", next());
        if !inherits {
            // Whoever is a member of a superuser could do anything.
            let grant = if superuser {
                format!("ALTER TABLE {table} OWNER TO {role}")
            } else if !is_member {
                format!("GRANT {} TO {role}", quoted(&owner))
            } else if session.server().at_least(16, 0) {
                format!("GRANT {} TO {role} WITH INHERIT TRUE", quoted(&owner))
            } else {
                format!("ALTER ROLE {role} INHERIT")
            };
            lacks.push(Lack { what: format!("alter {table}, which `{owner}` owns"), grant });
        } else if !revoked.is_empty() {
            lacks.push(Lack {
                what: format!("use {revoked} on {table}"),
                grant: format!("GRANT {revoked} ON {table} TO {role}"),
            });
        }
    }
    Ok(())
}

/// Returns what it cannot see of others.
pub(super) fn unseen(session: &mut Session) -> Result<Vec<String>, DbError> {
    let rows = session.query(
        "SELECT quote_ident(current_user), quote_ident(current_database()), \
         pg_has_role('pg_read_all_stats', 'USAGE'), \
         has_database_privilege(current_database(), 'TEMPORARY')",
    )?;
    let mut values = rows.into_iter().flatten().map(Option::unwrap_or_default);
    let mut next = || values.next().unwrap_or_default();
    let (role, database, reads_stats, temporary) = (next(), next(), next() == "t", next() == "t");
    let mut unseen = Vec::new();
    if !reads_stats {
        unseen.push(format!(
            "{role} sees neither the statements of other users nor how old their transactions are: \
             they are named without, and long ones are met only by waiting \
             (GRANT pg_read_all_stats TO {role})"
        ));
    }
    if !temporary {
        unseen.push(format!(
            "{role} may not make temporary tables: an index that is there already is compared by its \
             name and table only (GRANT TEMPORARY ON DATABASE {database} TO {role})"
        ));
    }
    Ok(unseen)
}
