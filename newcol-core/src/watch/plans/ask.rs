//! The questions to the server that plans take.

use std::collections::BTreeMap;

use super::{Scan, Use, Uses, scans, text::UNKNOWN_LIST, with_sample};
use crate::{
    backend::Backend,
    db::{DbError, Row, quote::literal},
    ident::ColumnPath,
    watch::{
        index::holds,
        session::{Fields, MARK, Reading},
        snapshot::parts,
    },
};

/// Since when a statement can be planned without its values.
const GENERIC_PLAN: u32 = 160_000;

/// A prepared statement that lives from one question to the next.
const PREPARED: &str = "newcol_watch";

/// What plans depend on, besides their text.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) now: f64,
    /// The table's indexes and the time of its last `ANALYZE`.
    pub(super) schema: String,
    /// Indexes of the column: number and name.
    pub(super) indexes: Vec<(String, String)>,
    /// Whether somebody holds or waits for a lock against everybody.
    pub(super) is_locked: bool,
    /// Values at both ends, as literals.
    pub(super) samples: Vec<String>,
}

impl Reading<'_> {
    pub(super) fn scene(
        &mut self,
        table: &str,
        attribute: i32,
        column: &ColumnPath,
    ) -> Result<Scene, DbError> {
        let parts = parts(table);
        let rows = self.rows(&format!(
            "SELECT extract(epoch FROM clock_timestamp()), \
             (SELECT string_agg(i.indexrelid || ' ' || i.indisvalid, ',' ORDER BY i.indexrelid) \
             FROM pg_catalog.pg_index i WHERE i.indrelid IN ({parts})), \
             (SELECT max(greatest(s.last_analyze, s.last_autoanalyze)) \
             FROM pg_catalog.pg_stat_user_tables s WHERE s.relid IN ({parts})), \
             EXISTS (SELECT FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_index x \
             ON x.indexrelid = l.relation WHERE l.mode = 'AccessExclusiveLock' \
             AND coalesce(x.indrelid, l.relation) IN ({parts}))"
        ))?;
        let mut fields = Fields::of(rows);
        let now = fields.number();
        let schema = format!("{} {}", fields.text(), fields.text());
        let is_locked = fields.is_true();
        let rows = self.rows(&format!(
            "SELECT i.indexrelid, c.relname FROM pg_catalog.pg_index i \
             JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             WHERE i.indrelid IN ({parts}) AND {}",
            holds("i", table, attribute)
        ))?;
        let named = |row| {
            let mut fields = Fields::from(row);
            (fields.text(), fields.text())
        };
        let indexes = rows.into_iter().map(named).collect();
        let name = literal(Backend::Postgres, column.column.as_str());
        let rows = self.rows(&format!(
            "SELECT b[array_upper(b, 1)], b[1] FROM (SELECT coalesce(\
             s.histogram_bounds::text::text[], s.most_common_vals::text::text[]) AS b \
             FROM pg_catalog.pg_stats s JOIN pg_catalog.pg_class c ON c.relname = s.tablename \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname \
             WHERE c.oid = {table} AND s.attname = {name} ORDER BY s.inherited DESC LIMIT 1) v"
        ))?;
        let mut fields = Fields::of(rows);
        let ends = [fields.maybe(), fields.maybe()];
        let samples =
            ends.into_iter().flatten().map(|value| literal(Backend::Postgres, &value)).collect();
        Ok(Scene { now, schema, indexes, is_locked, samples })
    }

    /// Returns the scans of the column's indexes that this session has caused, by their names.
    pub(super) fn scans_so_far(&mut self, scene: &Scene) -> Result<BTreeMap<String, u64>, DbError> {
        let numbers: Vec<&str> = scene.indexes.iter().map(|(oid, _)| oid.as_str()).collect();
        let rows = self.rows(&format!(
            "SELECT c.relname, coalesce(pg_stat_get_xact_numscans(c.oid), 0) \
             FROM pg_catalog.pg_class c WHERE c.oid IN ({})",
            numbers.join(", ")
        ))?;
        let scans = |row| {
            let mut fields = Fields::from(row);
            (fields.text(), fields.number())
        };
        Ok(rows.into_iter().map(scans).collect())
    }

    /// Plans a statement, without values and then with some, and counts the planner's looks.
    pub(super) fn plan(
        &mut self,
        scene: &Scene,
        version: u32,
        (text, column): (&str, &ColumnPath),
    ) -> Result<(Uses, u64), DbError> {
        let (plain, mut looks) = match self.looking(scene, version, text)? {
            Ok(found) => found,
            Err(why) => return Ok((Err(why), 0)),
        };
        // How 18 and later show lists of any length.
        let is_list_cut = text.contains("/*, ... */");
        let named = |plan: &[Scan], name: &str| -> Option<Use> {
            let mine: Vec<&Scan> = plan.iter().filter(|scan| scan.index == name).collect();
            let loops: f64 = mine.iter().map(|scan| scan.loops).sum();
            let shown = mine.iter().map(|scan| scan.searches).max()?;
            let searches = if is_list_cut { shown.max(UNKNOWN_LIST) } else { shown };
            Some(Use::Always { loops, searches })
        };
        let mut uses: BTreeMap<String, Use> = scene
            .indexes
            .iter()
            .map(|(_, name)| (name.clone(), named(&plain, name).unwrap_or(Use::Never)))
            .collect();
        for sample in &scene.samples {
            let Some(with_value) = with_sample(text, column, sample) else { break };
            // A value of another type than the column's tells nothing.
            let Ok((plan, looked)) = self.looking(scene, version, &with_value)? else { continue };
            looks = looks.max(looked);
            for (name, known) in &mut uses {
                if *known == Use::Never && named(&plan, name).is_some() {
                    *known = Use::Sometimes;
                }
            }
        }
        Ok((Ok(uses), looks))
    }

    /// Plans a statement and counts how often that looks at the ends of one of the indexes.
    fn looking(
        &mut self,
        scene: &Scene,
        version: u32,
        text: &str,
    ) -> Result<Result<(Vec<Scan>, u64), String>, DbError> {
        let before = self.scans_so_far(scene)?;
        let plan = match self.explain(version, text)? {
            Ok(plan) => plan,
            Err(why) => return Ok(Err(why)),
        };
        let after = self.scans_so_far(scene)?;
        let looked =
            |(name, scans): (&String, &u64)| Some(scans.saturating_sub(*before.get(name)?));
        Ok(Ok((plan, after.iter().filter_map(looked).max().unwrap_or_default())))
    }

    /// Returns the scans of a statement's plan, or why there is none.
    fn explain(&mut self, version: u32, text: &str) -> Result<Result<Vec<Scan>, String>, DbError> {
        let plan = if version >= GENERIC_PLAN {
            self.attempt(&[format!("EXPLAIN {MARK} (GENERIC_PLAN) {text}")])?
        } else {
            self.explain_prepared(text)?
        };
        Ok(plan.map(|rows| {
            let lines: Vec<String> = rows.into_iter().map(|row| Fields::from(row).text()).collect();
            scans(&lines)
        }))
    }

    /// The same before 16: a prepared statement whose plan must not look at its values.
    fn explain_prepared(&mut self, text: &str) -> Result<Result<Vec<Row>, String>, DbError> {
        let prepared = self.attempt(&[format!("PREPARE {PREPARED} {MARK} AS {text}")])?;
        if let Err(why) = prepared {
            return Ok(Err(why));
        }
        let rows = self.rows(&format!(
            "SELECT cardinality(parameter_types) FROM pg_catalog.pg_prepared_statements \
             WHERE name = '{PREPARED}'"
        ))?;
        let parameters: usize = Fields::of(rows).number();
        let values = match parameters {
            0 => String::new(),
            some => format!("({})", vec!["NULL"; some].join(", ")),
        };
        let plan = self.attempt(&[
            "SET LOCAL plan_cache_mode = force_generic_plan".to_owned(),
            format!("EXPLAIN {MARK} EXECUTE {PREPARED}{values}"),
        ])?;
        // It would outlive the transaction.
        self.attempt(&[format!("DEALLOCATE {PREPARED}")])?
            .map_or_else(|why| Ok(Err(why)), |_| Ok(plan))
    }
}
