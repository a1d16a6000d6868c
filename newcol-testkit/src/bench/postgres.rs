//! Fills a table on PostgreSQL, by statements that make all rows at once.
//!
//! A small table is made first, of which the server says how wide values come out, how full pages get
//! and which checks the values meet; then the whole one. Constraints and indexes come after the rows,
//! as they do in a restored dump. Where pages are emptier in production than they come out, more rows
//! are made than wanted, and the ones too many are deleted and vacuumed away after the indexes are
//! there: so those have holes too.

mod candidates;
mod objects;

use std::collections::BTreeMap;

use newcol_core::{
    backend::Backend,
    bench::profile::{Column, ConstraintKind, Profile, Secrecy, Statistics, take},
    db::{DbError, OpenOptions, Session},
    ident::TableName,
    render::text,
};

use super::{
    check::{Check, What, compare},
    draw::New,
    ordinals::{Ordinals, Tuning},
    pairs::pairs,
    table::{FillError, Filled},
    value::Wanted,
};

/// Rows of the table that is made first.
const PILOT: u64 = 30_000;

/// How often each of the two tables is made again to come nearer.
const TRIES: u32 = 4;

pub(super) fn fill(
    session: &mut Session,
    profile: &Profile,
    rows: u64,
    seed: u64,
) -> Result<Filled, FillError> {
    let table: TableName = profile.table.parse()?;
    let mut making = Making {
        session,
        profile,
        quoted: text::table(Backend::Postgres, &table),
        columns: Vec::new(),
        left_out: Vec::new(),
        seed,
        table,
    };
    making.empty()?;
    making.learn()?;
    let pilot = rows.min(PILOT);
    let mut packed = None;
    for _ in 0..TRIES {
        making.insert((pilot, pilot))?;
        if making.mend_checks()? {
            continue;
        }
        let found = making.statistics()?;
        packed = found.rows_per_page();
        if !making.tune(&found, pilot, &[What::Width, What::Correlation]) {
            break;
        }
    }
    // Deleting rows of an aged table leaves as many to a page as there are in production.
    let age = match (packed, profile.rows_per_page()) {
        (Some(packed), Some(wanted)) => (packed / wanted).max(1.0),
        _ => 1.0,
    };
    let all = if age > 1.02 { (rows as f64 * age).round() as u64 } else { rows };
    for _ in 0..TRIES {
        making.insert((all, rows))?;
        let found = making.statistics()?;
        if !making.tune(&found, all, &[What::Width, What::Correlation, What::Distinct]) {
            break;
        }
    }
    making.constrain()?;
    if all > rows {
        making.delete(all, rows)?;
    }
    making.run(&format!("VACUUM ANALYZE {}", making.quoted))?;
    making.sequences()?;
    let found = making.statistics()?;
    let checks = compare(profile, &found, rows as f64);
    let new = making.new_values(all);
    let types = making.columns.iter();
    Ok(Filled {
        rows,
        checks,
        new,
        types: types.map(|of| (of.column.name.clone(), of.column.sql_type.clone())).collect(),
        table: making.table,
        left_out: making.left_out,
    })
}

/// A table that is being made.
struct Making<'m> {
    session: &'m mut Session,
    profile: &'m Profile,
    table: TableName,
    quoted: String,
    columns: Vec<Made<'m>>,
    left_out: Vec<String>,
    seed: u64,
}

/// A column that is being made.
struct Made<'m> {
    column: &'m Column,
    statistics: Statistics,
    tuning: Tuning,
    /// Values in their order that the table's checks let pass, where ours are not known to.
    candidates: Option<Vec<String>>,
    /// The column together with which it is unique.
    leader: Option<usize>,
    seed: u64,
}

