//! What a backfill works on, read from the database before anything is changed.

use super::{BackfillError, Settings};
use crate::{
    backend::Backend,
    contract::{Contract, Expr, OldRows},
    db::{DbError, Session, facts::read_for},
    execute::side_effects::{Care, SideEffects},
    ident::{Ident, TableName},
    keys::{KeyColumn, KeyKind, KeyTuple, KeyValue},
    plan::{
        Plan, StageKind,
        facts::{TableFacts, Volatility},
        volatility::judge,
    },
    render::{
        backfill::{Fill, Input, Range, Source},
        text::{SqlText, exact_literal, table},
    },
    row::Wanted,
};

/// A job, ready to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// The plan that has the backfill.
    pub plan: Plan,
    /// What fills the rows.
    pub fill: Fill,
    /// The way through the table.
    pub route: Route,
    /// The rows' key, where there is one: by it rows are named in messages.
    pub key: Vec<KeyColumn>,
    /// What every transaction does besides, so that nothing else changes.
    pub care: Care,
}

/// How a table is walked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// By the blocks of the table, or of its partitions (PostgreSQL 14 and later).
    Blocks(Vec<Relation>),
    /// By a unique key.
    Keys,
}

/// A table that has rows: a partition, or the table itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its name, with its schema.
    pub name: TableName,
    /// Blocks when it was looked at.
    pub blocks: u64,
    /// Rows in 1000 blocks, by the server's estimate; zero where it has none.
    pub density: u64,
    /// Whether an index needs the column, so that no updated row stays on its page as it is.
    pub indexed: bool,
    /// Whether this role may read it by its own name; partitions have rights of their own.
    pub readable: bool,
}

impl Job {
    /// Reads the table, what an UPDATE would do besides, and the way through. Where code fills the
    /// column, it says which columns it reads.
    pub fn read(
        contract: &Contract,
        session: &mut Session,
        settings: &Settings,
        code: Option<&[Wanted]>,
    ) -> Result<Self, BackfillError> {
        let mut job = Self::read_only(contract, session, settings)?;
        let column = || contract.path().clone();
        match (&mut job.fill.source, code) {
            (Source::Code { inputs, .. }, Some(wanted)) => *inputs = reads(&job.plan, wanted)?,
            (Source::Code { path, .. }, None) => {
                return Err(BackfillError::RustFill { column: column(), path: path.clone() });
            }
            (Source::Sql(_), Some(_)) => {
                return Err(BackfillError::SqlFill { column: column() });
            }
            (Source::Sql(_), None) => {}
        }
        let effects = SideEffects::read(session, &job.plan)
            .map_err(|source| BackfillError::Facts { column: contract.path().clone(), source })?;
        job.care = effects.care(settings.triggers)?;
        job.fill.kept.clone_from(&job.care.assign);
        Ok(job)
    }

    /// Reads the table and a way through, for who changes nothing: no side effect stands in the way,
    /// and what is filled by Rust code has a fill of which nothing is known.
    pub(super) fn read_only(
        contract: &Contract,
        session: &mut Session,
        settings: &Settings,
    ) -> Result<Self, BackfillError> {
        let plan = plan(contract, session)?;
        let nothing = || BackfillError::NothingToFill { column: contract.path().clone() };
        plan.stage(StageKind::Backfill).ok_or_else(nothing)?;
        let expr = plan.fill().cloned();
        let mut job = Self::of_plan(plan, expr, session)?;
        job.route = route(session, &job, settings)?;
        Ok(job)
    }

    /// As [`Self::read_only`], for any column: the fill is what would be there if it were added anew,
    /// NULL where nothing fills it. Without a key, and without blocks, there is no way through.
    pub(super) fn read_anew(
        contract: &Contract,
        session: &mut Session,
        settings: &Settings,
    ) -> Result<Self, BackfillError> {
        let backend = session.backend();
        let expr = contract.sql_fill(backend).or_else(|| contract.default(backend)).cloned();
        let expr = expr.unwrap_or_else(|| Expr::new("NULL"));
        let mut job = Self::of_plan(plan(contract, session)?, Some(expr), session)?;
        match route(session, &job, settings) {
            Err(BackfillError::NoKey { .. }) => {}
            route => job.route = route?,
        }
        Ok(job)
    }

