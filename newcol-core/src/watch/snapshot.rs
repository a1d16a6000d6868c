//! One look at the server: counters of statements, of the table and of its indexes.

use std::collections::BTreeMap;

use super::{
    identity::{Identity, Taken},
    index::{Index, holds},
    involve::{Catalog, Named, View},
    moments::Cumulative,
    series::QueryId,
    session::{Fields, Reading, Sight, table_query},
};
use crate::{
    backend::{Backend, Product},
    db::{DbError, quote::literal},
    ident::ColumnPath,
};

/// Caller of counters that end with it.
pub(super) const PROCESS: &str = "process ";

/// Reports whether a caller's counters end with it.
pub(super) fn is_mortal(caller: &str) -> bool {
    caller.starts_with(PROCESS)
}

/// The counters of one statement, as one role called it.
#[derive(Debug, Clone, PartialEq)]
pub struct Counters {
    /// The statement.
    pub id: QueryId,
    /// Who called it, and whether from the outermost level: counters are kept apart by both.
    pub caller: String,
    /// Whether it was sent by a client, and not run by a function.
    pub is_top: bool,
    /// Calls and their times.
    pub times: Cumulative,
    /// Rows returned or changed.
    pub rows: u64,
    /// Shared blocks hit and read.
    pub blocks: u64,
    /// Bytes of log; `None` where the extension is too old.
    pub wal_bytes: Option<u64>,
    /// Since when the server counts it, in seconds since the epoch (17 and later).
    pub since: Option<f64>,
}

/// A number that is not of a statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// An index, or nothing for what is of the table or the whole server.
    pub object: String,
    /// What is measured.
    pub name: String,
    /// The number; what is not known has no measure at all.
    pub value: f64,
}

/// One look at the server.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What it is of.
    pub identity: Identity,
    /// When.
    pub taken: Taken,
    /// What the role may see.
    pub sight: Sight,
    /// Counters of all statements of this database; `None` where there are none.
    pub statements: Option<Vec<Counters>>,
    /// Statements whose number and text the role may not see.
    pub hidden: u64,
    /// Texts, where they were asked for.
    pub texts: Option<BTreeMap<QueryId, String>>,
    /// The catalog, where it was asked for.
    pub catalog: Option<Catalog>,
    /// Counters of table, indexes and server, and sizes.
    pub measures: Vec<Measure>,
    /// The column's indexes.
    pub indexes: Vec<Index>,
}

/// What more a snapshot has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Counters.
    Counters,
    /// Also texts and the catalog.
    Texts,
}

/// The extension as this database has it.
struct Extension {
    schema: String,
    columns: Vec<String>,
    has_info: bool,
}

/// What clients have sent since the server began to count.
#[cfg(feature = "bench")]
#[derive(Debug)]
pub(crate) struct SentStatements {
    /// Text, calls and rows of each.
    pub(crate) statements: Vec<(String, u64, u64)>,
    /// How long it has counted; not known before 14.
    pub(crate) seconds: Option<f64>,
}

