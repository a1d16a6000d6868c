//! PostgreSQL: the catalog and `pg_stats`, 13 and later.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        Column, Constraint, ConstraintKind, Definition, Index, Profile, References, Size,
        Statistics, VERSION,
    },
    TakeError,
    array::elements,
    hide::Hide,
};
use crate::{
    backend::{Backend, Server},
    db::DbError,
    ident::TableName,
    render::text::quote,
    watch::session::{Fields, Reading, table_query},
};

/// What decides the price of reading and writing.
const SETTINGS: &[&str] = &[
    "autovacuum",
    "bgwriter_delay",
    "bgwriter_lru_maxpages",
    "checkpoint_completion_target",
    "checkpoint_timeout",
    "commit_delay",
    "default_statistics_target",
    "default_toast_compression",
    "effective_cache_size",
    "effective_io_concurrency",
    "fsync",
    "full_page_writes",
    "huge_pages",
    "jit",
    "maintenance_work_mem",
    "max_connections",
    "max_parallel_maintenance_workers",
    "max_wal_size",
    "min_wal_size",
    "random_page_cost",
    "shared_buffers",
    "synchronous_commit",
    "synchronous_standby_names",
    "wal_buffers",
    "wal_compression",
    "wal_level",
    "wal_log_hints",
    "work_mem",
];

struct Table {
    oid: String,
    schema: String,
    name: String,
    is_visible: bool,
}

pub(super) fn read(
    reading: &mut Reading<'_>,
    table: &TableName,
    hide: &Hide,
) -> Result<Profile, TakeError> {
    let mut fields = Fields::of(reading.rows(&format!(
        "SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', pg_table_is_visible(c.oid), version(), \
         (SELECT option_value FROM pg_options_to_table(c.reloptions) \
         WHERE option_name = 'fillfactor'), \
         c.reltuples, c.relpages, c.relallvisible, current_setting('block_size'), \
         (SELECT t.relpages FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid), \
         (SELECT sum(i.relpages) FROM pg_catalog.pg_index x \
         JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid), \
         (SELECT p.inhrelid::regclass FROM pg_catalog.pg_inherits p WHERE p.inhparent = c.oid LIMIT 1) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid = {}",
        table_query(table)
    ))?);
    let Some(oid) = fields.maybe() else {
        return Err(TakeError::NoTable { table: table.clone() });
    };
    let (schema, name) = (fields.text(), fields.text());
    let (is_partitioned, is_visible) = (fields.is_true(), fields.is_true());
    let server = Server::parse(Backend::Postgres, &fields.text());
    let server = server.unwrap_or_else(|| Server::oldest(Backend::Postgres));
    let fillfactor = fields.maybe_number();
    let rows: f64 = fields.number();
    let size = Size {
        rows: rows.max(0.0),
        pages: fields.maybe_number(),
        all_visible: fields.maybe_number(),
        page_bytes: fields.maybe_number(),
        toast_pages: fields.maybe_number(),
        index_pages: fields.maybe_number(),
    };
    if is_partitioned {
        return Err(TakeError::Partitioned { table: table.clone(), example: fields.maybe() });
    }
    let table = Table { oid, schema, name, is_visible };
    let mut unread = Vec::new();
    // PostgreSQL 13 says 0 of a table that was never counted, later ones say -1.
    if rows < 0.0 || (rows == 0.0 && size.pages == Some(0.0)) {
        unread.push("how many rows the table has is not known: it was never analyzed".to_owned());
    }
    let mut definition = Definition { fillfactor, ..Definition::default() };
    let columns = columns(reading, &table, &mut definition, (hide, &mut unread))?;
    constraints(reading, &table, &mut definition)?;
    indexes(reading, &table, &mut definition)?;
    let rows = reading.rows(&format!(
        "SELECT tgname FROM pg_catalog.pg_trigger WHERE tgrelid = {} AND NOT tgisinternal ORDER BY 1",
        table.oid
    ))?;
    definition.triggers = rows.into_iter().map(|row| Fields::from(row).text()).collect();
    Ok(Profile {
        version: VERSION,
        server: server.to_string(),
        table: table.named(),
        definition,
        size,
        columns,
        settings: settings(reading)?,
        unread,
    })
}

impl Table {
    /// Returns the name by which queries know it.
    fn named(&self) -> String {
        let part = |name: &str| match name {
            plain if !plain.contains(['.', '"']) => plain.to_owned(),
            odd => quote(Backend::Postgres, odd),
        };
        if self.is_visible && self.schema == "public" {
            part(&self.name)
        } else {
            format!("{}.{}", part(&self.schema), part(&self.name))
        }
    }