    fn of_plan(
        plan: Plan,
        expr: Option<Expr>,
        session: &mut Session,
    ) -> Result<Self, BackfillError> {
        let contract = &plan.contract;
        let backend = session.backend();
        let nothing = || BackfillError::NothingToFill { column: contract.path().clone() };
        let ty = contract.sql_type(backend).ok_or_else(nothing)?.clone();
        let (source, volatility) = match &contract.answers().old_rows {
            OldRows::Rust(path) => {
                let cast = cast(session, contract)?;
                let code = Source::Code { path: path.clone(), inputs: Vec::new(), cast };
                (code, Volatility::Volatile)
            }
            OldRows::Sql(_) | OldRows::Unfilled => {
                let expr = expr.ok_or_else(nothing)?;
                let volatility = judge(&expr, backend);
                (Source::Sql(expr), volatility)
            }
        };
        let (table, name) = (contract.table().clone(), contract.column().clone());
        let fill = Fill { backend, table, column: name, ty, source, volatility, kept: Vec::new() };
        let key = key(session, &plan.facts, contract.table())?;
        Ok(Self { plan, fill, route: Route::Keys, key, care: Care::default() })
    }

    /// Returns what makes this job another than one with the same column: type and expression, or
    /// the path of the code.
    pub fn fingerprint(&self) -> String {
        let Fill { column, ty, source, .. } = &self.fill;
        let text = match source {
            Source::Sql(expr) => format!("{column} {ty} {expr}"),
            Source::Code { path, .. } => format!("{column} {ty} rust {path}"),
        };
        // FNV-1a, 64 bits: stable across versions of Rust, unlike the standard hasher.
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{hash:016x}")
    }

    /// Reads the sizes of the relations anew: they grow.
    pub(super) fn refresh(&mut self, session: &mut Session) -> Result<(), BackfillError> {
        if let Route::Blocks(known) = &mut self.route {
            *known = relations(session, &self.fill.table, &self.fill.column)?;
        }
        Ok(())
    }

    /// Reads the largest key there is.
    pub(super) fn last_key(
        &self,
        session: &mut Session,
    ) -> Result<Option<KeyTuple>, BackfillError> {
        let rows = session.query(self.fill.last_key(&self.key).as_str())?;
        rows.into_iter().next().map(|row| self.tuple(row)).transpose()
    }

    /// Reads the key of the row that ends the next so many rows; `None` where fewer are left.
    pub(super) fn key_after(
        &self,
        session: &mut Session,
        range: Range<'_>,
        count: u64,
    ) -> Result<Option<KeyTuple>, BackfillError> {
        let rows = session.query(self.fill.key_after(range, count).as_str())?;
        rows.into_iter().next().map(|row| self.tuple(row)).transpose()
    }

    /// Divides the keys up to the last one into about equal parts for several workers; returns the
    /// last key of each but the last part.
    pub(super) fn bounds(
        &self,
        session: &mut Session,
        last: &KeyTuple,
        workers: u32,
    ) -> Result<Vec<KeyTuple>, BackfillError> {
        if workers == 1 {
            return Ok(Vec::new());
        }
        let parts = u64::from(workers) * 4;
        let rows = self.plan.facts.rows.unwrap_or_default();
        let mut bounds: Vec<KeyTuple> = Vec::new();
        for _ in 1..parts {
            let range = Range::Keys { key: &self.key, after: bounds.last(), to: Some(last) };
            match self.key_after(session, range, (rows / parts).max(1000))? {
                Some(key) if key != *last => bounds.push(key),
                Some(_) | None => break,
            }
        }
        Ok(bounds)
    }

    /// Returns how a row is called in messages, from its key, or from its place where it has none.
    pub(super) fn name(&self, row: Vec<Option<String>>) -> String {
        if self.key.is_empty() {
            return row.into_iter().flatten().collect::<Vec<_>>().join(", ");
        }
        // What cannot be written down is no key to name a row by.
        self.tuple(row).map_or_else(|error| error.to_string(), |tuple| tuple.describe())
    }

