//! Walks through expressions: names, whole rows, functions, and the subqueries among them.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query,
    SelectItemQualifiedWildcardKind, Visit, Visitor,
};

use super::{
    names::{fold, parts},
    scope::{Bare, Carries, Scope},
    walk::{Walk, qualified_star},
};
use crate::watch::series::Role;

impl Walk<'_> {
    pub(super) fn clause(&mut self, role: Role, node: &impl Visit, scope: &Scope<'_>) {
        let carries = self.expressions(node, scope);
        self.add(role, carries);
    }

    /// Walks through the expressions of a node and says what reading them means.
    pub(super) fn expressions(&mut self, node: &impl Visit, scope: &Scope<'_>) -> Carries {
        let mut names = InExpression {
            walk: self,
            scope,
            depth: 0,
            carries: Carries::default(),
            passed: Vec::new(),
        };
        // Nothing breaks it off.
        let _: ControlFlow<()> = node.visit(&mut names);
        names.carries
    }
}

/// The expressions of one scope; subqueries have scopes of their own.
struct InExpression<'x, 'c> {
    walk: &'x mut Walk<'c>,
    scope: &'x Scope<'x>,
    depth: usize,
    carries: Carries,
    /// Names that were weighed with what is around them.
    passed: Vec<*const Expr>,
}

impl InExpression<'_, '_> {
    fn read(&mut self, carries: Carries) {
        self.carries = self.carries.or(carries);
    }

    fn function(&mut self, function: &sqlparser::ast::Function) {
        let name = parts(&function.name).pop().unwrap_or_default();
        let FunctionArguments::List(list) = &function.args else { return };
        for arg in &list.args {
            let (FunctionArg::Unnamed(arg)
            | FunctionArg::Named { arg, .. }
            | FunctionArg::ExprNamed { arg, .. }) = arg;
            if let FunctionArgExpr::QualifiedWildcard(relation) = arg {
                let kind = SelectItemQualifiedWildcardKind::ObjectName(relation.clone());
                let all = qualified_star(&kind, self.scope).all();
                // `ROW(t.*)` is written out by the parser, `f(t.*)` passes the row.
                self.read(match name.as_str() {
                    "row" => all,
                    _ => Carries { tree: false, beyond: all.any(), star: all.any() },
                });
            }
        }
        self.walk.called(name);
    }
}

impl Visitor for InExpression<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            let columns = self.walk.query(query, self.scope);
            self.read(columns.all());
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth > 0 || self.passed.iter().any(|passed| std::ptr::eq(*passed, expr)) {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Identifier(ident) => {
                if let Bare::Column(carries) =
                    self.scope.bare(&fold(ident), &self.walk.catalog.column)
                {
                    self.read(carries);
                }
            }
            Expr::CompoundIdentifier(idents) => {
                if let [.., relation, name] = idents.as_slice() {
                    let carries = self.scope.qualified(&fold(relation), &fold(name));
                    self.read(carries);
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                // `(t).name` is `t.name`.
                let inner = bare_root(root);
                if let (Expr::Identifier(relation), Some(AccessExpr::Dot(field))) =
                    (inner, access_chain.first())
                    && let Expr::Identifier(name) = field
                    && self.scope.relation(&fold(relation)).is_some()
                {
                    let carries = self.scope.qualified(&fold(relation), &fold(name));
                    self.read(carries);
                    self.passed.extend([std::ptr::from_ref(inner), std::ptr::from_ref(field)]);
                }
            }
            Expr::Function(function) => self.function(function),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

pub(super) fn bare_root(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}
