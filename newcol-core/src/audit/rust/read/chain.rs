//! Calls, one after the other, as values.

use super::{Reader, name_of, strings, type_of};
use crate::audit::rust::facts::{Bytes, Call, Chain, Root, Value};
use syn::visit::{self, Visit as _};

impl Reader {
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
                Value::Struct(super::segments_of(&one.path))
            }
            syn::Expr::Lit(lit) => match &lit.lit {
                syn::Lit::Str(text) => Value::Text(strings::of_literal("", text)),
                syn::Lit::Int(number) => number
                    .base10_parse()
                    .map_or_else(|_| Value::Other(number.span().byte_range()), Value::Number),
                other => Value::Other(other.span().byte_range()),
            },
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
                types: names_in(types),
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
            syn::PathArguments::AngleBracketed(types) => names_in(&types.args),
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
}

/// Returns the names in generic arguments.
fn names_in<'a>(args: impl IntoIterator<Item = &'a syn::GenericArgument>) -> Vec<String> {
    let types = args.into_iter().filter_map(|arg| match arg {
        syn::GenericArgument::Type(ty) => Some(type_of(ty).names),
        _ => None,
    });
    types.flatten().collect()
}