    pub(super) fn tuple(&self, row: Vec<Option<String>>) -> Result<KeyTuple, BackfillError> {
        self.values(&self.key, row)
    }

    /// Reads values of columns from what the server printed.
    pub(super) fn values<'k>(
        &self,
        columns: impl IntoIterator<Item = &'k KeyColumn>,
        row: Vec<Option<String>>,
    ) -> Result<KeyTuple, BackfillError> {
        let values = columns.into_iter().zip(row).map(|(column, value)| {
            let text = value.unwrap_or_default();
            match self.fill.backend {
                Backend::Sqlite => KeyValue::of_quoted(&text),
                Backend::Postgres | Backend::Mysql => KeyValue::of(column.kind, text),
            }
        });
        let tuple = values.collect::<Result<Vec<_>, _>>().map_err(|source| BackfillError::Key {
            column: self.plan.contract.path().clone(),
            source,
        })?;
        Ok(KeyTuple(tuple))
    }
}

/// Chooses the way through: by blocks where the server finds them, and where each of the tables that
/// hold the rows may be read by its own name. Code goes by key where there is one: rows that other
/// programs move meanwhile stay in their place then, and code is slow enough for them to move.
fn route(session: &mut Session, job: &Job, settings: &Settings) -> Result<Route, BackfillError> {
    let Job { plan: Plan { contract, .. }, fill: Fill { source, .. }, key, .. } = job;
    let has_blocks = session.backend() == Backend::Postgres && session.server().at_least(14, 0);
    let prefers_key = match source {
        Source::Code { .. } => !key.is_empty(),
        Source::Sql(_) => false,
    };
    if has_blocks && !prefers_key && !settings.by_key {
        let relations = relations(session, contract.table(), contract.column())?;
        if key.is_empty() || relations.iter().all(|relation| relation.readable) {
            return Ok(Route::Blocks(relations));
        }
    }
    if key.is_empty() {
        return Err(BackfillError::NoKey { column: contract.path().clone() });
    }
    Ok(Route::Keys)
}

/// Plans the column as if it were not there yet, which is what its stages were planned on.
fn plan(contract: &Contract, session: &mut Session) -> Result<Plan, BackfillError> {
    let column = || contract.path().clone();
    let mut facts = read_for(session, contract)
        .map_err(|source| BackfillError::Facts { column: column(), source })?;
    if facts.column(contract.column()).is_none() {
        return Err(BackfillError::NotExpanded {
            column: column(),
            database: session.url().describe(),
        });
    }
    facts.columns.retain(|known| known.name != *contract.column());
    Plan::build(contract, &facts)
        .map_err(|source| BackfillError::Plan { column: column(), source: Box::new(source) })
}

/// Finds the columns that code reads.
fn reads(plan: &Plan, wanted: &[Wanted]) -> Result<Vec<Input>, BackfillError> {
    let known = |name: &str| {
        let mut columns = plan.facts.columns.iter().map(|column| &column.name);
        match plan.backend() {
            Backend::Postgres => columns.find(|known| known.as_str() == name),
            // SQLite would read a name that it does not know as a text.
            Backend::Mysql | Backend::Sqlite => {
                columns.find(|known| known.as_str().eq_ignore_ascii_case(name))
            }
        }
    };
    let input = |wanted: &Wanted| match known(wanted.name) {
        Some(name) => Ok(Input { name: name.clone(), form: wanted.form }),
        None => Err(BackfillError::NoInput {
            column: plan.contract.path().clone(),
            input: wanted.name.to_owned(),
        }),
    };
    wanted.iter().map(input).collect()
}

