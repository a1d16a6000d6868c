//! The tables that a stage locks on PostgreSQL: with its own table its partitions and heirs, and with
//! a foreign key the table it points to.
//!
//! A limit of waits holds for each lock alone. Whoever waits for the second one holds the first, and
//! everybody behind that waits for both; so where there are several, they are taken together, before
//! anything else, and share one limit.

use std::time::Duration;

use crate::{
    backend::Backend,
    db::{DbError, Session},
    ident::TableName,
    plan::effect::Lock,
    render::text::{self, exact_literal},
    sql::Statement,
};

/// What a stage locks so that programs wait.
pub(super) struct Locking {
    table: TableName,
    /// Tables that a new foreign key points to, as they are written.
    parents: Vec<String>,
    /// Constraints and columns that go, as they are written: a foreign key may be, or go, with them.
    gone: Vec<String>,
    /// The strongest lock that its statements take at once.
    mode: Option<Lock>,
}

/// A table that is locked.
pub(super) struct Locked {
    pub(super) oid: String,
    /// Whether the role may lock it by itself: to point to a table takes less, and nobody may lock a
    /// foreign one.
    may_lock: bool,
}

impl Locking {
    pub(super) fn of(table: TableName, text: &str, statements: &[&Statement]) -> Self {
        let names = |words: &[&str]| {
            let ranges = statements.iter().flat_map(|one| one.name_ranges_after(words));
            ranges.map(|range| text[range].to_owned()).collect::<Vec<_>>()
        };
        Self {
            table,
            parents: names(&["REFERENCES"]),
            gone: [names(&["DROP", "CONSTRAINT"]), names(&["DROP", "COLUMN"])].concat(),
            mode: statements.iter().filter_map(|one| mode(one)).max(),
        }
    }

    /// Returns the locks of others that are in its way, as `pg_locks` spells those that are not.
    pub(super) fn harmless(&self) -> &'static [&'static str] {
        match self.mode {
            Some(Lock::AccessExclusive) => &[],
            // Readers are not in the way of whoever only keeps writers out.
            _ => &["AccessShareLock", "RowShareLock"],
        }
    }

    /// Returns the tables, in the order in which programs lock them.
    pub(super) fn tables(&self, session: &mut Session) -> Result<Vec<Locked>, DbError> {
        let literal = |text: &String| exact_literal(Backend::Postgres, text);
        let list = |texts: &[String]| texts.iter().map(literal).collect::<Vec<_>>().join(", ");
        let own = literal(&text::table(Backend::Postgres, &self.table));
        let quoted = |name: &str| format!("'\"' || replace({name}, '\"', '\"\"') || '\"'");
        let rows = session.query(&format!(
            "WITH RECURSIVE own (id, depth) AS (SELECT to_regclass({own})::oid, 0 \
               UNION ALL SELECT i.inhrelid, o.depth + 1 FROM pg_catalog.pg_inherits i JOIN own o ON o.id = i.inhparent), \
             gone (name) AS (SELECT unnest(ARRAY[{gone}]::text[])), \
             parent (id, depth) AS (SELECT to_regclass(p)::oid, 1000 FROM unnest(ARRAY[{parents}]::text[]) AS p \
               UNION ALL SELECT c.confrelid, 1000 FROM pg_catalog.pg_constraint c JOIN own o ON o.id = c.conrelid \
                 WHERE c.contype = 'f' AND EXISTS (SELECT 1 FROM gone g WHERE g.name = {conname} OR g.name IN \
                   (SELECT {attname} FROM pg_catalog.pg_attribute a \
                    WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey))) \
               UNION ALL SELECT i.inhrelid, p.depth + 1 FROM pg_catalog.pg_inherits i JOIN parent p ON p.id = i.inhparent) \
             SELECT id, min(depth), bool_or(has_table_privilege(id, 'UPDATE, DELETE, TRUNCATE') AND k.relkind <> 'f') \
             FROM (SELECT * FROM own UNION ALL SELECT * FROM parent) AS t \
             JOIN pg_catalog.pg_class k ON k.oid = t.id \
             GROUP BY id ORDER BY 2, 1",
            gone = list(&self.gone),
            parents = list(&self.parents),
            conname = quoted("c.conname::text"),
            attname = quoted("a.attname::text"),
        ))?;
        let read = |row: Vec<Option<String>>| {
            let mut values = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || values.next().unwrap_or_default();
            let (oid, _, may_lock) = (next(), next(), next());
            Locked { oid, may_lock: may_lock == "t" }
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Returns the statement that takes all locks within one limit; `None` where there is only one, or
    /// where they come later.
    ///
    /// Those that it may not take are left a part of what remains of the limit.
    pub(super) fn statement(
        &self,
        session: &mut Session,
        limit: Duration,
    ) -> Result<Option<String>, DbError> {
        let Some(mode) = self.mode else { return Ok(None) };
        let tables = self.tables(session)?;
        if tables.len() < 2 {
            return Ok(None);
        }
        let (own, others): (Vec<&Locked>, Vec<&Locked>) =
            tables.iter().partition(|table| table.may_lock);
        let oids: Vec<&str> = own.iter().map(|table| table.oid.as_str()).collect();
        let (limit, oids) = (limit.as_millis().max(1), oids.join(", "));
        let (mode, left) = (mode.name(), others.len().max(1));
        Ok(Some(format!(
            "DO $newcol$ DECLARE one oid; \
             until timestamptz := clock_timestamp() + interval '{limit} milliseconds'; \
             rest float8 := {limit}; \
             BEGIN FOREACH one IN ARRAY ARRAY[{oids}]::oid[] LOOP \
             EXECUTE format('LOCK TABLE ONLY %s IN {mode} MODE', one::regclass); \
             rest := extract(epoch FROM until - clock_timestamp()) * 1000; \
             IF rest < 1 THEN RAISE lock_not_available USING MESSAGE = \
             'could not lock all tables within the limit'; END IF; \
             PERFORM set_config('lock_timeout', ceil(rest)::text, true); \
             END LOOP; \
             PERFORM set_config('lock_timeout', ceil(rest / {left})::text, true); END $newcol$"
        )))
    }
}

/// Returns what a statement locks its table with; `None` where it locks nothing at once, as a block
/// that reads first.
fn mode(statement: &Statement) -> Option<Lock> {
    if statement.is_gentle() {
        return None;
    }
    let adds_key = || {
        let words = statement.words();
        let has = |wanted: [&str; 2]| words.windows(2).any(|two| two == wanted);
        has(["ADD", "CONSTRAINT"]) && has(["FOREIGN", "KEY"])
    };
    if statement.starts(&["ALTER", "TABLE"]) {
        Some(if adds_key() { Lock::ShareRowExclusive } else { Lock::AccessExclusive })
    } else if statement.starts(&["CREATE", "TRIGGER"]) {
        Some(Lock::ShareRowExclusive)
    } else if statement.starts(&["DROP", "TRIGGER"]) {
        Some(Lock::AccessExclusive)
    } else {
        None
    }
}
