//! Calls, one after the other, as values.

use super::{Reader, name_of, strings};
use crate::audit::rust::facts::{Bytes, Call, Chain, PathAt, Root, Value};
use syn::visit::{self, Visit as _};

/// Calls that queries are made of; chains with none of them say nothing to any rule.
const OF_QUERIES: &[&str] = &[
    "all_columns",
    "as_select",
    "belonging_to",
    "chunks",
    "chunks_exact",
    "default_values",
    "delete",
    "eq",
    "except",
    "except_all",
    "filter",
    "first",
    "get_result",
    "get_results",
    "inner_join",
    "insert_into",
    "insert_or_ignore_into",
    "intersect",
    "intersect_all",
    "left_join",
    "left_outer_join",
    "load",
    "load_iter",
    "load_stream",
    "ne",
    "replace_into",
    "returning",
    "save_changes",
    "select",
    "set",
    "union",
    "union_all",
    "update",
    "values",
];

/// Reports whether a path may be a table, or something of one: `users::name`.
fn may_be_of_table(path: &PathAt) -> bool {
    let small = |word: &String| !word.starts_with(char::is_uppercase);
    path.segments.len() > 1 && path.segments.iter().rev().take(2).all(small)
}

impl Reader {
    /// Keeps a chain that may be a query, or else those that are in it.
    pub(super) fn keep(&mut self, value: Value) {
        match value {
            Value::Path(path) => {
                if may_be_of_table(&path) {
                    let range = path.range.clone();
                    let chain = self.chain(Root::Path(path), Vec::new(), range);
                    self.facts.chains.push(chain);
                }
            }
            Value::Tuple(values) => values.into_iter().for_each(|value| self.keep(value)),
            Value::Chain(chain) => {
                let of_query = |call: &Call| OF_QUERIES.contains(&call.name.as_str());
                let root = match &chain.root {
                    Root::Path(path) => may_be_of_table(path),
                    Root::Call(call, _) => of_query(call),
                    Root::Value(_) => false,
                };
                if root || chain.calls.iter().any(of_query) {
                    self.facts.chains.push(*chain);
                    return;
                }
                match chain.root {
                    Root::Path(_) => {}
                    Root::Call(call, _) => call.args.into_iter().for_each(|arg| self.keep(arg)),
                    Root::Value(value) => self.keep(*value),
                }
                let args = chain.calls.into_iter().flat_map(|call| call.args);
                args.for_each(|arg| self.keep(arg));
            }
            Value::Struct(_)
            | Value::Text(_)
            | Value::Included
            | Value::Number(_)
            | Value::Other(_) => {}
        }
    }

    pub(super) fn chain(&self, root: Root, calls: Vec<Call>, range: Bytes) -> Chain {
        let expected = self.expected.last().cloned().unwrap_or_default();
        Chain { scope: self.scope, root, calls, expected, range }
    }

    /// Reads an expression; what is no call, path or literal is visited instead.
    pub(super) fn value(&mut self, expr: &syn::Expr) -> Value {
        match expr {
            syn::Expr::MethodCall(_) => self.method_calls(expr),
            syn::Expr::Call(call) => self.call(call),
            syn::Expr::Path(path) if path.qself.is_none() => {
                let at = self.path_at(&path.path);
                if let (true, [_]) = (self.globs, at.segments.as_slice())
                    && let Some(first) = path.path.segments.first()
                {
                    let named = self.named(&first.ident);
                    self.facts.uses.push(named);
                }
                for segment in &path.path.segments {
                    self.visit_path_arguments(&segment.arguments);
                }
                Value::Path(at)
            }
            syn::Expr::Reference(one) => self.value(&one.expr),
            syn::Expr::Paren(one) => self.value(&one.expr),
            syn::Expr::Group(one) => self.value(&one.expr),
            syn::Expr::Try(one) => self.value(&one.expr),
            syn::Expr::Await(one) => self.value(&one.base),
            syn::Expr::Tuple(tuple) => {
                Value::Tuple(tuple.elems.iter().map(|one| self.value(one)).collect())
            }
            syn::Expr::Array(array) => {
                Value::Tuple(array.elems.iter().map(|one| self.value(one)).collect())
            }
            syn::Expr::Struct(one) => {
                visit::visit_expr_struct(self, one);
                Value::Struct(self.path_at(&one.path).segments)
            }
            syn::Expr::Lit(lit) => match &lit.lit {
                syn::Lit::Str(text) => Value::Text(strings::of_literal("", text)),
                syn::Lit::Int(number) => number
                    .base10_parse()
                    .map_or_else(|_| Value::Other(number.span().byte_range()), Value::Number),
                other => Value::Other(other.span().byte_range()),
            },
            syn::Expr::Macro(one) if one.mac.path.is_ident("include_str") => Value::Included,
            other => {
                visit::visit_expr(self, other);
                Value::Other(0..0)
            }
        }
    }