/// Returns the column's type as the server names it without length; of a domain, what it stands for.
fn cast(session: &mut Session, contract: &Contract) -> Result<SqlText, BackfillError> {
    let given = contract.sql_type(session.backend()).map(ToString::to_string).unwrap_or_default();
    if session.backend() != Backend::Postgres {
        return Ok(SqlText::stored(given));
    }
    let table = exact_literal(Backend::Postgres, &table(Backend::Postgres, contract.table()));
    let column = exact_literal(Backend::Postgres, contract.column().as_str());
    let found = session.value(&format!(
        "WITH RECURSIVE ty AS ( \
           SELECT a.atttypid AS oid FROM pg_catalog.pg_attribute a \
           WHERE a.attrelid = to_regclass({table}) AND a.attname = {column} \
           UNION SELECT t.typbasetype FROM ty JOIN pg_catalog.pg_type t ON t.oid = ty.oid \
           WHERE t.typtype = 'd') \
         SELECT pg_catalog.format_type(ty.oid, -1) FROM ty \
         JOIN pg_catalog.pg_type t ON t.oid = ty.oid WHERE t.typtype <> 'd'"
    ))?;
    Ok(SqlText::stored(found.unwrap_or(given)))
}

/// Returns the columns of a unique key without NULL, the primary one first; none where there is no
/// such key. SQLite's rows have their number, which is also their place in the file.
fn key(
    session: &mut Session,
    facts: &TableFacts,
    name: &TableName,
) -> Result<Vec<KeyColumn>, DbError> {
    let backend = session.backend();
    let column = |name: &Ident, ty: &str| typed(backend, name, ty);
    let sql = match backend {
        Backend::Sqlite => {
            let sqlite = facts.sqlite.as_ref();
            if sqlite.is_some_and(|table| table.without_rowid) {
                return Ok(facts.primary_key.iter().map(|name| column(name, "")).collect());
            }
            let taken = |name: &str| {
                facts.columns.iter().any(|c| c.name.as_str().eq_ignore_ascii_case(name))
            };
            let free = ["rowid", "_rowid_", "oid"].into_iter().find(|name| !taken(name));
            let name = free.and_then(|name| Ident::new(name).ok());
            return Ok(name.iter().map(|name| column(name, "integer")).collect());
        }
        Backend::Postgres => format!(
            "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM ( \
               SELECT i.indrelid, i.indkey, i.indnkeyatts FROM pg_catalog.pg_index i \
               WHERE i.indrelid = to_regclass({}) AND i.indisunique AND i.indisvalid \
                 AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL \
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a \
                   WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) \
                     AND (NOT a.attnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint c \
                       WHERE c.conrelid = i.indrelid AND c.contype = 'n' \
                         AND NOT c.convalidated AND a.attnum = ANY (c.conkey)))) \
               ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1) i \
             CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (number, place) \
             JOIN pg_catalog.pg_attribute a \
               ON a.attrelid = i.indrelid AND a.attnum = k.number \
             WHERE k.place <= i.indnkeyatts ORDER BY k.place",
            exact_literal(backend, &table(backend, name))
        ),
        Backend::Mysql => {
            let schema = mysql_schema(name);
            let table = exact_literal(backend, name.name.as_str());
            let of_table = format!("table_schema = {schema} AND table_name = {table}");
            format!(
                "SELECT s.column_name, c.data_type FROM information_schema.statistics s \
                 JOIN information_schema.columns c USING (table_schema, table_name, column_name) \
                 WHERE s.table_schema = {schema} AND s.table_name = {table} AND s.index_name = ( \
                   SELECT index_name FROM information_schema.statistics \
                   JOIN information_schema.columns c USING (table_schema, table_name, column_name) \
                   WHERE {of_table} AND non_unique = 0 GROUP BY index_name \
                   HAVING max(nullable = 'YES') = 0 AND max(sub_part IS NOT NULL) = 0 \
                     AND max(c.data_type IN ('float', 'double')) = 0 \
                   ORDER BY index_name = 'PRIMARY' DESC, count(*), index_name LIMIT 1) \
                 ORDER BY s.seq_in_index"
            )
        }
    };
    let mut columns = Vec::new();
    for row in session.query(&sql)? {
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        let (name, ty) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let Ok(name) = Ident::new(name) else { return Ok(Vec::new()) };
        columns.push(column(&name, &ty));
    }
    Ok(columns)
}