    fn quoted(&self) -> String {
        let quote = |name| quote(Backend::Postgres, name);
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

fn columns(
    reading: &mut Reading<'_>,
    table: &Table,
    definition: &mut Definition,
    (hide, unread): (&Hide, &mut Vec<String>),
) -> Result<Vec<Column>, DbError> {
    let rows = reading.rows(&format!(
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
         (WITH RECURSIVE under AS (SELECT t.oid, t.typtype, t.typbasetype, a.atttypmod AS typmod, \
         t.typtypmod FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid UNION ALL \
         SELECT t.oid, t.typtype, t.typbasetype, u.typtypmod, t.typtypmod FROM under u \
         JOIN pg_catalog.pg_type t ON t.oid = u.typbasetype WHERE u.typtype = 'd') \
         SELECT pg_catalog.format_type(oid, typmod) FROM under WHERE typtype <> 'd'), \
         (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder)::text \
         FROM pg_catalog.pg_enum e WHERE e.enumtypid = a.atttypid), \
         NOT a.attnotnull, a.attgenerated <> '', a.attidentity <> '', \
         pg_catalog.pg_get_expr(d.adbin, d.adrelid), \
         CASE WHEN a.attcollation <> 0 AND a.attcollation <> ty.typcollation \
         THEN a.attcollation::regcollation::text END, \
         has_column_privilege(c.oid, a.attnum, 'SELECT') AND (NOT c.relrowsecurity \
         OR NOT pg_catalog.row_security_active(c.oid)), a.atttypid, \
         CASE WHEN a.attstorage <> ty.typstorage THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN' \
         WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END, \
         pg_catalog.pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_type ty ON ty.oid = a.atttypid \
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE a.attrelid = {} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        table.oid
    ))?;
    let mut statistics = statistics(reading, table, hide)?;
    let mut types = BTreeSet::new();
    let mut columns = Vec::new();
    let mut written = Vec::new();
    let mut after = Vec::new();
    for row in rows {
        let mut fields = Fields::from(row);
        let (name, sql_type, base_type) = (fields.text(), fields.text(), fields.text());
        let labels = elements(&fields.text());
        let (is_nullable, is_generated) = (fields.is_true(), fields.is_true());
        let is_identity = fields.is_true();
        let default = fields.maybe();
        let collation = fields.maybe();
        let is_readable = fields.is_true();
        types.insert(fields.text());
        let storage = fields.maybe();
        let sequence = fields.maybe();
        let quoted = quote(Backend::Postgres, &name);
        let mut line = format!("{quoted} {sql_type}");
        if let Some(collation) = collation {
            line.extend([" COLLATE ", &collation]);
        }
        if let (true, Some(expression)) = (is_generated, &default) {
            line.extend([" GENERATED ALWAYS AS (", expression, ") STORED"]);
        }
        if is_identity {
            line.push_str(" GENERATED BY DEFAULT AS IDENTITY");
        }
        if !is_nullable {
            line.push_str(" NOT NULL");
        }
        written.push(line);
        if let Some(storage) = storage {
            let quoted_table = table.quoted();
            after.push(format!(
                "ALTER TABLE {quoted_table} ALTER COLUMN {quoted} SET STORAGE {storage}"
            ));
        }
        if let Some(expression) = default.filter(|_| !is_generated) {
            if let Some(sequence) = sequence.filter(|_| !is_identity) {
                definition.needs.push(format!("CREATE SEQUENCE IF NOT EXISTS {sequence}"));
            }
            let quoted_table = table.quoted();
            after.push(format!(
                "ALTER TABLE {quoted_table} ALTER COLUMN {quoted} SET DEFAULT {expression}"
            ));
        }
        let statistics = statistics.remove(&name);
        if statistics.is_none() {
            unread.push(if is_readable {
                format!("there are no statistics of `{name}`: it was never analyzed, or its type cannot be")
            } else {
                format!("the role may not read `{name}`: nothing is known of its values")
            });
        }
        columns.push(Column {
            name,
            sql_type,
            base_type,
            labels,
            is_nullable,
            is_generated,
            statistics,
        });
    }
    let mut needs = needs(reading, table, &types)?;
    needs.append(&mut definition.needs);
    definition.needs = needs;
    let with = definition.fillfactor.map(|f| format!(" WITH (fillfactor = {f})"));
    definition.table = format!(
        "CREATE TABLE {} (\n  {}\n){}",
        table.quoted(),
        written.join(",\n  "),
        with.unwrap_or_default()
    );
    definition.after = after;
    Ok(columns)
}

/// Returns the statements that make the table's schema and types.
fn needs(
    reading: &mut Reading<'_>,
    table: &Table,
    types: &BTreeSet<String>,
) -> Result<Vec<String>, DbError> {
    let mut needs = Vec::new();
    let mut schemas = BTreeSet::from([table.schema.clone()]);
    let list: Vec<&str> = types.iter().map(String::as_str).collect();
    // An array's element, and what domains lie over, the innermost first.
    let rows = reading.rows(&format!(
        "WITH RECURSIVE of AS (SELECT t.oid, 0 AS depth FROM pg_catalog.pg_type t \
         WHERE t.oid IN ({}) UNION SELECT u.oid, of.depth + 1 FROM of \
         JOIN pg_catalog.pg_type t ON t.oid = of.oid JOIN pg_catalog.pg_type u \
         ON u.oid IN (t.typelem, t.typbasetype) AND u.oid <> 0) \
         SELECT n.nspname, t.oid::regtype, t.typtype, e.extname, \
         (SELECT string_agg(quote_literal(l.enumlabel), ', ' ORDER BY l.enumsortorder) \
         FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid), \
         pg_catalog.format_type(t.typbasetype, t.typtypmod), \
         (SELECT string_agg(pg_catalog.pg_get_constraintdef(k.oid), ' ') \
         FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'), \
         quote_ident(n.nspname) || '.' || quote_ident(t.typname) \
         FROM (SELECT oid, max(depth) AS depth FROM of GROUP BY oid) o \
         JOIN pg_catalog.pg_type t ON t.oid = o.oid \
         JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::regclass \
         AND d.objid = t.oid AND d.deptype = 'e' LEFT JOIN pg_catalog.pg_extension e \
         ON e.oid = d.refobjid WHERE n.nspname <> 'pg_catalog' AND t.typelem = 0 \
         ORDER BY o.depth DESC, t.oid",
        list.join(", ")
    ))?;
    for row in rows {
        let mut fields = Fields::from(row);
        let (schema, _) = (fields.text(), fields.text());
        let kind = fields.text();
        schemas.insert(schema);
        let (extension, labels) = (fields.maybe(), fields.text());
        let (base, checks, name) = (fields.text(), fields.maybe(), fields.text());
        needs.push(match (extension, kind.as_str()) {
            (Some(extension), _) => {
                format!("CREATE EXTENSION IF NOT EXISTS {}", quote(Backend::Postgres, &extension))
            }
            (None, "e") => format!("CREATE TYPE {name} AS ENUM ({labels})"),
            (None, "d") => {
                format!("CREATE DOMAIN {name} AS {base} {}", checks.unwrap_or_default())
            }
            (None, _) => continue,
        });
    }
    schemas.remove("public");
    let schemas = schemas
        .iter()
        .map(|schema| format!("CREATE SCHEMA IF NOT EXISTS {}", quote(Backend::Postgres, schema)));
    Ok(schemas.chain(needs).collect())
}

fn constraints(
    reading: &mut Reading<'_>,
    table: &Table,
    definition: &mut Definition,
) -> Result<(), DbError> {
    let rows = reading.rows(&format!(
        "SELECT k.conname, k.contype, pg_catalog.pg_get_constraintdef(k.oid), \
         (SELECT array_agg(a.attname::text ORDER BY array_position(k.conkey, a.attnum))::text \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)), \
         CASE WHEN k.confrelid <> 0 THEN k.confrelid::regclass END, \
         (SELECT array_agg(a.attname::text ORDER BY array_position(k.confkey, a.attnum))::text \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)) \
         FROM pg_catalog.pg_constraint k WHERE k.conrelid = {} AND k.contype IN ('p','u','f','c','x') \
         ORDER BY position(k.contype::text IN 'pucxf'), k.conname",
        table.oid
    ))?;
    for row in rows {
        let mut fields = Fields::from(row);
        let name = fields.text();
        let kind = match fields.text().as_str() {
            "p" => ConstraintKind::Primary,
            "u" => ConstraintKind::Unique,
            "f" => ConstraintKind::Foreign,
            "x" => ConstraintKind::Exclusion,
            _ => ConstraintKind::Check,
        };
        let sql = fields.text();
        let columns = elements(&fields.text());
        let to = fields.maybe();
        let there = elements(&fields.text());
        let quoted = quote(Backend::Postgres, &name);
        definition.constraints.push(Constraint {
            kind,
            columns,
            references: to.map(|table| References { table, columns: there }),
            sql: Some(format!("ALTER TABLE {} ADD CONSTRAINT {quoted} {sql}", table.quoted())),
            name,
        });
    }
    Ok(())
}

fn indexes(
    reading: &mut Reading<'_>,
    table: &Table,
    definition: &mut Definition,
) -> Result<(), DbError> {
    let rows = reading.rows(&format!(
        "SELECT c.relname, i.indisunique, (SELECT array_agg(a.attname::text ORDER BY k.at)::text \
         FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, at) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
         WHERE k.at <= i.indnkeyatts), pg_catalog.pg_get_indexdef(i.indexrelid) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = {} AND i.indisvalid AND NOT EXISTS (SELECT \
         FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid \
         AND k.contype IN ('p', 'u', 'x')) ORDER BY c.relname",
        table.oid
    ))?;
    for row in rows {
        let mut fields = Fields::from(row);
        definition.indexes.push(Index {
            name: fields.text(),
            is_unique: fields.is_true(),
            columns: elements(&fields.text()),
            sql: fields.maybe(),
        });
    }
    Ok(())
}