impl<'m> Making<'m> {
    /// Makes the table without rows, constraints and indexes.
    fn empty(&mut self) -> Result<(), FillError> {
        let definition = &self.profile.definition;
        for sql in &definition.needs {
            self.or_leave_out(sql, "what the table needs cannot be made")?;
        }
        if let Some(schema) = &self.table.schema {
            let schema = text::name(Backend::Postgres, schema);
            let path = format!("{schema}, public");
            self.run(&format!(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path TO {path}', \
                 current_database()); END $$; SET search_path TO {path}"
            ))?;
        }
        self.run(&definition.table)?;
        for sql in &definition.after {
            self.or_leave_out(sql, "a default or a way of storing is not set")?;
        }
        if !definition.triggers.is_empty() {
            let triggers = definition.triggers.join("`, `");
            self.left_out.push(format!("triggers are not made: `{triggers}`"));
        }
        Ok(())
    }

    /// Finds out for each column how its values are made.
    fn learn(&mut self) -> Result<(), FillError> {
        let profile = self.profile;
        let is_unique = |name: &str| {
            let one = |columns: &[String]| matches!(columns, [only] if only == name);
            profile.definition.constraints.iter().any(|of| {
                matches!(of.kind, ConstraintKind::Primary | ConstraintKind::Unique)
                    && one(&of.columns)
            }) || profile.definition.indexes.iter().any(|of| of.is_unique && one(&of.columns))
        };
        for (at, column) in profile.columns.iter().enumerate() {
            if column.is_generated {
                continue;
            }
            let statistics = column.statistics.clone().unwrap_or_else(|| {
                self.left_out.push(format!(
                    "nothing is known of `{}`: {}",
                    column.name,
                    if is_unique(&column.name) {
                        "its values differ"
                    } else if column.is_nullable {
                        "it is NULL"
                    } else {
                        "it has one value"
                    }
                ));
                let unique = is_unique(&column.name);
                Statistics {
                    n_distinct: if unique { -1.0 } else { 1.0 },
                    null_frac: f64::from(u8::from(column.is_nullable && !unique)),
                    ..Statistics::default()
                }
            });
            self.columns.push(Made {
                column,
                statistics,
                tuning: Tuning::default(),
                candidates: None,
                leader: None,
                seed: self.seed.wrapping_mul(1000).wrapping_add(at as u64),
            });
        }
        let known: Vec<(&str, &Statistics)> =
            self.columns.iter().map(|of| (of.column.name.as_str(), &of.statistics)).collect();
        for (follows, leads) in pairs(profile, &known) {
            self.columns[follows].leader = Some(leads);
        }
        let mut refused = Vec::new();
        for at in 0..self.columns.len() {
            if !self.is_taken(at)? {
                refused.push(self.columns[at].column.name.clone());
            }
        }
        self.take_candidates(&refused)
    }

    /// Fills the table anew with rows of which so many will stay.
    fn insert(&mut self, rows: (u64, u64)) -> Result<(), FillError> {
        let quote = |name: &str| text::quote(Backend::Postgres, name);
        let (mut names, mut places, mut segments, mut numbers, mut values) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (at, of) in self.columns.iter().enumerate() {
            let mut ordinals = of.ordinals(rows);
            if let Some(leader) = of.leader {
                ordinals.follow(self.columns[leader].ordinals(rows));
            }
            names.push(quote(&of.column.name));
            let (p, s, v) = (format!("p{at}"), format!("s{at}"), format!("v{at}"));
            places.push(format!("{} AS {p}", ordinals.place_sql()));
            segments.push(p.clone());
            if let Some(sql) = ordinals.segment_sql(&p) {
                segments.push(format!("{sql} AS {s}"));
            }
            numbers.push(format!("{} AS {v}", ordinals.value_sql(&p, &s)));
            let sql = of.value_sql(&v, ordinals.distinct).unwrap_or("NULL".to_owned());
            values.push(match ordinals.nulls {
                0 => sql,
                _ => format!("CASE WHEN {v} IS NOT NULL THEN {sql} END"),
            });
        }
        let insert = format!(
            // Without the fences each expression would be computed again wherever it is used.
            "INSERT INTO {} ({}) SELECT {} FROM (SELECT {} FROM (SELECT {} FROM (SELECT {} \
             FROM generate_series(0::bigint, {}) AS i OFFSET 0) a OFFSET 0) b OFFSET 0) c",
            self.quoted,
            names.join(", "),
            values.join(", "),
            numbers.join(", "),
            segments.join(", "),
            places.join(", "),
            rows.0.saturating_sub(1)
        );
        self.run(&format!("TRUNCATE {}", self.quoted))?;
        self.run(&format!("SET synchronous_commit = off; {insert}"))?;
        self.run(&format!("ANALYZE {}", self.quoted))
    }

