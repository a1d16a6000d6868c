//! What a table has besides rows: constraints, indexes, parents, sequences, holes.

use newcol_core::{
    backend::Backend,
    bench::profile::{Constraint, ConstraintKind},
    render::text,
};

use super::{FillError, Making};
use crate::values::text_literal;

impl Making<'_> {
    /// Makes constraints and indexes, and the tables to which foreign keys lead.
    pub(super) fn constrain(&mut self) -> Result<(), FillError> {
        let definition = &self.profile.definition;
        for of in &definition.constraints {
            if of.kind == ConstraintKind::Foreign && !self.parent(of)? {
                continue;
            }
            if let Some(sql) = &of.sql {
                self.or_leave_out(sql, &format!("the constraint `{}` is not made", of.name))?;
            }
        }
        for of in &definition.indexes {
            if let Some(sql) = &of.sql {
                self.or_leave_out(sql, &format!("the index `{}` is not made", of.name))?;
            }
        }
        Ok(())
    }

    /// Makes the table to which a foreign key leads, with nothing but the rows and columns it needs.
    fn parent(&mut self, of: &Constraint) -> Result<bool, FillError> {
        let Some(references) = &of.references else { return Ok(false) };
        let quote = |name: &String| text::quote(Backend::Postgres, name);
        let own = text_literal(self.session.server().product, &references.table);
        let mine = text_literal(self.session.server().product, &self.quoted);
        let is_self = format!("SELECT to_regclass({own}) = to_regclass({mine})");
        if self.session.query_bool(&is_self).map_err(|source| self.failed(source))? {
            self.left_out.push(format!("`{}` is not made: it refers to the table itself", of.name));
            return Ok(false);
        }
        let pairs = of.columns.iter().zip(&references.columns);
        let selected: Vec<String> =
            pairs.map(|(here, there)| format!("{} AS {}", quote(here), quote(there))).collect();
        let filled: Vec<String> =
            of.columns.iter().map(|here| format!("{} IS NOT NULL", quote(here))).collect();
        let rows = format!(
            "SELECT DISTINCT {} FROM {} WHERE {}",
            selected.join(", "),
            self.quoted,
            filled.join(" AND ")
        );
        let there: Vec<String> = references.columns.iter().map(quote).collect();
        let (parent, there) = (&references.table, there.join(", "));
        let exists = format!("SELECT to_regclass({own}) IS NOT NULL");
        let sql = if self.session.query_bool(&exists).map_err(|source| self.failed(source))? {
            format!("INSERT INTO {parent} ({there}) {rows} ON CONFLICT DO NOTHING")
        } else {
            self.left_out.push(format!(
                "`{parent}` has only the columns and rows that `{}` refers to",
                of.name
            ));
            format!(
                "CREATE TABLE {parent} AS {rows}; ALTER TABLE {parent} ADD UNIQUE ({there}); ANALYZE {parent}"
            )
        };
        self.or_leave_out(&sql, &format!("`{}` is not made: its parent cannot be", of.name))
    }

    /// Deletes as many rows as are too many, all over the table.
    pub(super) fn delete(&mut self, all: u64, rows: u64) -> Result<(), FillError> {
        self.run(&format!(
            "DELETE FROM {0} t USING (SELECT ctid AS c, row_number() OVER () AS n FROM {0}) s \
             WHERE t.ctid = s.c AND s.n * {rows} / {all} = (s.n - 1) * {rows} / {all}",
            self.quoted
        ))
    }

    /// Lets sequences go on after the highest value.
    pub(super) fn sequences(&mut self) -> Result<(), FillError> {
        let mine = text_literal(self.session.server().product, &self.quoted);
        let found = self.session.query(&format!(
            "SELECT d.refobjid::regclass, quote_ident(a.attname) FROM pg_catalog.pg_attrdef x \
             JOIN pg_catalog.pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = x.oid \
             JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind = 'S' \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = x.adrelid AND a.attnum = x.adnum \
             WHERE x.adrelid = to_regclass({mine}) UNION ALL \
             SELECT d.objid::regclass, quote_ident(a.attname) FROM pg_catalog.pg_depend d \
             JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S' \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
             WHERE d.deptype = 'i' AND d.refobjid = to_regclass({mine})"
        ));
        for row in found.map_err(|source| self.failed(source))? {
            if let [Some(sequence), Some(column)] = row.as_slice() {
                let sequence = text_literal(self.session.server().product, sequence);
                self.run(&format!(
                    "SELECT setval({sequence}, greatest(1, (SELECT max({column}) FROM {})))",
                    self.quoted
                ))?;
            }
        }
        Ok(())
    }
}
