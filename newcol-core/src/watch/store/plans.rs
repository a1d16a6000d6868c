//! Plans, facts of indexes and scans on replicas, in the file.
//!
//! These tables came after the first version of the file. Who writes adds them; a file without them has
//! no plans, and earlier programs do not look at them.

use std::collections::BTreeMap;

use super::{Store, StoreError, Stored, maybe, number, schema, text, written};
use crate::watch::{
    index::Index,
    plans::{Plan, Use},
    replicas::ReplicaScans,
    series::QueryId,
    session::Fields,
    verdict::{ForeignKey, IndexFacts},
};

/// Made by whoever writes, where they are not there.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS plan (
    epoch INTEGER NOT NULL, statement INTEGER NOT NULL, at REAL NOT NULL, key TEXT NOT NULL,
    looks INTEGER NOT NULL, refused TEXT, PRIMARY KEY (epoch, statement, at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plan_use (
    epoch INTEGER NOT NULL, statement INTEGER NOT NULL, at REAL NOT NULL, name TEXT NOT NULL,
    use TEXT NOT NULL, loops REAL NOT NULL, searches INTEGER NOT NULL,
    PRIMARY KEY (epoch, statement, at, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS index_fact (
    name TEXT PRIMARY KEY, qualified TEXT NOT NULL, definition TEXT NOT NULL,
    leads INTEGER NOT NULL, is_unique INTEGER NOT NULL, is_primary INTEGER NOT NULL,
    is_exclusion INTEGER NOT NULL, is_replica_identity INTEGER NOT NULL,
    has_expression INTEGER NOT NULL, is_partial INTEGER NOT NULL, referred_to TEXT, refers TEXT,
    covered_by TEXT
);
CREATE TABLE IF NOT EXISTS replica (
    snapshot INTEGER NOT NULL, replica TEXT NOT NULL, name TEXT NOT NULL, scans INTEGER,
    refused TEXT, PRIMARY KEY (snapshot, replica, name)
) WITHOUT ROWID;
";

/// Stands for no index, where a replica could not be asked or has none.
const NO_INDEX: &str = "";

impl Store {
    fn has(&mut self, table: &str) -> Result<bool, StoreError> {
        let name = text(table);
        let rows = self
            .rows(&format!("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = {name}"))?;
        Ok(!rows.is_empty())
    }

    /// Returns the column whose file it is, as `table.column`.
    pub(in crate::watch) fn subject(&mut self) -> Result<String, StoreError> {
        Ok(Fields::of(self.rows("SELECT \"column\" FROM subject")?).text())
    }

    /// Returns the last snapshot.
    pub(in crate::watch) fn last_plain(&mut self) -> Result<Option<Stored>, StoreError> {
        let sql = format!("SELECT {} FROM snapshot ORDER BY id DESC LIMIT 1", schema::SNAPSHOT);
        Ok(self.rows(&sql)?.into_iter().next().map(written::snapshot))
    }

    /// Returns the time that the server has counted for each statement.
    pub(in crate::watch) fn counted_times(&mut self) -> Result<BTreeMap<QueryId, f64>, StoreError> {
        let rows = self.rows("SELECT id, sum(total) FROM counter GROUP BY id")?;
        let time = |row| {
            let mut fields = Fields::from(row);
            (QueryId(fields.number()), fields.number())
        };
        Ok(rows.into_iter().map(time).collect())
    }

    /// Returns the plans of the last epoch, oldest first.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn plans(&mut self) -> Result<Vec<Plan>, StoreError> {
        if !self.has("plan")? {
            return Ok(Vec::new());
        }
        let of_epoch = "epoch = (SELECT max(epoch) FROM snapshot)";
        let mut uses: BTreeMap<(i64, String), BTreeMap<String, Use>> = BTreeMap::new();
        for row in self.rows(&format!(
            "SELECT statement, printf('%!.17g', at), name, use, loops, searches FROM plan_use \
             WHERE {of_epoch}"
        ))? {
            let mut fields = Fields::from(row);
            let key = (fields.number(), fields.text());
            let (name, kind) = (fields.text(), fields.text());
            let used = match kind.as_str() {
                "always" => Use::Always { loops: fields.number(), searches: fields.number() },
                "sometimes" => Use::Sometimes,
                _ => Use::Never,
            };
            uses.entry(key).or_default().insert(name, used);
        }
        let rows = self.rows(&format!(
            "SELECT statement, printf('%!.17g', at), key, looks, refused FROM plan \
             WHERE {of_epoch} ORDER BY at"
        ))?;
        let plan = |row| {
            let mut fields = Fields::from(row);
            let (statement, at) = (fields.number(), fields.text());
            let (key, looks, refused) = (fields.text(), fields.number(), fields.maybe());
            let found = uses.remove(&(statement, at.clone())).unwrap_or_default();
            Plan {
                statement: QueryId(statement),
                at: at.parse().unwrap_or_default(),
                key,
                found: refused.map_or(Ok(found), Err),
                looks,
            }
        };
        Ok(rows.into_iter().map(plan).collect())
    }

    /// Keeps plans, and what reading them has cost: scans that are our own, and time.
    pub(in crate::watch) fn add_plans(
        &mut self,
        of: &Stored,
        plans: &[Plan],
        own: &[(String, u64)],
        busy_ms: f64,
    ) -> Result<(), StoreError> {
        let epoch = of.epoch;
        let rows = plans.iter().map(|plan| {
            let refused = maybe(plan.found.as_ref().err().map(|why| text(why)));
            let (at, key) = (number(plan.at), text(&plan.key));
            format!("({epoch}, {}, {at}, {key}, {}, {refused})", plan.statement, plan.looks)
        });
        self.insert("plan (epoch, statement, at, key, looks, refused)", rows)?;
        let uses = plans.iter().flat_map(|plan| {
            plan.found.iter().flatten().map(move |(name, used)| {
                let (kind, loops, searches) = match used {
                    Use::Always { loops, searches } => ("always", *loops, *searches),
                    Use::Sometimes => ("sometimes", 0.0, 0),
                    Use::Never => ("never", 0.0, 0),
                };
                format!(
                    "({epoch}, {}, {}, {}, {}, {}, {searches})",
                    plan.statement,
                    number(plan.at),
                    text(name),
                    text(kind),
                    number(loops)
                )
            })
        });
        self.insert("plan_use (epoch, statement, at, name, use, loops, searches)", uses)?;
        let id = of.id;
        let own =
            own.iter().map(|(name, scans)| format!("({id}, {}, 'own_scans', {scans})", text(name)));
        self.insert("measure (snapshot, object, name, value)", own)?;
        self.batch(&format!(
            "UPDATE snapshot SET busy_ms = busy_ms + {} WHERE id = {id}",
            number(busy_ms)
        ))
    }

    /// Returns what the catalog said of the column's indexes at the last snapshot.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn column_indexes(&mut self) -> Result<Vec<Index>, StoreError> {
        if !self.has("index_fact")? {
            return Ok(Vec::new());
        }
        let rows = self.rows(
            "SELECT name, qualified, definition, leads, is_unique, is_primary, is_exclusion, \
             is_replica_identity, has_expression, is_partial, referred_to, refers, covered_by \
             FROM index_fact ORDER BY name",
        )?;
        let index = |row| {
            let mut fields = Fields::from(row);
            let (name, qualified, definition) = (fields.text(), fields.text(), fields.text());
            let mut is = || fields.number::<i32>() != 0;
            let leads = is();
            let mut facts = IndexFacts {
                unique: is(),
                primary: is(),
                exclusion: is(),
                replica_identity: is(),
                expression: is(),
                partial: is(),
                ..IndexFacts::plain(qualified, definition, 0)
            };
            let (referred_to, refers) = (fields.maybe(), fields.maybe());
            facts.foreign_key =
                referred_to.map(ForeignKey::ReferredTo).or(refers.map(ForeignKey::Refers));
            facts.covered_by = fields.maybe();
            Index { name, leads, facts }
        };
        Ok(rows.into_iter().map(index).collect())
    }

    /// Replaces what the catalog says of the column's indexes.
    pub(in crate::watch) fn replace_indexes(
        &mut self,
        indexes: &[Index],
    ) -> Result<(), StoreError> {
        self.batch("DELETE FROM index_fact")?;
        let rows = indexes.iter().map(|Index { name, leads, facts }| {
            let (referred_to, refers) = match &facts.foreign_key {
                Some(ForeignKey::ReferredTo(name)) => (Some(text(name)), None),
                Some(ForeignKey::Refers(name)) => (None, Some(text(name))),
                None => (None, None),
            };
            let flags = [
                *leads,
                facts.unique,
                facts.primary,
                facts.exclusion,
                facts.replica_identity,
                facts.expression,
                facts.partial,
            ];
            let flags: Vec<String> = flags.iter().map(|is| i32::from(*is).to_string()).collect();
            format!(
                "({}, {}, {}, {}, {}, {}, {})",
                text(name),
                text(&facts.name),
                text(&facts.definition),
                flags.join(", "),
                maybe(referred_to),
                maybe(refers),
                maybe(facts.covered_by.as_deref().map(text)),
            )
        });
        self.insert(
            "index_fact (name, qualified, definition, leads, is_unique, is_primary, is_exclusion, \
             is_replica_identity, has_expression, is_partial, referred_to, refers, covered_by)",
            rows,
        )
    }

    /// Returns what replicas said, oldest first.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn replicas(&mut self) -> Result<Vec<ReplicaScans>, StoreError> {
        if !self.has("replica")? {
            return Ok(Vec::new());
        }
        let rows = self.rows(
            "SELECT snapshot, replica, name, scans, refused FROM replica ORDER BY snapshot, replica",
        )?;
        let mut all: Vec<ReplicaScans> = Vec::new();
        for row in rows {
            let mut fields = Fields::from(row);
            let (snapshot, replica, name) = (fields.number(), fields.text(), fields.text());
            let (scans, refused) = (fields.maybe_number(), fields.maybe());
            let is_same =
                |one: &&mut ReplicaScans| one.snapshot == snapshot && one.replica == replica;
            if all.last_mut().filter(is_same).is_none() {
                let scans = refused.map_or(Ok(Vec::new()), Err);
                all.push(ReplicaScans { snapshot, replica, scans });
            }
            if let (Some(ReplicaScans { scans: Ok(list), .. }), Some(scans)) =
                (all.last_mut(), scans)
            {
                list.push((name, scans));
            }
        }
        Ok(all)
    }

    /// Keeps what replicas said.
    pub(in crate::watch) fn add_replicas(
        &mut self,
        said: &[ReplicaScans],
    ) -> Result<(), StoreError> {
        let rows = said.iter().flat_map(|ReplicaScans { snapshot, replica, scans }| {
            let row = |name: &str, scans: Option<u64>, refused: Option<&str>| {
                let (scans, refused) =
                    (maybe(scans.map(|n| n.to_string())), maybe(refused.map(text)));
                format!("({snapshot}, {}, {}, {scans}, {refused})", text(replica), text(name))
            };
            match scans {
                Err(why) => vec![row(NO_INDEX, None, Some(why))],
                Ok(list) if list.is_empty() => vec![row(NO_INDEX, None, None)],
                Ok(list) => list.iter().map(|(name, n)| row(name, Some(*n), None)).collect(),
            }
        });
        self.insert("replica (snapshot, replica, name, scans, refused)", rows)
    }
}