    /// Changes what is made where statistics are not those of the profile; reports whether another
    /// try is worth it.
    fn tune(&mut self, found: &Profile, rows: u64, of: &[What]) -> bool {
        let mut is_off = false;
        for check in compare(self.profile, found, rows as f64) {
            let name = check.column.as_ref();
            let column = self.columns.iter_mut().find(|of| Some(&of.column.name) == name);
            let (Some(column), true) = (column, of.contains(&check.what)) else { continue };
            // A third of what is allowed: the whole table is not the pilot.
            if (check.wanted - check.found).abs() <= check.within / 3.0 {
                continue;
            }
            is_off |= !check.holds();
            column.tune(&check);
        }
        is_off
    }

    fn statistics(&mut self) -> Result<Profile, FillError> {
        take((self.session.url(), &OpenOptions::read()), &self.table, Secrecy::NoValues)
            .map_err(|source| FillError::Statistics(Box::new(source)))
    }

    /// Says how values are made that no row has: of columns whose values nearly all differ.
    fn new_values(&self, rows: u64) -> BTreeMap<String, New> {
        let new = |of: &Made<'_>| {
            let ordinals = of.ordinals((rows, rows));
            let differ = ordinals.segments.is_empty() && of.candidates.is_none();
            let sql = of.value_sql("v", ordinals.distinct).filter(|_| differ)?;
            Some((of.column.name.clone(), New::Sql { sql, first: ordinals.places }))
        };
        self.columns.iter().filter_map(new).collect()
    }

    fn run(&mut self, sql: &str) -> Result<(), FillError> {
        self.session.batch(sql).map_err(|source| self.failed(source))
    }

    /// Runs what the table can do without; reports whether it could be done.
    fn or_leave_out(&mut self, sql: &str, what: &str) -> Result<bool, FillError> {
        match self.session.batch(sql) {
            Ok(()) => Ok(true),
            Err(error) if error.sqlstate().is_some() => {
                let said = error.failure().map_or_else(|| error.to_string(), ToString::to_string);
                self.left_out.push(format!("{what}: {said}"));
                Ok(false)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, source: DbError) -> FillError {
        FillError::Database { table: self.profile.table.clone(), source: Box::new(source) }
    }
}

impl Made<'_> {
    fn ordinals(&self, rows: (u64, u64)) -> Ordinals {
        let mut statistics = self.statistics.clone();
        if let Some(candidates) = &self.candidates {
            let most = candidates.len() as f64;
            if statistics.distinct(rows.1 as f64) > most {
                statistics.n_distinct = most;
            }
        }
        Ordinals::of(&statistics, rows, self.tuning, self.seed)
    }

    fn value_sql(&self, v: &str, distinct: u64) -> Option<String> {
        let ty = &self.column.sql_type;
        if let Some(candidates) = &self.candidates {
            let list = candidates.join(", ");
            return Some(format!("(ARRAY[{list}]::{ty}[])[1 + {v} % {}]", candidates.len()));
        }
        let width = self.statistics.avg_width.unwrap_or(8.0) + self.tuning.width;
        let wanted = Wanted {
            column: self.column,
            statistics: &self.statistics,
            distinct,
            width: width.max(1.0),
            seed: self.seed,
        };
        wanted.sql(v)
    }

    fn tune(&mut self, check: &Check) {
        let off = check.wanted - check.found;
        match check.what {
            What::Width => self.tuning.width += off,
            What::Correlation => self.tuning.correlation += off,
            What::Distinct => {
                self.tuning.distinct *= (check.wanted / check.found.max(1.0)).clamp(0.5, 2.0);
            }
            What::Rows
            | What::RowsPerPage
            | What::Nulls
            | What::MostCommon
            | What::Common
            | What::Shape => {}
        }
    }
}
