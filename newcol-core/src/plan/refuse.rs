//! Refuses what an engine cannot do, before anything is planned.

use super::{build::Builder, error::PlanError, facts::Hindrance, volatility};
use crate::{
    backend::{Backend, Product},
    contract::{Answer, Expr},
    ident::Ident,
};

impl Builder<'_> {
    /// Checks names, fragments and columns, then every wish that some engine cannot fulfil.
    pub(super) fn refuse(&self) -> Result<(), PlanError> {
        self.check_names()?;
        self.check_fragments()?;
        self.check_columns()?;
        self.check_type()?;
        self.check_generated()?;
        self.check_hindrance()?;
        self.check_index()?;
        self.check_check()?;
        self.check_replaced()
    }

    fn check_names(&self) -> Result<(), PlanError> {
        let backend = self.backend();
        self.contract.column().fits(backend)?;
        if let Some(name) = self.contract.answers().index.as_ref().and_then(|i| i.name.as_ref()) {
            name.fits(backend)?;
        }
        Ok(())
    }

    /// The SQL fragments of the contract for this engine.
    fn fragments(&self) -> Vec<(Answer, &'static str, &Expr)> {
        let backend = self.backend();
        let answers = self.contract.answers();
        let index = answers.index.as_ref();
        let replaces = answers.replaces.as_ref();
        [
            (Answer::OldRows, "fill", self.contract.sql_fill(backend)),
            (Answer::Default, "default", self.contract.default(backend)),
            (Answer::Generated, "generation expression", answers.generated.get(backend)),
            (Answer::Check, "check", answers.check.get(backend)),
            (Answer::Index, "index predicate", index.and_then(|i| i.predicate.get(backend))),
            (Answer::Replaces, "back expression", replaces.and_then(|r| r.back.get(backend))),
        ]
        .into_iter()
        .filter_map(|(answer, what, expr)| Some((answer, what, expr?)))
        .collect()
    }

    fn check_fragments(&self) -> Result<(), PlanError> {
        let backend = self.backend();
        let wrong = |answer, what, text: &str, source| PlanError::Fragment {
            column: self.path(),
            answer,
            what,
            text: text.to_owned(),
            backend,
            source,
        };
        let Some(ty) = self.contract.sql_type(backend) else {
            return Err(PlanError::NoType { column: self.path(), backend });
        };
        ty.check(backend).map_err(|e| wrong(Answer::Type, "type", ty.as_str(), e))?;
        for (answer, what, expr) in self.fragments() {
            expr.check(backend).map_err(|e| wrong(answer, what, expr.as_str(), e))?;
        }
        Ok(())
    }

    fn check_columns(&self) -> Result<(), PlanError> {
        let facts = self.facts;
        if facts.columns.is_empty() {
            return Ok(());
        }
        let wished = self.contract.column();
        let exists = match self.backend() {
            Backend::Postgres => facts.column(wished).is_some(),
            // Quoted or not, a name is the same in any case there.
            Backend::Mysql | Backend::Sqlite => {
                let lower = wished.as_str().to_lowercase();
                facts.columns.iter().any(|c| c.name.as_str().to_lowercase() == lower)
            }
        };
        if exists {
            return Err(PlanError::ColumnExists { column: self.path() });
        }
        if let Some(replaces) = &self.contract.answers().replaces
            && facts.column(&replaces.column).is_none()
        {
            let old = replaces.column.clone();
            return Err(PlanError::NoReplacedColumn { column: self.path(), old });
        }
        let include = self.contract.answers().index.iter().flat_map(|index| &index.include);
        if let Some(name) = include.into_iter().find(|name| facts.column(name).is_none()) {
            return Err(PlanError::NoSuchColumn {
                column: self.path(),
                answer: Answer::Index,
                what: "index",
                name: name.clone(),
            });
        }
        for (answer, what, expr) in self.fragments() {
            for name in volatility::column_refs(expr, self.backend()).unwrap_or_default() {
                if !self.names_a_column(&name) {
                    return Err(PlanError::NoSuchColumn {
                        column: self.path(),
                        answer,
                        what,
                        name,
                    });
                }
            }
        }
        Ok(())
    }

    /// Unquoted names match as the engines match them: in any case.
    fn names_a_column(&self, name: &Ident) -> bool {
        let same = |other: &Ident| other.as_str().eq_ignore_ascii_case(name.as_str());
        same(self.contract.column()) || self.facts.columns.iter().any(|c| same(&c.name))
    }

    fn check_type(&self) -> Result<(), PlanError> {
        let ty = self.contract.sql_type(self.backend()).map_or("", |t| t.as_str());
        let word = ty.to_ascii_lowercase();
        if self.backend() == Backend::Postgres
            && ["serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"]
                .contains(&word.as_str())
        {
            return Err(self.unable(
                Answer::Type,
                format!("add `{ty}` to a filled table"),
                "it numbers every row while readers and writers wait",
                "make a sequence in a migration of your own, then use `--type bigint --default \"nextval('...')\"`",
            ));
        }
        if self.facts.type_rewrites == Some(true) {
            return Err(self.unable(
                Answer::Type,
                format!("add a column of type `{ty}` without rewriting the table"),
                "the type carries constraints of its own, which are checked row by row",
                "use its base type and give the constraint with `--check`",
            ));
        }
        Ok(())
    }

    fn check_generated(&self) -> Result<(), PlanError> {
        let answers = self.contract.answers();
        if answers.generated.get(self.backend()).is_none() {
            return Ok(());
        }
        let server = self.facts.server;
        if server.product == Product::Postgres && !server.at_least(18, 0) {
            return Err(self.unable(
                Answer::Generated,
                "add a generated column without rewriting the table",
                "before version 18 it only knows stored ones",
                "use `--fill` with the same expression and `--old-writers trigger`, or a view",
            ));
        }
        if self.contract.required() {
            return Err(self.unable(
                Answer::Presence,
                "add a generated column that is NOT NULL",
                "the whole table would be checked while writers wait",
                "make it `--optional`; an expression that never yields NULL is as good",
            ));
        }
        if answers.references.is_some() || answers.check.get(self.backend()).is_some() {
            return Err(self.unable(
                Answer::Generated,
                "constrain a virtual generated column",
                "its values are not stored",
                "constrain the columns it is computed from",
            ));
        }
        if answers.index.is_some() && server.product == Product::Postgres {
            return Err(self.unable(
                Answer::Index,
                "index a virtual generated column",
                "its values are not stored",
                "index the expression itself in a migration of your own",
            ));
        }
        Ok(())
    }

    fn check_hindrance(&self) -> Result<(), PlanError> {
        let Some(Hindrance::IndexedVirtual(column)) = &self.facts.hindrance else { return Ok(()) };
        if self.contract.answers().generated.get(self.backend()).is_some() {
            return Ok(());
        }
        Err(self.unable(
            Answer::Path,
            format!("add a column to `{}` while writers go on", self.contract.table()),
            format!("the virtual column `{column}` has an index, and such a table is rebuilt under a lock"),
            "drop that index first and make it again afterwards, or leave the column to a maintenance window",
        ))
    }

    /// Checks that a column can become NOT NULL while writers go on.
    pub(super) fn check_not_null(&self) -> Result<(), PlanError> {
        let Some(Hindrance::Stored(column)) = &self.facts.hindrance else { return Ok(()) };
        Err(self.unable(
            Answer::Presence,
            "make a column NOT NULL while writers go on",
            format!("the generated column `{column}` is stored, and only a copy of the table would do"),
            "make it `--optional`; or `--required` with a default that every old row may have, which needs no such step",
        ))
    }

    fn check_index(&self) -> Result<(), PlanError> {
        let Some(index) = &self.contract.answers().index else { return Ok(()) };
        let backend = self.backend();
        if self.facts.partitioned && index.uniqueness.refuses_duplicates() {
            return Err(self.unable(
                Answer::Index,
                format!("keep `{}` unique", self.contract.path()),
                "the table is partitioned, and a unique index must contain the partition key, which a new column is no part of",
                "leave `unique` out; or make a unique index of the column and the partition key in a migration of your own",
            ));
        }
        if backend == Backend::Sqlite && self.is_constraint() {
            return Err(self.unable(
                Answer::Index,
                "add a UNIQUE constraint to a table",
                "it knows them in CREATE TABLE only",
                "write `unique = true`: a unique index refuses the same rows, and `ON CONFLICT (column)` finds it",
            ));
        }
        if self.is_constraint() && index.predicate.get(backend).is_some() {
            return Err(self.unable(
                Answer::Index,
                "make a constraint of a partial index",
                "a constraint holds for every row",
                "leave the predicate out, or write `unique = true`",
            ));
        }
        if backend == Backend::Mysql && index.predicate.get(backend).is_some() {
            return Err(self.unable(
                Answer::Index,
                "build a partial index",
                "it has none",
                "leave the predicate out",
            ));
        }
        if backend != Backend::Postgres && !index.include.is_empty() {
            return Err(self.unable(
                Answer::Index,
                "store further columns in an index",
                "INCLUDE exists on PostgreSQL only",
                "leave `--include` out",
            ));
        }
        let Some(method) = &index.method else { return Ok(()) };
        let wish = format!("build an index by the method `{method}`");
        let word = method.as_str().to_ascii_lowercase();
        let plain = word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        match backend {
            Backend::Sqlite => {
                Err(self.unable(Answer::Index, wish, "it has only one", "leave the method out"))
            }
            Backend::Mysql if word != "btree" => Err(self.unable(
                Answer::Index,
                wish,
                "InnoDB has btree only, and takes it in silence where it is asked for hash",
                "leave the method out",
            )),
            // Extensions bring methods of their own, so only the form can be judged.
            Backend::Postgres if !plain => Err(self.unable(
                Answer::Index,
                wish,
                "a method is one word",
                "choose one such as btree, hash, gin, gist, spgist or brin",
            )),
            Backend::Postgres | Backend::Mysql => Ok(()),
        }
    }

    fn check_check(&self) -> Result<(), PlanError> {
        if self.facts.server.product == Product::Mysql
            && self.contract.answers().check.get(Backend::Mysql).is_some()
        {
            return Err(self.unable(
                Answer::Check,
                "add a check constraint online",
                "it copies the table while writers wait",
                "check the value in the application, or leave the check to a maintenance window",
            ));
        }
        Ok(())
    }

    fn check_replaced(&self) -> Result<(), PlanError> {
        let Some(replaces) = &self.contract.answers().replaces else { return Ok(()) };
        let old = &replaces.column;
        if replaces.back.get(self.backend()).is_none() {
            return Err(PlanError::NeedsDatabase {
                column: self.path(),
                what: format!("an expression for {} that computes `{old}` back", self.backend()),
            });
        }
        let Some(column) = self.facts.column(old).filter(|c| c.sql_type.is_some()) else {
            return Err(PlanError::NeedsDatabase {
                column: self.path(),
                what: format!("the definition of `{old}`, so that dropping it can be undone"),
            });
        };
        if self.facts.primary_key.contains(old) {
            return Err(self.unable(
                Answer::Replaces,
                format!("replace `{old}`"),
                "it is part of the primary key",
                "replace it in a table of its own",
            ));
        }
        if self.backend() == Backend::Sqlite && !column.nullable && column.default.is_none() {
            return Err(self.unable(
                Answer::Replaces,
                format!("fill `{old}` for programs that only write the new column"),
                "its triggers cannot change the row being inserted, and the column is NOT NULL without a default",
                format!("give `{old}` a default first"),
            ));
        }
        Ok(())
    }
}
