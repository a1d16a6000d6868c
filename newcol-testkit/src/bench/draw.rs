//! Values for the parameters of a workload: those of rows of the table, and new ones.

use std::collections::BTreeMap;

use newcol_core::{
    backend::Backend,
    bench::workload::Values,
    db::{Row, Session},
    render::text,
};

use super::{
    literal::Kind,
    table::{FillError, Filled},
};

/// How values of a column are made that no row has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum New {
    /// By the server.
    Sql {
        /// The expression of the value with the number `v`.
        sql: String,
        /// The first number that no row has.
        first: u64,
    },
    /// Here.
    Made {
        /// Which values.
        kind: Kind,
        /// The first number that no row has.
        first: u64,
    },
}

/// Values of a table that was filled, to be drawn for a workload. Each new one is given out once, by
/// whichever clone counts for it: see [`Drawn::part`].
#[derive(Debug, Clone)]
pub struct Drawn {
    /// Literals of rows, by column.
    rows: BTreeMap<String, Vec<String>>,
    /// Literals that no row has, the next one last.
    new: BTreeMap<String, Vec<String>>,
    random: fastrand::Rng,
}

impl Filled {
    /// Reads values for the parameters of a workload: those of about so many rows, and so many new
    /// ones of each column whose values differ from row to row.
    ///
    /// # Errors
    ///
    /// Where the database cannot be asked.
    pub fn drawn(
        &self,
        session: &mut Session,
        (rows, new): (u64, u64),
        seed: u64,
    ) -> Result<Drawn, FillError> {
        let failed =
            |source| FillError::Database { table: self.table.dotted(), source: Box::new(source) };
        let backend = session.backend();
        let table = text::table(backend, &self.table);
        let columns: Vec<String> = self
            .types
            .iter()
            .map(|(name, ty)| {
                let name = text::quote(backend, name);
                match backend {
                    Backend::Postgres => written(&name, ty),
                    Backend::Mysql | Backend::Sqlite => format!("quote({name})"),
                }
            })
            .collect();
        let sample = match backend {
            Backend::Postgres => {
                let percent = (rows as f64 * 110.0 / self.rows.max(1) as f64).min(100.0);
                format!("TABLESAMPLE BERNOULLI ({percent}) REPEATABLE ({})", seed % 1_000_000)
            }
            Backend::Mysql | Backend::Sqlite => String::new(),
        };
        let found = session
            .query(&format!("SELECT {} FROM {table} {sample} LIMIT {rows}", columns.join(", ")))
            .map_err(failed)?;
        let column = |at: usize| {
            let value = |row: &Row| row.get(at).cloned().flatten().unwrap_or("NULL".to_owned());
            found.iter().map(value).collect()
        };
        let mut drawn = Drawn {
            rows: self
                .types
                .iter()
                .enumerate()
                .map(|(at, (name, _))| (name.clone(), column(at)))
                .collect(),
            new: BTreeMap::new(),
            random: fastrand::Rng::with_seed(seed),
        };
        for (name, of) in &self.new {
            let mut made: Vec<String> = match of {
                New::Made { kind, first } => {
                    (*first..first + new).map(|value| kind.literal(value, backend)).collect()
                }
                New::Sql { sql, first } => {
                    let ty = self.types.iter().find(|(known, _)| known == name);
                    let written = written(sql, ty.map_or("text", |(_, ty)| ty));
                    let last = first + new.max(1) - 1;
                    let series = format!("generate_series({first}::bigint, {last}) AS v");
                    let made = session.query(&format!("SELECT {written} FROM {series}"));
                    let first = |row: Row| row.into_iter().next().flatten();
                    made.map_err(failed)?.into_iter().filter_map(first).collect()
                }
            };
            made.reverse();
            drawn.new.insert(name.clone(), made);
        }
        Ok(drawn)
    }
}

/// Returns the expression of a typed literal.
fn written(value: &str, ty: &str) -> String {
    let ty = ty.replace('\'', "''");
    format!("coalesce(quote_literal(({value})::text), 'NULL') || '::{ty}'")
}

impl Drawn {
    /// Takes its share of the new values, so that threads that draw at the same time never draw the
    /// same one: part `at` of `of`.
    #[must_use]
    pub fn part(&self, at: usize, of: usize) -> Self {
        let share = |all: &Vec<String>| all.iter().skip(at).step_by(of.max(1)).cloned().collect();
        Self {
            rows: self.rows.clone(),
            new: self.new.iter().map(|(name, all)| (name.clone(), share(all))).collect(),
            random: fastrand::Rng::with_seed(self.random.clone().u64(..) ^ at as u64),
        }
    }
}

impl Values for Drawn {
    fn of_a_row(&mut self, column: &str) -> Option<String> {
        let values = self.rows.get(column)?;
        values.get(self.random.usize(..values.len().max(1))).cloned()
    }

    fn new_one(&mut self, column: &str) -> Option<String> {
        match self.new.get_mut(column) {
            Some(values) => values.pop(),
            None => self.of_a_row(column),
        }
    }

    fn random(&mut self) -> f64 {
        self.random.f64()
    }
}
