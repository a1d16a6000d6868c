//! Values of columns that the table's type and checks let pass.

use newcol_core::{
    backend::Backend,
    bench::profile::{Column, Constraint, ConstraintKind, Statistics},
    render::text,
};

use super::{FillError, Making, PILOT};
use crate::Rows;

/// How many values of rows that checks let pass are looked for.
const CANDIDATES: u64 = 200;

impl<'m> Making<'m> {
    /// Reports whether the first and the last values of a column are of its type.
    pub(super) fn is_taken(&mut self, at: usize) -> Result<bool, FillError> {
        let of = &self.columns[at];
        let last = of.ordinals((PILOT, PILOT)).distinct;
        let Some(sql) = of.value_sql("v", last) else { return Ok(false) };
        let asked = format!("SELECT count({sql}) FROM (VALUES (0::bigint), ({last})) AS t (v)");
        Ok(self.session.query(&asked).is_ok())
    }

    /// Looks for values of columns that the table's checks let pass, by trying rows.
    pub(super) fn take_candidates(&mut self, names: &[String]) -> Result<(), FillError> {
        if names.is_empty() {
            return Ok(());
        }
        self.run(&format!("TRUNCATE {}", self.quoted))?;
        let checks: Vec<&Constraint> = self.checks().collect();
        for check in &checks {
            self.or_leave_out(check.sql.as_deref().unwrap_or_default(), "a check is not made")?;
        }
        let rows = Rows::of(self.session, &self.table).map(Rows::without_nulls);
        for check in &checks {
            let name = text::quote(Backend::Postgres, &check.name);
            self.run(&format!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {name}", self.quoted))?;
        }
        let unknown = |column: &Column, source| FillError::Type {
            column: column.name.clone(),
            ty: column.sql_type.clone(),
            source,
        };
        let places: Vec<usize> = (0..self.columns.len())
            .filter(|at| names.contains(&self.columns[*at].column.name))
            .collect();
        for at in places {
            let column = self.columns[at].column;
            let rows = match &rows {
                Ok(rows) => rows,
                Err(_) if self.columns[at].candidates.is_some() => continue,
                Err(_) if column.is_nullable => {
                    self.left_out
                        .push(format!("no value is known for `{}`: it is NULL", column.name));
                    self.columns[at].statistics =
                        Statistics { null_frac: 1.0, ..Statistics::default() };
                    self.columns[at].candidates = Some(vec!["NULL".to_owned()]);
                    continue;
                }
                Err(_) => return Err(unknown(column, rows.err().map(Box::new))),
            };
            let Some(place) = rows.columns().iter().position(|name| name.as_str() == column.name)
            else {
                continue;
            };
            let literals =
                (1..=CANDIDATES).filter_map(|n| rows.literals(n).ok()?.get(place).cloned());
            let literals: Vec<String> = literals.filter(|literal| literal != "DEFAULT").collect();
            if literals.is_empty() {
                return Err(unknown(column, None));
            }
            let values: Vec<String> = literals
                .iter()
                .map(|literal| format!("(({literal})::{})", column.sql_type))
                .collect();
            let sorted = self.session.query(&format!(
                "SELECT quote_literal(v::text) FROM (VALUES {}) AS t (v) WHERE v IS NOT NULL \
                 GROUP BY v ORDER BY v",
                values.join(", ")
            ));
            let sorted = sorted.map_err(|source| self.failed(source))?;
            let sorted = sorted.into_iter().filter_map(|row| row.into_iter().next().flatten());
            self.columns[at].candidates = Some(sorted.collect());
        }
        Ok(())
    }

    fn checks(&self) -> impl Iterator<Item = &'m Constraint> + use<'m> {
        let all = self.profile.definition.constraints.iter();
        all.filter(|of| of.kind == ConstraintKind::Check && of.sql.is_some())
    }

    /// Finds checks that the rows do not meet, and looks for values that do; reports whether there are
    /// some now.
    pub(super) fn mend_checks(&mut self) -> Result<bool, FillError> {
        let mut wanted = Vec::new();
        for check in self.checks().collect::<Vec<_>>() {
            let sql = check.sql.as_deref().unwrap_or_default();
            if self.session.batch(&format!("BEGIN; {sql}; ROLLBACK")).is_err() {
                self.run("ROLLBACK")?;
                let of = self.columns.iter().filter(|of| {
                    check.columns.contains(&of.column.name) && of.candidates.is_none()
                });
                wanted.extend(of.map(|of| of.column.name.clone()));
            }
        }
        self.take_candidates(&wanted)?;
        Ok(!wanted.is_empty())
    }
}
