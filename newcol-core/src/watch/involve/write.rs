//! Walks through statements that write: what they give a value, and what they say of it.

use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete, FromTable, Insert, Merge, MergeAction,
    MergeInsertKind, MergeUpdateKind, ObjectName, OnConflictAction, OnInsert, SelectItem, SetExpr,
    TableFactor, TableObject, TableWithJoins, Update, UpdateTableFromKind,
};

use super::{
    names::{fold, parts},
    scope::{Carries, Columns, Out, Relation, Scope},
    walk::Walk,
};
use crate::{backend::Backend, watch::series::Role};

impl Walk<'_> {
    pub(super) fn insert(&mut self, insert: &Insert, outer: &Scope<'_>) -> Columns {
        let TableObject::TableName(name) = &insert.table else {
            self.found.unclear = Some("what it writes could not be read".to_owned());
            return Columns::unknown();
        };
        let parts = parts(name);
        let (columns, is_target) = self.target(&parts);
        let source = insert.source.as_ref().map(|source| self.query(source, outer));
        if let Some(source) = &source {
            // Rows that are only moved have been read all the same.
            self.sent(source);
        }
        if is_target {
            let carries = if insert.assignments.is_empty() {
                self.inserted(&insert.columns, source.as_ref(), &columns)
            } else {
                // `INSERT INTO t SET …`
                let names: Vec<ObjectName> =
                    insert.assignments.iter().flat_map(|one| targets(one).to_vec()).collect();
                self.inserted(&names, None, &columns)
            };
            self.add(Role::Inserted, carries);
        }
        let own = insert
            .table_alias
            .as_ref()
            .map_or_else(|| parts.last().cloned().unwrap_or_default(), |alias| fold(&alias.alias));
        let mut scope = Scope::within(outer);
        scope.relations.push(Relation { name: own, columns: columns.clone() });
        if let Some(OnInsert::DuplicateKeyUpdate(assignments)) = &insert.on {
            self.assignments(assignments, &scope);
        }
        if let Some(OnInsert::OnConflict(conflict)) = &insert.on {
            if let Some(ConflictTarget::Columns(keys)) = &conflict.conflict_target {
                for key in keys {
                    let carries = scope
                        .relations
                        .first()
                        .map(|relation| scope.qualified(&relation.name, &fold(key)));
                    self.add(Role::Filter, carries.unwrap_or_default());
                }
            }
            if let OnConflictAction::DoUpdate(change) = &conflict.action {
                let excluded = Relation { name: "excluded".to_owned(), columns };
                scope.relations.push(excluded);
                self.assignments(&change.assignments, &scope);
                self.clause(Role::Filter, &change.selection, &scope);
                scope.relations.pop();
            }
        }
        self.returning(insert.returning.as_deref(), &scope)
    }

    /// Says whether an `INSERT` gives the column a value.
    fn inserted(
        &mut self,
        list: &[ObjectName],
        source: Option<&Columns>,
        columns: &Columns,
    ) -> Carries {
        let Columns::Known(outs) = columns else { return Carries::default() };
        if !list.is_empty() {
            let names: Vec<String> = list.iter().filter_map(|name| parts(name).pop()).collect();
            let listed = |out: &&Out| out.name.as_ref().is_some_and(|name| names.contains(name));
            return outs.iter().filter(listed).fold(Carries::default(), |all, o| all.or(o.carries));
        }
        match source {
            // DEFAULT VALUES
            None => Carries::default(),
            Some(Columns::Known(given)) if !given.iter().any(Out::is_of_star) => {
                let taken = outs.iter().take(given.len());
                taken.fold(Carries::default(), |all, out| all.or(out.carries))
            }
            Some(_) => {
                self.found.unclear =
                    Some("how many columns it inserts is not in its text".to_owned());
                Carries::default()
            }
        }
    }

    pub(super) fn update(&mut self, update: &Update, outer: &Scope<'_>) -> Columns {
        let mut scope = Scope::within(outer);
        self.written(&update.table.relation);
        self.joined_are_written(&update.table);
        self.table_with_joins(&update.table, &mut scope, outer);
        if let Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) =
            &update.from
        {
            for table in from {
                self.table_with_joins(table, &mut scope, outer);
            }
        }
        self.assignments(&update.assignments, &scope);
        self.clause(Role::Filter, &update.selection, &scope);
        self.returning(update.returning.as_deref(), &scope)
    }

    pub(super) fn delete(&mut self, delete: &Delete, outer: &Scope<'_>) -> Columns {
        let mut scope = Scope::within(outer);
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        for table in from {
            self.written(&table.relation);
            self.joined_are_written(table);
        }
        for table in from.iter().chain(delete.using.iter().flatten()) {
            self.table_with_joins(table, &mut scope, outer);
        }
        self.clause(Role::Filter, &delete.selection, &scope);
        self.returning(delete.returning.as_deref(), &scope)
    }

    pub(super) fn merge(&mut self, merge: &Merge, outer: &Scope<'_>) -> Columns {
        let mut scope = Scope::within(outer);
        self.written(&merge.table);
        self.table_factor(&merge.table, &mut scope, outer);
        self.table_factor(&merge.source, &mut scope, outer);
        self.clause(Role::Join, &*merge.on, &scope);
        let target = scope.relations.first().map(|relation| relation.columns.clone());
        for clause in &merge.clauses {
            self.clause(Role::Filter, &clause.predicate, &scope);
            match &clause.action {
                MergeAction::Insert(insert) => {
                    let source = match &insert.kind {
                        MergeInsertKind::Values(values) => {
                            let values = Box::new(SetExpr::Values(values.clone()));
                            Some(self.set_expr(&values, &scope, None))
                        }
                        MergeInsertKind::Row | MergeInsertKind::Wildcard => None,
                    };
                    let columns = target.clone().unwrap_or_else(Columns::unknown);
                    let carries = self.inserted(&insert.columns, source.as_ref(), &columns);
                    self.add(Role::Inserted, carries);
                }
                MergeAction::Update(update) => match &update.kind {
                    MergeUpdateKind::Set(assignments) => self.assignments(assignments, &scope),
                    MergeUpdateKind::Wildcard => {}
                },
                MergeAction::Delete { .. } | MergeAction::DoNothing { .. } => {}
            }
        }
        Columns::Known(Vec::new())
    }

    /// Notes that a relation is written.
    fn written(&mut self, factor: &TableFactor) {
        if let TableFactor::Table { name, .. } = factor {
            drop(self.target(&parts(name)));
        }
    }

    /// Elsewhere than on PostgreSQL, a statement may write what it joins.
    fn joined_are_written(&mut self, table: &TableWithJoins) {
        if self.catalog.backend != Backend::Postgres {
            for join in &table.joins {
                self.written(&join.relation);
            }
        }
    }

    fn target(&mut self, parts: &[String]) -> (Columns, bool) {
        let (columns, is_target) = self.named(parts);
        self.found.writes |= is_target;
        if let Some(name) = parts.last()
            && self.catalog.triggered.contains(name)
            && !is_target
        {
            self.found.on_table = true;
            self.found.hidden =
                Some(format!("triggers of `{name}` run functions that name the table"));
        }
        (columns, is_target)
    }

    fn assignments(&mut self, assignments: &[Assignment], scope: &Scope<'_>) {
        for assignment in assignments {
            for mut name in targets(assignment).iter().map(parts) {
                let Some(column) = name.pop() else { continue };
                let carries = match name.pop().filter(|_| self.catalog.backend == Backend::Mysql) {
                    Some(relation) => scope.qualified(&relation, &column),
                    None => {
                        let first = scope.relations.first();
                        first.map(|first| scope.qualified(&first.name, &column)).unwrap_or_default()
                    }
                };
                self.add(Role::Assigned, carries);
            }
            let carries = self.expressions(&assignment.value, scope);
            self.add(Role::Projected, carries);
        }
    }

    fn returning(&mut self, items: Option<&[SelectItem]>, scope: &Scope<'_>) -> Columns {
        items.map_or(Columns::Known(Vec::new()), |items| self.projection(items, scope))
    }
}

fn targets(assignment: &Assignment) -> &[ObjectName] {
    match &assignment.target {
        AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
        AssignmentTarget::Tuple(names) => names,
    }
}