impl Reading<'_> {
    /// Reads the statements that clients have sent, with their texts; `None` where they are not
    /// counted.
    #[cfg(feature = "bench")]
    pub(crate) fn sent(&mut self) -> Result<Option<SentStatements>, DbError> {
        let loaded =
            self.rows("SELECT current_setting('pg_stat_statements.max', true) IS NOT NULL")?;
        if !Fields::of(loaded).is_true() {
            return Ok(None);
        }
        let Some(extension) = self.extension()? else { return Ok(None) };
        let seconds = if extension.has_info {
            let row = self.rows(&format!(
                "SELECT extract(epoch FROM clock_timestamp() - stats_reset) \
                 FROM {}.pg_stat_statements_info",
                extension.schema
            ))?;
            Fields::of(row).maybe_number()
        } else {
            None
        };
        let texts = self.texts(&extension)?;
        let mut sums: BTreeMap<QueryId, (u64, u64)> = BTreeMap::new();
        for counters in self.counters(&extension)?.0.into_iter().filter(|of| of.is_top) {
            let (calls, rows) = sums.entry(counters.id).or_default();
            *calls += counters.times.calls;
            *rows += counters.rows;
        }
        let text = |(id, (calls, rows))| Some((texts.get(&id)?.clone(), calls, rows));
        let statements = sums.into_iter().filter_map(text).collect();
        Ok(Some(SentStatements { statements, seconds }))
    }

    /// Reads a snapshot; `depth` decides with the counters at hand whether texts are wanted.
    pub(super) fn snapshot(
        &mut self,
        column: &ColumnPath,
        local: f64,
        depth: impl FnOnce(&Identity, f64, &[Counters]) -> Depth,
    ) -> Result<Snapshot, DbError> {
        if self.server().product == Product::Mariadb {
            return self.mariadb_snapshot(column, local, depth);
        }
        let sight = self.sight(column)?;
        let extension = if sight.has_statements() { self.extension()? } else { None };
        let (mut identity, taken) = self.identity(column, &sight, local)?;
        let mut statements = None;
        let mut hidden = 0;
        let mut texts = None;
        let mut catalog = None;
        if let Some(extension) = &extension {
            if extension.has_info {
                self.info(extension, &mut identity)?;
            }
            let (all, unseen) = self.counters(extension)?;
            hidden = unseen;
            if depth(&identity, taken.server, &all) == Depth::Texts {
                texts = Some(self.texts(extension)?);
                catalog =
                    identity.table.clone().map(|oid| self.catalog(column, &oid)).transpose()?;
            }
            statements = Some(all);
        }
        let mut measures = Vec::new();
        self.measures(&identity, column, &mut measures)?;
        let mut indexes = Vec::new();
        if let (Some(table), Some(attribute)) = (&identity.table, identity.column) {
            indexes = self.column_indexes(table, attribute)?;
        }
        Ok(Snapshot {
            identity,
            taken,
            sight,
            statements,
            hidden,
            texts,
            catalog,
            measures,
            indexes,
        })
    }

    fn measures(
        &mut self,
        identity: &Identity,
        column: &ColumnPath,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        if let Some(table) = &identity.table {
            self.table(table, measures)?;
            self.indexes(table, identity.column, measures)?;
            self.values(table, column, measures)?;
            self.sizes(table, measures)?;
            self.waits_for(table, measures)?;
        }
        self.replication(measures)?;
        self.log(measures)
    }

    /// Reads all but statements.
    #[cfg(feature = "measure")]
    pub(super) fn postgres_surroundings(
        &mut self,
        column: &ColumnPath,
        sight: &Sight,
        local: f64,
        measures: &mut Vec<Measure>,
    ) -> Result<(Identity, Taken, Option<Catalog>), DbError> {
        let (identity, taken) = self.identity(column, sight, local)?;
        let catalog = identity.table.clone().map(|oid| self.catalog(column, &oid)).transpose()?;
        self.measures(&identity, column, measures)?;
        Ok((identity, taken, catalog))
    }

    fn identity(
        &mut self,
        column: &ColumnPath,
        sight: &Sight,
        local: f64,
    ) -> Result<(Identity, Taken), DbError> {
        let table = table_query(&column.table);
        let name = literal(Backend::Postgres, column.column.as_str());
        let (system, timeline) = if sight.knows_system {
            let row = self.rows(
                "SELECT (SELECT system_identifier FROM pg_control_system()), \
                 (SELECT timeline_id FROM pg_control_checkpoint()) \
                 WHERE has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE')",
            )?;
            let mut fields = Fields::of(row);
            (fields.maybe(), fields.maybe_number())
        } else {
            (None, None)
        };
        let row = self.rows(&format!(
            "SELECT extract(epoch FROM clock_timestamp()), \
             extract(epoch FROM pg_postmaster_start_time()), \
             (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()), t.oid, \
             (SELECT attnum FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.oid \
             AND a.attname = {name} AND a.attnum > 0 AND NOT a.attisdropped) \
             FROM (SELECT {table} AS oid) AS t"
        ))?;
        let mut fields = Fields::of(row);
        let taken = Taken { server: fields.number(), local };
        let identity = Identity {
            system,
            timeline,
            version: sight.version,
            extension: sight.extension.clone(),
            started: fields.number(),
            database: fields.text(),
            table: fields.maybe(),
            column: fields.maybe_number(),
            stats_reset: None,
            evictions: None,
        };
        Ok((identity, taken))
    }

    /// Finds the extension's schema and what its view shows: it may be older than the server.
    fn extension(&mut self) -> Result<Option<Extension>, DbError> {
        let rows = self.rows(
            "SELECT quote_ident(n.nspname), (SELECT string_agg(a.attname, ' ') \
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = v.oid AND a.attnum > 0), \
             EXISTS (SELECT FROM pg_catalog.pg_class i WHERE i.relnamespace = n.oid \
             AND i.relname = 'pg_stat_statements_info') \
             FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
             JOIN pg_catalog.pg_class v ON v.relnamespace = n.oid AND v.relname = 'pg_stat_statements' \
             WHERE e.extname = 'pg_stat_statements' AND has_schema_privilege(n.oid, 'USAGE') \
             AND has_table_privilege(v.oid, 'SELECT')",
        )?;
        Ok(rows.into_iter().next().map(|row| {
            let mut fields = Fields::from(row);
            Extension {
                schema: fields.text(),
                columns: fields.text().split(' ').map(str::to_owned).collect(),
                has_info: fields.is_true(),
            }
        }))
    }

    fn info(&mut self, extension: &Extension, identity: &mut Identity) -> Result<(), DbError> {
        let row = self.rows(&format!(
            "SELECT dealloc, extract(epoch FROM stats_reset) FROM {}.pg_stat_statements_info",
            extension.schema
        ))?;
        let mut fields = Fields::of(row);
        identity.evictions = fields.maybe_number();
        identity.stats_reset = fields.maybe_number();
        Ok(())
    }

    /// Reads counters without texts, which lie in a file, and how many are hidden.
    fn counters(&mut self, extension: &Extension) -> Result<(Vec<Counters>, u64), DbError> {
        let has = |name: &str| extension.columns.iter().any(|column| column == name);
        let or = |name: &'static str, other: &'static str| if has(name) { name } else { other };
        let rows = self.rows(&format!(
            "SELECT queryid, userid, {toplevel}, calls, {total}, {mean}, {stddev}, rows, \
             shared_blks_hit + shared_blks_read, {wal}, {since} \
             FROM {schema}.pg_stat_statements(false) WHERE calls > 0 AND dbid = \
             (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())",
            toplevel = or("toplevel", "true"),
            total = or("total_exec_time", "total_time"),
            mean = or("mean_exec_time", "mean_time"),
            stddev = or("stddev_exec_time", "stddev_time"),
            wal = or("wal_bytes", "NULL"),
            since = if has("stats_since") { "extract(epoch FROM stats_since)" } else { "NULL" },
            schema = extension.schema,
        ))?;
        let mut hidden = 0;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let mut fields = Fields::from(row);
            let Some(id) = fields.maybe_number() else {
                hidden += 1;
                continue;
            };
            let (caller, is_top) = (fields.text(), fields.is_true());
            all.push(Counters {
                id: QueryId(id),
                caller,
                is_top,
                times: Cumulative {
                    calls: fields.number(),
                    total_ms: fields.number(),
                    mean_ms: fields.number(),
                    stddev_ms: fields.maybe_number(),
                },
                rows: fields.number(),
                blocks: fields.number(),
                wal_bytes: fields.maybe_number(),
                since: fields.maybe_number(),
            });
        }
        Ok((all, hidden))
    }

    fn texts(&mut self, extension: &Extension) -> Result<BTreeMap<QueryId, String>, DbError> {
        let rows = self.rows(&format!(
            "SELECT queryid, min(query) FROM {}.pg_stat_statements(true) \
             WHERE queryid IS NOT NULL AND query IS NOT NULL AND dbid = \
             (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) GROUP BY 1",
            extension.schema
        ))?;
        let text = |row| {
            let mut fields = Fields::from(row);
            Some((QueryId(fields.maybe_number()?), fields.maybe()?))
        };
        Ok(rows.into_iter().filter_map(text).collect())
    }

    /// Reads what names lead to the table.
    fn catalog(&mut self, column: &ColumnPath, oid: &str) -> Result<Catalog, DbError> {
        let name = literal(Backend::Postgres, column.column.as_str());
        let mut catalog =
            Catalog { column: column.column.as_str().to_owned(), ..Catalog::default() };
        let rows = self.rows(&format!(
            "SELECT attname FROM pg_catalog.pg_attribute \
             WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        ))?;
        catalog.columns = rows.into_iter().map(|row| Fields::from(row).text()).collect();
        if !catalog.columns.contains(&catalog.column) {
            catalog.columns.push(catalog.column.clone());
        }
        // The table, its parts, the views that read any of them, and namesakes.
        let rows = self.rows(&format!(
            "SELECT n.nspname, c.relname, c.oid = {oid}, \
             c.oid IN ({parts}), \
             v.oid IS NOT NULL, \
             EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid \
             AND a.attname = {name} AND NOT a.attisdropped), c.oid \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN (WITH RECURSIVE reads AS (SELECT r.ev_class AS oid \
             FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid \
             WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass \
             AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = {oid} \
             AND r.ev_class <> {oid} UNION SELECT r.ev_class FROM reads b \
             JOIN pg_catalog.pg_depend d ON d.refobjid = b.oid \
             AND d.refclassid = 'pg_catalog.pg_class'::regclass \
             AND d.classid = 'pg_catalog.pg_rewrite'::regclass \
             JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.ev_class <> b.oid) \
             SELECT oid FROM reads) v ON v.oid = c.oid \
             WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') \
             AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_t'",
            parts = parts(oid)
        ))?;
        let mut views = Vec::new();
        for row in rows {
            let mut fields = Fields::from(row);
            let (schema, relation) = (fields.text(), fields.text());
            let (is_table, is_part, is_view) =
                (fields.is_true(), fields.is_true(), fields.is_true());
            let has_column = fields.is_true();
            if is_view {
                views.push((schema, relation, fields.text()));
            } else if is_table {
                catalog.add(&schema, &relation, Named::Table);
            } else if is_part {
                catalog.add(&schema, &relation, Named::Part);
            } else if has_column || relation == column.table.name.as_str() {
                catalog.add(&schema, &relation, Named::Other { has_column });
            }
        }
        for (schema, view, oid) in views {
            // Printing it takes a lock on what it reads.
            let printed = self.rows_if_free(&format!("SELECT pg_get_viewdef({oid}::oid)"))?;
            let query = printed.and_then(|rows| Fields::of(rows).maybe());
            let query = query.map(|query| query.trim().trim_end_matches(';').to_owned());
            catalog.add(&schema, &view, Named::View(View { query }));
        }
        self.functions(column, &mut catalog)?;
        self.search_paths(&mut catalog)?;
        self.policies(column, oid, &mut catalog)?;
        Ok(catalog)
    }

    /// Finds functions whose text names the table, and tables whose triggers call one of them.
    fn functions(&mut self, column: &ColumnPath, catalog: &mut Catalog) -> Result<(), DbError> {
        let word: String = column
            .table
            .name
            .as_str()
            .chars()
            .map(|c| if c.is_alphanumeric() || c == '_' { c.to_string() } else { format!("\\{c}") })
            .collect();
        let word = literal(Backend::Postgres, &format!("\\m{word}\\M"));
        let rows = self.rows(&format!(
            "SELECT p.proname, (SELECT string_agg(DISTINCT c.relname, E'\\n') \
             FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid \
             WHERE t.tgfoid = p.oid) FROM pg_catalog.pg_proc p \
             JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
             JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('internal', 'c') \
             WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prosrc ~* {word}"
        ))?;
        for row in rows {
            let mut fields = Fields::from(row);
            catalog.functions.insert(fields.text());
            catalog.triggered.extend(fields.text().lines().map(str::to_owned));
        }
        // A statement on the table itself is one on the table.
        catalog.triggered.remove(column.table.name.as_str());
        Ok(())
    }

    fn search_paths(&mut self, catalog: &mut Catalog) -> Result<(), DbError> {
        let rows = self.rows(
            "SELECT path FROM (SELECT reset_val FROM pg_catalog.pg_settings \
             WHERE name = 'search_path' UNION SELECT substr(setting, length('search_path=') + 1) \
             FROM (SELECT unnest(setconfig) AS setting FROM pg_catalog.pg_db_role_setting \
             WHERE setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database \
             WHERE datname = current_database()))) s WHERE setting LIKE 'search\\_path=%') p (path)",
        )?;
        let path = |row| {
            let listed = Fields::from(row).text();
            listed.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect()
        };
        catalog.search_paths = rows.into_iter().map(path).collect();
        Ok(())
    }

    fn policies(
        &mut self,
        column: &ColumnPath,
        oid: &str,
        catalog: &mut Catalog,
    ) -> Result<(), DbError> {
        let name = literal(Backend::Postgres, column.column.as_str());
        let rows = self.rows(&format!(
            "SELECT p.polname FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_depend d \
             ON d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
             WHERE p.polrelid = {oid} AND d.refobjid = {oid} AND a.attname = {name}"
        ))?;
        catalog.policies = rows.into_iter().map(|row| Fields::from(row).text()).collect();
        Ok(())
    }

    /// Reads the counters of the table, those of its partitions together.
    fn table(&mut self, oid: &str, measures: &mut Vec<Measure>) -> Result<(), DbError> {
        const NAMES: &[&str] = &[
            "seq_scan",
            "seq_tup_read",
            "idx_scan",
            "n_tup_ins",
            "n_tup_upd",
            "n_tup_del",
            "n_tup_hot_upd",
            "n_live_tup",
            "n_dead_tup",
            "n_mod_since_analyze",
        ];
        let sums: Vec<String> = NAMES.iter().map(|name| format!("sum(s.{name})")).collect();
        let rows = self.rows(&format!(
            "SELECT {}, extract(epoch FROM max(greatest(s.last_analyze, s.last_autoanalyze))), \
             sum(io.heap_blks_hit + io.heap_blks_read) \
             FROM pg_catalog.pg_stat_user_tables s LEFT JOIN pg_catalog.pg_statio_user_tables io \
             ON io.relid = s.relid WHERE s.relid IN ({})",
            sums.join(", "),
            parts(oid)
        ))?;
        let mut fields = Fields::of(rows);
        for name in NAMES.iter().chain(&["analyzed_at", "heap_blocks"]) {
            push(measures, "", name, fields.maybe_number());
        }
        Ok(())
    }

    /// Reads the counters of the indexes, and whether they are whole.
    fn indexes(
        &mut self,
        oid: &str,
        column: Option<i32>,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let column = column.unwrap_or_default();
        let rows = self.rows(&format!(
            "SELECT c.relname, s.idx_scan, s.idx_tup_read, \
             io.idx_blks_hit + io.idx_blks_read, i.indisvalid::int, i.indisready::int, \
             i.indisunique::int, i.indisprimary::int, \
             {}::int, c.relpages \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             LEFT JOIN pg_catalog.pg_stat_user_indexes s ON s.indexrelid = i.indexrelid \
             LEFT JOIN pg_catalog.pg_statio_user_indexes io ON io.indexrelid = i.indexrelid \
             WHERE i.indrelid IN ({}) ORDER BY c.relname",
            holds("i", oid, column),
            parts(oid)
        ))?;
        for row in rows {
            let mut fields = Fields::from(row);
            let index = fields.text();
            for name in [
                "idx_scan",
                "idx_tup_read",
                "blocks",
                "is_valid",
                "is_ready",
                "is_unique",
                "is_primary",
                "has_column",
                "pages",
            ] {
                push(measures, &index, name, fields.maybe_number());
            }
        }
        Ok(())
    }

    /// Reads what ANALYZE knows of the column.
    fn values(
        &mut self,
        oid: &str,
        column: &ColumnPath,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let name = literal(Backend::Postgres, column.column.as_str());
        let rows = self.rows(&format!(
            "SELECT s.null_frac, s.avg_width, s.n_distinct, s.correlation FROM pg_catalog.pg_stats s \
             JOIN pg_catalog.pg_class c ON c.relname = s.tablename \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname \
             WHERE c.oid = {oid} AND s.attname = {name} ORDER BY s.inherited DESC LIMIT 1"
        ))?;
        let mut fields = Fields::of(rows);
        for value in ["null_frac", "avg_width", "n_distinct", "correlation"] {
            push(measures, "", value, fields.maybe_number());
        }
        Ok(())
    }

    /// Reads sizes, not those of what is locked against everybody: they would wait in its queue.
    fn sizes(&mut self, oid: &str, measures: &mut Vec<Measure>) -> Result<(), DbError> {
        let rows = self.rows_if_free(&format!(
            "SELECT c.relname, c.relkind IN ('i', 'I'), pg_relation_size(c.oid) \
             FROM pg_catalog.pg_class c WHERE c.oid IN (({parts}) UNION ALL SELECT indexrelid \
             FROM pg_catalog.pg_index WHERE indrelid IN ({parts})) AND NOT EXISTS (SELECT \
             FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid \
             WHERE l.mode = 'AccessExclusiveLock' AND l.relation IN (c.oid, x.indrelid))",
            parts = parts(oid)
        ))?;
        let mut heap = None;
        for row in rows.into_iter().flatten() {
            let mut fields = Fields::from(row);
            let (name, is_index) = (fields.text(), fields.is_true());
            let size: Option<f64> = fields.maybe_number();
            if is_index {
                push(measures, &name, "bytes", size);
            } else if let Some(size) = size {
                heap = Some(heap.unwrap_or_default() + size);
            }
        }
        push(measures, "", "bytes", heap);
        Ok(())
    }

    /// Reads the log's counters of the whole server (14 and later).
    fn log(&mut self, measures: &mut Vec<Measure>) -> Result<(), DbError> {
        let rows = self.rows("SELECT to_regclass('pg_catalog.pg_stat_wal') IS NOT NULL")?;
        if !Fields::of(rows).is_true() {
            return Ok(());
        }
        let rows =
            self.rows("SELECT wal_records, wal_fpi, wal_bytes FROM pg_catalog.pg_stat_wal")?;
        let mut fields = Fields::of(rows);
        for name in ["wal_records", "wal_fpi", "wal_bytes"] {
            push(measures, "", name, fields.maybe_number());
        }
        Ok(())
    }
}

/// Returns a query for the table and its partitions and heirs; asking takes no lock on them.
pub(super) fn parts(oid: &str) -> String {
    format!(
        "WITH RECURSIVE part AS (SELECT {oid}::oid AS oid UNION SELECT i.inhrelid \
         FROM part p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid) SELECT oid FROM part"
    )
}

pub(super) fn push(measures: &mut Vec<Measure>, object: &str, name: &str, value: Option<f64>) {
    if let Some(value) = value {
        measures.push(Measure { object: object.to_owned(), name: name.to_owned(), value });
    }
}