fn statistics(
    reading: &mut Reading<'_>,
    table: &Table,
    hide: &Hide,
) -> Result<BTreeMap<String, Statistics>, DbError> {
    let rows = reading.rows(&format!(
        "SELECT s.attname, s.null_frac, s.avg_width, s.n_distinct, s.correlation, \
         s.most_common_vals::text, s.most_common_freqs::text, s.histogram_bounds::text, \
         s.elem_count_histogram[array_length(s.elem_count_histogram, 1)], \
         CASE WHEN a.atttypid IN ({times}) THEN (SELECT array_agg(extract(epoch FROM CASE \
         a.atttypid {cases} END) ORDER BY b.at)::text \
         FROM unnest(s.histogram_bounds::text::text[]) WITH ORDINALITY AS b (v, at)) END, \
         a.atttypid IN ({numbers}) \
         FROM pg_catalog.pg_stats s JOIN pg_catalog.pg_attribute a ON a.attrelid = {oid} \
         AND a.attname = s.attname WHERE s.schemaname = (SELECT nspname FROM pg_catalog.pg_namespace n \
         JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid WHERE c.oid = {oid}) \
         AND s.tablename = (SELECT relname FROM pg_catalog.pg_class WHERE oid = {oid}) \
         AND NOT s.inherited",
        times = "'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype",
        cases = "WHEN 'date'::regtype THEN b.v::date::timestamptz \
                 WHEN 'timestamp'::regtype THEN b.v::timestamp::timestamptz \
                 ELSE b.v::timestamptz",
        numbers = "'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, \
                   'float4'::regtype, 'float8'::regtype",
        oid = table.oid
    ))?;
    let mut all = BTreeMap::new();
    for row in rows {
        let mut fields = Fields::from(row);
        let name = fields.text();
        let mut of = Statistics {
            null_frac: fields.number(),
            avg_width: fields.maybe_number(),
            n_distinct: fields.number(),
            correlation: fields.maybe_number(),
            ..Statistics::default()
        };
        let (values, frequencies) = (elements(&fields.text()), elements(&fields.text()));
        let frequencies = frequencies.iter().filter_map(|text| text.parse().ok());
        of.common = values.iter().zip(frequencies).map(|(v, f)| hide.common(f, v)).collect();
        let bounds = elements(&fields.text());
        of.elements = fields.maybe_number();
        let seconds = fields.maybe();
        let scaled = match (seconds, fields.is_true()) {
            (Some(seconds), _) => elements(&seconds),
            (None, true) => bounds.clone(),
            (None, false) => Vec::new(),
        };
        of.shape = shape(&scaled);
        of.bounds = bounds.iter().filter_map(|bound| hide.shown(bound)).collect();
        all.insert(name, of);
    }
    Ok(all)
}

/// Scales bounds to 0 and 1; nothing where they are no numbers or do not differ.
pub(super) fn shape(bounds: &[String]) -> Vec<f64> {
    let numbers: Vec<f64> = bounds.iter().filter_map(|bound| bound.parse().ok()).collect();
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return Vec::new() };
    let span = last - first;
    if numbers.len() != bounds.len() || !span.is_finite() || span <= 0.0 {
        return Vec::new();
    }
    // Four digits tell the form, and no value.
    numbers.iter().map(|number| ((number - first) / span * 1e4).round() / 1e4).collect()
}

fn settings(reading: &mut Reading<'_>) -> Result<BTreeMap<String, String>, DbError> {
    let names: Vec<String> = SETTINGS.iter().map(|name| format!("'{name}'")).collect();
    let rows = reading.rows(&format!(
        "SELECT name, current_setting(name) FROM pg_catalog.pg_settings WHERE name IN ({})",
        names.join(", ")
    ))?;
    let setting = |row| {
        let mut fields = Fields::from(row);
        (fields.text(), fields.text())
    };
    Ok(rows.into_iter().map(setting).collect())
}