/// Reads the type of a contract's column, so that its values can be written down as those of keys.
pub(super) fn column(session: &mut Session, contract: &Contract) -> Result<KeyColumn, DbError> {
    let backend = session.backend();
    let (name, column) = (contract.table(), contract.column());
    let literal = exact_literal(backend, column.as_str());
    let ty = match backend {
        Backend::Sqlite => None,
        Backend::Postgres => session.value(&format!(
            "SELECT pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute \
             WHERE attrelid = to_regclass({}) AND attname = {literal}",
            exact_literal(backend, &table(backend, name))
        ))?,
        Backend::Mysql => session.value(&format!(
            "SELECT data_type FROM information_schema.columns \
             WHERE table_schema = {} AND table_name = {} AND column_name = {literal}",
            mysql_schema(name),
            exact_literal(backend, name.name.as_str())
        ))?,
    };
    let mut column = typed(backend, column, &ty.unwrap_or_default());
    // As values, as opposed to parts of a key, these are better read by their names.
    if backend == Backend::Mysql && matches!(column.ty.as_str(), "enum" | "set") {
        column.kind = KeyKind::Text;
    }
    Ok(column)
}

pub(super) fn typed(backend: Backend, name: &Ident, ty: &str) -> KeyColumn {
    KeyColumn { name: name.clone(), ty: ty.to_owned(), kind: kind(backend, ty) }
}

/// Returns the schema of a table as `information_schema` has it.
fn mysql_schema(name: &TableName) -> String {
    name.schema
        .as_ref()
        .map_or("database()".to_owned(), |schema| exact_literal(Backend::Mysql, schema.as_str()))
}

/// Values of a type are written so that they compare as they do in the index.
fn kind(backend: Backend, ty: &str) -> KeyKind {
    const INTEGERS: &[&str] =
        &["tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year"];
    const NUMBERS: &[&str] = &["decimal", "bit", "enum", "set"];
    const BYTES: &[&str] = &["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"];
    match backend {
        Backend::Postgres | Backend::Mysql | Backend::Sqlite if INTEGERS.contains(&ty) => {
            KeyKind::Integer
        }
        Backend::Mysql if NUMBERS.contains(&ty) => KeyKind::Number,
        Backend::Mysql if BYTES.contains(&ty) => KeyKind::Bytes,
        Backend::Postgres | Backend::Mysql | Backend::Sqlite => KeyKind::Text,
    }
}

/// Returns the tables that hold the rows, with their sizes.
fn relations(
    session: &mut Session,
    name: &TableName,
    column: &Ident,
) -> Result<Vec<Relation>, DbError> {
    let root = exact_literal(Backend::Postgres, &table(Backend::Postgres, name));
    let column = exact_literal(Backend::Postgres, column.as_str());
    // What an index needs of a column is in pg_depend, expressions and conditions included. Indexes
    // that only sum up blocks do not keep rows from staying on their page, from 16 on.
    let rows = session.query(&format!(
        "WITH RECURSIVE tree AS ( \
           SELECT to_regclass({root})::oid AS oid \
           UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid) \
         SELECT n.nspname, c.relname, \
           pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::bigint, \
           (greatest(c.reltuples, 0) * 1000 / greatest(c.relpages, 1))::bigint, \
           EXISTS (SELECT FROM pg_catalog.pg_depend d \
             JOIN pg_catalog.pg_class x ON x.oid = d.objid AND x.relkind = 'i' \
             JOIN pg_catalog.pg_am m ON m.oid = x.relam \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid \
             WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass \
               AND d.refobjid = c.oid AND a.attname = {column} \
               AND NOT (m.amname = 'brin' \
                 AND current_setting('server_version_num')::int >= 160000)), \
           pg_catalog.has_table_privilege(c.oid, 'SELECT') \
         FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'r' ORDER BY c.oid"
    ))?;
    let mut relations = Vec::new();
    for row in rows {
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || fields.next().unwrap_or_default();
        let (schema, table) = (next(), next());
        let (Ok(schema), Ok(table)) = (Ident::new(schema), Ident::new(table)) else { continue };
        relations.push(Relation {
            name: TableName { schema: Some(schema), name: table },
            blocks: next().parse().unwrap_or_default(),
            density: next().parse().unwrap_or_default(),
            indexed: next() == "t",
            readable: next() == "t",
        });
    }
    Ok(relations)
}
