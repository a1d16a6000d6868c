//! Walks through `FROM`: which relations a query sees, and how they are joined.

use sqlparser::ast::{
    Ident, JoinConstraint, JoinOperator, ObjectName, Spanned, TableAlias, TableFactor,
    TableWithJoins,
};

use super::{
    output::{Has, Output, Piece},
    query::Walk,
    scope::{Relation, Scope},
};
use crate::{
    audit::{Class, rules::NATURAL_JOIN},
    backend::Backend,
};

impl Walk<'_, '_, '_> {
    pub(super) fn table_with_joins(
        &mut self,
        table: &TableWithJoins,
        scope: &mut Scope<'_>,
        outer: &Scope<'_>,
    ) {
        let first = scope.relations.len();
        self.table_factor(&table.relation, scope, outer);
        for join in &table.joins {
            let right = scope.relations.len();
            self.table_factor(&join.relation, scope, outer);
            match constraint(&join.join_operator) {
                Some(JoinConstraint::On(condition)) => self.expressions(condition, scope),
                Some(JoinConstraint::Using(columns)) => self.using(columns, scope, first, right),
                Some(JoinConstraint::Natural) => self.natural(&join.relation, scope, first, right),
                Some(JoinConstraint::None) | None => {}
            }
        }
    }

    pub(super) fn table_factor(
        &mut self,
        factor: &TableFactor,
        scope: &mut Scope<'_>,
        outer: &Scope<'_>,
    ) {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let parts = self.examiner.names.parts(name).unwrap_or_default();
                let is_table = self.is_table(&parts, scope);
                let output = self.named(name, scope);
                let own = parts.last().cloned().unwrap_or_default();
                self.add(scope, output, alias.as_ref(), own, is_table);
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let output = if *lateral {
                    self.query(subquery, scope)
                } else {
                    let mut around = Scope::within(outer);
                    around.ctes = scope.ctes.clone();
                    self.query(subquery, &around)
                };
                self.add(scope, output, alias.as_ref(), String::new(), false);
            }
            TableFactor::NestedJoin { table_with_joins, alias } => match alias {
                None => self.table_with_joins(table_with_joins, scope, outer),
                Some(alias) => {
                    let mut inner = Scope::within(outer);
                    self.table_with_joins(table_with_joins, &mut inner, outer);
                    let output = inner.output();
                    self.add(scope, output, Some(alias), String::new(), false);
                }
            },
            TableFactor::Table { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::JsonTable { alias, .. }
            | TableFactor::XmlTable { alias, .. } => {
                self.expressions(factor, scope);
                // With a list of names or without, a function may yield one column of its alias.
                let mut output = Output::unknown();
                if let Some(alias) = alias {
                    let fold = |ident: &Ident| self.examiner.names.fold(ident);
                    let names: Vec<String> = alias.columns.iter().map(|c| fold(&c.name)).collect();
                    if !names.is_empty() {
                        output = Output::of_names(&names);
                    }
                }
                self.add(scope, output, alias.as_ref(), String::new(), false);
            }
            _ => {
                self.expressions(factor, scope);
                self.add(scope, Output::unknown(), None, String::new(), false);
            }
        }
    }

    /// Returns the columns of what a name means.
    pub(super) fn named(&self, name: &ObjectName, scope: &Scope<'_>) -> Output {
        let Some(parts) = self.examiner.names.parts(name) else { return Output::unknown() };
        if let [only] = parts.as_slice()
            && let Some(output) = scope.cte(only)
        {
            return output.clone();
        }
        if self.is_table(&parts, scope) {
            let mut output = Output::of_names(&self.examiner.names.columns);
            output.0.push(Piece::New { star: 0..0, row: false });
            return output;
        }
        self.examiner.names.other(&parts).map_or_else(Output::unknown, Output::of_names)
    }

    /// Reports whether a name means the table itself.
    pub(super) fn is_table(&self, parts: &[String], scope: &Scope<'_>) -> bool {
        let hidden = matches!(parts, [only] if scope.cte(only).is_some());
        !hidden && self.examiner.names.is_table(parts)
    }

    /// Returns columns as an alias names them.
    pub(super) fn aliased(&mut self, output: Output, names: Vec<String>, at: &Ident) -> Output {
        if names.is_empty() {
            return output;
        }
        // PostgreSQL lets a list name the first columns only.
        let lists_all = match self.examiner.engine {
            Backend::Postgres => false,
            Backend::Mysql | Backend::Sqlite => true,
        };
        if lists_all && output.gains() && output.count_then() != Some(names.len()) {
            let message = format!(
                "`*` brings `{}`, and `{}` names {} columns",
                self.examiner.column(),
                at.value,
                names.len()
            );
            self.star_meets_list(&output, message);
        }
        output.renamed(names)
    }

    fn add(
        &mut self,
        scope: &mut Scope<'_>,
        output: Output,
        alias: Option<&TableAlias>,
        own: String,
        is_table: bool,
    ) {
        let mut relation = Relation { name: own, output, is_table };
        if let Some(alias) = alias {
            relation.name = self.examiner.names.fold(&alias.name);
            let names = alias.columns.iter().map(|c| self.examiner.names.fold(&c.name)).collect();
            relation.output = self.aliased(relation.output, names, &alias.name);
        }
        scope.relations.push(relation);
    }

    /// Weighs `USING`: each name must stand for one column of either side.
    fn using(&mut self, columns: &[ObjectName], scope: &mut Scope<'_>, first: usize, right: usize) {
        let mut names = Vec::new();
        for column in columns {
            let Some(name) = self.examiner.names.parts(column).and_then(|mut parts| parts.pop())
            else {
                continue;
            };
            if name == self.examiner.names.column && !scope.merged.contains(&name) {
                self.using_of_column(column, &scope.relations[first..right]);
            }
            names.push(name);
        }
        merge_names(scope, right, names);
    }

    fn using_of_column(&mut self, column: &ObjectName, left: &[Relation]) {
        let name = &self.examiner.names.column;
        let Some(gains) = left.iter().position(|relation| relation.output.gains()) else { return };
        let has = |relation: &Relation| relation.output.has(name) == Has::Yes;
        let Some(has) = left.iter().position(has) else { return };
        let message = format!("`{name}` will be in two of the tables on the left of this join");
        let class = match self.examiner.engine {
            Backend::Postgres | Backend::Mysql => Class::Runtime,
            // It takes the first that it finds.
            Backend::Sqlite if gains < has => Class::Silent,
            Backend::Sqlite => return,
        };
        let range = self.source.range(column.span());
        self.examiner.report(&NATURAL_JOIN, range, message).class = class;
    }

    fn natural(
        &mut self,
        relation: &TableFactor,
        scope: &mut Scope<'_>,
        first: usize,
        right: usize,
    ) {
        let column = self.examiner.names.column.clone();
        let (left, joined) = scope.relations[first..].split_at(right - first);
        let gains = |side: &[Relation]| side.iter().any(|relation| relation.output.gains());
        let has = |side: &[Relation], has| side.iter().any(|r| r.output.has(&column) == has);
        let meets = |side: &[Relation], other: &[Relation], what| gains(side) && has(other, what);
        let surely = meets(left, joined, Has::Yes) || meets(joined, left, Has::Yes);
        let perhaps = meets(left, joined, Has::Perhaps) || meets(joined, left, Has::Perhaps);
        if surely || perhaps {
            let range = self.source.range(relation.span());
            let message = if surely {
                format!("NATURAL JOIN will compare `{column}` too, and drop rows that differ in it")
            } else {
                format!("NATURAL JOIN compares `{column}` too if both sides have it")
            };
            let finding = self.examiner.report(&NATURAL_JOIN, range, message);
            if !surely {
                finding.class = Class::Unknown;
            }
        }
        let common: Vec<String> = joined
            .iter()
            .flat_map(|relation| &relation.output.0)
            .filter_map(|piece| match piece {
                Piece::Column(Some(name)) => Some(name.clone()),
                Piece::Column(None) | Piece::New { .. } | Piece::Many => None,
            })
            .filter(|name| left.iter().any(|relation| relation.output.has(name) == Has::Yes))
            .collect();
        merge_names(scope, right, common);
    }
}

fn merge_names(scope: &mut Scope<'_>, right: usize, names: Vec<String>) {
    for relation in &mut scope.relations[right..] {
        // The relation keeps its columns for names with its alias; `*` shows the merged one once.
        relation.output = std::mem::take(&mut relation.output).without(&names);
    }
    scope.merged.extend(names);
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::StraightJoin(constraint) => Some(constraint),
        _ => None,
    }
}
