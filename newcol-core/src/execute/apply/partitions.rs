//! The index of a partitioned table on PostgreSQL, which no statement builds while programs write.
//!
//! It is built concurrently on one partition after the other, like any other index; then the
//! migration takes these in, all of them in one transaction. Whatever breaks off before leaves
//! valid indexes on some partitions, which the next run finds.

use std::{collections::BTreeSet, time::Instant};

use super::{
    ApplyError, Event, MigrationReport, Run,
    index::{Found, Settled, already},
    migration::Script,
    run::{Ended, remember},
    wish::Wish,
};
use crate::{
    backend::Backend,
    db::DbError,
    ident::Ident,
    render::text::{exact_literal, quote},
};

/// An index that a migration puts together.
pub(super) struct Parts {
    /// The index of the partitioned table.
    pub(super) whole: Wish,
    /// Its column.
    pub(super) column: Ident,
}

/// A partition that holds rows: its schema and its name.
type Leaf = (String, String);

impl Run<'_> {
    /// Builds the parts of an index before the migration is tried that puts them together. Returns
    /// how it ended where nothing is left to do.
    pub(super) fn build_parts(
        &mut self,
        script: &Script<'_>,
        report: &mut MigrationReport,
    ) -> Result<Option<Ended>, ApplyError> {
        match &script.parts {
            Some(parts) if self.is_partitioned(&parts.whole.table)? => {
                self.patiently(|run| run.on_every_partition(script, parts, report))
            }
            _ => Ok(None),
        }
    }

    /// Reports whether a table, as it is written, is partitioned.
    pub(super) fn is_partitioned(&mut self, table: &str) -> Result<bool, DbError> {
        let table = exact_literal(Backend::Postgres, table);
        self.session.query_bool(&format!(
            "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE oid = to_regclass({table}) AND relkind = 'p')"
        ))
    }

    fn on_every_partition(
        &mut self,
        script: &Script<'_>,
        parts: &Parts,
        report: &mut MigrationReport,
    ) -> Result<Option<Ended>, ApplyError> {
        let Parts { whole, .. } = parts;
        let wished = self.definition(whole)?;
        let other = |found: String| ApplyError::OtherIndex { index: whole.index.clone(), found };
        match self.found(whole, wished.as_deref())? {
            Found::Valid { is_same: true, .. } => {
                return self.is_there(script, parts, &whole.index, report).map(Some);
            }
            Found::Twin { name } => return self.is_there(script, parts, &name, report).map(Some),
            Found::Valid { definition, .. } => return Err(other(definition)),
            Found::Invalid { .. } => {
                return Err(other(
                    "one that is not valid, since partitions lack theirs".to_owned(),
                ));
            }
            Found::Nothing => {}
        }
        let mut done: BTreeSet<Leaf> = BTreeSet::new();
        let mut found = 0;
        loop {
            // Some may come while others are built.
            let all = self.leaves(&whole.table)?;
            let Some(leaf) = all.iter().find(|leaf| !done.contains(*leaf)) else { break };
            let place = (done.len() + 1, all.len());
            let before = report.statements.len();
            if let Some(ended) =
                self.on_partition(script, parts, (leaf, place), wished.as_deref(), report)?
            {
                return Ok(Some(ended));
            }
            found += usize::from(report.statements.len() == before);
            done.insert(leaf.clone());
        }
        if found > 0 {
            report.notes.push(format!(
                "{found} of {} partitions had the index already, and it is valid",
                done.len()
            ));
        }
        Ok(None)
    }

    /// Writes down that an index of the whole table was there.
    fn is_there(
        &mut self,
        script: &Script<'_>,
        parts: &Parts,
        name: &str,
        report: &mut MigrationReport,
    ) -> Result<Ended, ApplyError> {
        if !self.write_down(script)? {
            return Ok(Ended::AlreadyThere);
        }
        report.notes.extend(already(&parts.whole, name, false));
        Ok(Ended::Done(report.clone()))
    }

    fn on_partition(
        &mut self,
        script: &Script<'_>,
        parts: &Parts,
        (leaf, (number, all)): (&Leaf, (usize, usize)),
        wished: Option<&str>,
        report: &mut MigrationReport,
    ) -> Result<Option<Ended>, ApplyError> {
        let started = Instant::now();
        for tries in 1.. {
            let (wish, found) = self.wish_for(leaf, parts, wished)?;
            if matches!(found, Found::Valid { .. } | Found::Twin { .. }) {
                return Ok(None);
            }
            let Wish { index, table, rest, .. } = &wish;
            self.told.tell(&Event::Note(format!("partition {number} of {all}: {table}")));
            let index = quote(Backend::Postgres, index);
            let sql = format!("CREATE INDEX CONCURRENTLY {index} ON {table}{rest}");
            let failed = match self.settle(script, &wish, wished, &sql, report)? {
                Settled::There { .. } | Settled::Gone => return Ok(None),
                Settled::Stopped => return Ok(Some(Ended::Stopped)),
                Settled::Failed(failed) => failed,
            };
            remember(&mut report.blockers, failed.by.clone());
            if !failed.is_lost() && !self.leaves(&parts.whole.table)?.contains(leaf) {
                report.notes.push(format!("{table} is no partition any more, and was passed over"));
                return Ok(None);
            }
            if !failed.is_passing {
                let migration = script.migration.name.clone();
                let source = Box::new(failed.source);
                return Err(ApplyError::Failed { migration, source, in_part: false });
            }
            self.held_up(script.migration, failed, tries, started.elapsed())?;
            let rest = self.settings.budget.rest(tries, fastrand::f64());
            if self.told.stop.wait(rest) {
                return Ok(Some(Ended::Stopped));
            }
        }
        unreachable!("tries are counted until something ends them")
    }

    /// Returns the index wished for a partition, and what is there of it: named as the server would,
    /// with a number where that name is taken.
    fn wish_for(
        &mut self,
        (schema, name): &Leaf,
        parts: &Parts,
        wished: Option<&str>,
    ) -> Result<(Wish, Found), DbError> {
        let part = |name: &str| quote(Backend::Postgres, name);
        let table = format!("{}.{}", part(schema), part(name));
        for number in 0_u32.. {
            let suffix = if number == 0 { "idx".to_owned() } else { format!("idx{number}") };
            let index = Ident::derived(&[name, parts.column.as_str(), &suffix]).to_string();
            let wish = Wish { index, table: table.clone(), ..parts.whole.clone() };
            let found = self.found(&wish, wished)?;
            if !matches!(found, Found::Valid { is_same: false, .. }) {
                return Ok((wish, found));
            }
        }
        unreachable!("names do not run out")
    }

    /// Returns the partitions that hold rows, on every level; foreign ones have no indexes here.
    fn leaves(&mut self, table: &str) -> Result<Vec<Leaf>, DbError> {
        let table = exact_literal(Backend::Postgres, table);
        let rows = self.session.query(&format!(
            "SELECT n.nspname, c.relname FROM pg_catalog.pg_partition_tree(to_regclass({table})) t \
             JOIN pg_catalog.pg_class c ON c.oid = t.relid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE t.isleaf AND c.relkind = 'r' ORDER BY 1, 2"
        ))?;
        let read = |row: Vec<Option<String>>| {
            let mut values = row.into_iter().flatten();
            Some((values.next()?, values.next()?))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }
}