    fn method_calls(&mut self, expr: &syn::Expr) -> Value {
        let mut methods = Vec::new();
        let mut at = expr;
        loop {
            at = match at {
                syn::Expr::MethodCall(call) => {
                    methods.push(call);
                    &call.receiver
                }
                syn::Expr::Try(one) => &one.expr,
                syn::Expr::Await(one) => &one.base,
                syn::Expr::Paren(one) => &one.expr,
                syn::Expr::Group(one) => &one.expr,
                _ => break,
            };
        }
        let (root, start) = match self.value(at) {
            Value::Path(path) => {
                let start = path.range.start;
                (Root::Path(path), Some(start))
            }
            // A call alone, with the methods on its result.
            Value::Chain(chain) if chain.calls.is_empty() => (chain.root, Some(chain.range.start)),
            other => (Root::Value(Box::new(other)), None),
        };
        let mut calls = Vec::with_capacity(methods.len());
        for method in methods.into_iter().rev() {
            let types = method.turbofish.iter().flat_map(|types| &types.args);
            calls.push(Call {
                name: name_of(&method.method),
                types: self.names_of(types),
                args: method.args.iter().map(|arg| self.value(arg)).collect(),
                range: method.method.span().byte_range(),
            });
        }
        strings::note_calls(self, &calls);
        let first = calls.first().map_or(0, |call| call.range.start);
        let end = calls.last().map_or(0, |call| call.range.end);
        let range = start.unwrap_or(first)..end;
        Value::Chain(Box::new(self.chain(root, calls, range)))
    }

    fn call(&mut self, expr: &syn::ExprCall) -> Value {
        let syn::Expr::Path(function) = &*expr.func else {
            visit::visit_expr_call(self, expr);
            return Value::Other(0..0);
        };
        let path = self.path_at(&function.path);
        let Some(last) = function.path.segments.last() else { return Value::Other(0..0) };
        let types = match &last.arguments {
            syn::PathArguments::AngleBracketed(types) => self.names_of(&types.args),
            syn::PathArguments::None | syn::PathArguments::Parenthesized(_) => Vec::new(),
        };
        let call = Call {
            name: name_of(&last.ident),
            types,
            args: expr.args.iter().map(|arg| self.value(arg)).collect(),
            range: last.ident.span().byte_range(),
        };
        strings::note_calls(self, std::slice::from_ref(&call));
        let range = path.range.clone();
        Value::Chain(Box::new(self.chain(Root::Call(call, path), Vec::new(), range)))
    }

    /// Returns the names in generic arguments.
    fn names_of<'a>(
        &self,
        args: impl IntoIterator<Item = &'a syn::GenericArgument>,
    ) -> Vec<String> {
        let types = args.into_iter().filter_map(|arg| match arg {
            syn::GenericArgument::Type(ty) => Some(self.names_in(ty)),
            _ => None,
        });
        types.flatten().collect()
    }
}
