//! What attributes say: derives, `#[diesel(…)]`, `#[serde(…)]`.

use proc_macro2::{TokenStream, TokenTree};
use syn::{Meta, Token, punctuated::Punctuated, visit::Visit};

use super::{name_of, segments_of, type_of};
use crate::audit::rust::facts::{DeriveAt, Field, ScopeId, Struct};

type Metas = Punctuated<Meta, Token![,]>;

/// Reads a struct.
pub(super) fn structure(scope: ScopeId, item: &syn::ItemStruct) -> Struct {
    let mut read = Struct {
        scope,
        name: name_of(&item.ident),
        range: item.ident.span().byte_range(),
        derives: Vec::new(),
        derive: item.attrs.iter().find_map(derive_at),
        plain: matches!(item.fields, syn::Fields::Named(_)) && item.generics.params.is_empty(),
        table_name: None,
        none_as_null: false,
        none_as_default: true,
        serde_default: false,
        fields: item.fields.iter().map(field).collect(),
    };
    for meta in metas(&item.attrs) {
        let Meta::List(list) = &meta else { continue };
        if list.path.is_ident("derive") {
            let Ok(paths) =
                list.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated)
            else {
                continue;
            };
            read.derives.extend(paths.iter().filter_map(|path| segments_of(path).pop()));
            continue;
        }
        for (name, value) in settings(list) {
            match (name.as_str(), value) {
                ("table_name", Some(value)) => read.table_name = Some(value),
                ("treat_none_as_null", value) => read.none_as_null = truth(value.as_deref()),
                ("treat_none_as_default_value", value) => {
                    read.none_as_default = truth(value.as_deref());
                }
                ("serde.default", _) => read.serde_default = true,
                _ => {}
            }
        }
    }
    read
}

/// Returns where a `derive` that stands for itself has room.
fn derive_at(attr: &syn::Attribute) -> Option<DeriveAt> {
    let Meta::List(list) = &attr.meta else { return None };
    if !list.path.is_ident("derive") {
        return None;
    }
    let paths = list.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated).ok()?;
    Some(DeriveAt {
        start: attr.pound_token.span.byte_range().start,
        last: paths.last()?.segments.last()?.ident.span().byte_range().end,
        end: attr.bracket_token.span.close().byte_range().end,
    })
}

fn field(field: &syn::Field) -> Field {
    let ident = field.ident.as_ref();
    let mut read = Field {
        column: ident.map(name_of),
        ty: type_of(&field.ty),
        embed: false,
        none_as_null: None,
        none_as_default: None,
        skip_insertion: false,
        read_as: false,
        serde_default: false,
        range: ident.map_or_else(
            || syn::spanned::Spanned::span(&field.ty).byte_range(),
            |ident| ident.span().byte_range(),
        ),
        visibility: 0..0,
        end: syn::spanned::Spanned::span(&field.ty).byte_range().end,
    };
    let visibility = syn::spanned::Spanned::span(&field.vis).byte_range();
    let is_inherited = matches!(field.vis, syn::Visibility::Inherited);
    read.visibility = if is_inherited { read.range.start..read.range.start } else { visibility };
    for meta in metas(&field.attrs) {
        let Meta::List(list) = &meta else { continue };
        for (name, value) in settings(list) {
            match (name.as_str(), value) {
                ("column_name", Some(mut value)) => read.column = value.pop(),
                ("embed", _) => read.embed = true,
                ("treat_none_as_null", value) => read.none_as_null = Some(truth(value.as_deref())),
                ("treat_none_as_default_value", value) => {
                    read.none_as_default = Some(truth(value.as_deref()));
                }
                ("skip_insertion", _) => read.skip_insertion = true,
                ("deserialize_as", _) => read.read_as = true,
                ("serde.default", _) => read.serde_default = true,
                _ => {}
            }
        }
    }
    read
}

fn truth(value: Option<&[String]>) -> bool {
    value.is_none_or(|value| value == ["true"])
}

/// Returns the attributes, with those that `cfg_attr` may add.
fn metas(attrs: &[syn::Attribute]) -> Vec<Meta> {
    fn add(meta: Meta, found: &mut Vec<Meta>) {
        if let Meta::List(list) = &meta
            && list.path.is_ident("cfg_attr")
        {
            let inner = list.parse_args_with(Metas::parse_terminated);
            inner.into_iter().flatten().skip(1).for_each(|meta| add(meta, found));
        } else {
            found.push(meta);
        }
    }
    let mut found = Vec::new();
    attrs.iter().for_each(|attr| add(attr.meta.clone(), &mut found));
    found
}

/// Returns the settings of `#[diesel(…)]` and `#[serde(…)]` with the words of their values; those of
/// serde behind `serde.`.
fn settings(list: &syn::MetaList) -> Vec<(String, Option<Vec<String>>)> {
    let prefix = match list.path.get_ident().map(ToString::to_string).as_deref() {
        Some("diesel") => "",
        Some("serde") => "serde.",
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    let mut name = None;
    let mut value: Option<Vec<String>> = None;
    let end = TokenTree::from(proc_macro2::Punct::new(',', proc_macro2::Spacing::Alone));
    for tree in list.tokens.clone().into_iter().chain([end]) {
        match tree {
            TokenTree::Punct(punct) if punct.as_char() == ',' => {
                if let Some(name) = name.take() {
                    found.push((format!("{prefix}{name}"), value.take()));
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == '=' => value = Some(Vec::new()),
            TokenTree::Ident(ident) => match (&name, &mut value) {
                (None, _) => name = Some(name_of(&ident)),
                (Some(_), Some(value)) => value.push(name_of(&ident)),
                (Some(_), None) => {}
            },
            // `table_name = "users"`, as Diesel 1 wanted it.
            TokenTree::Literal(literal) => {
                if let Some(value) = &mut value {
                    value.push(literal.to_string().trim_matches('"').to_owned());
                }
            }
            TokenTree::Punct(_) | TokenTree::Group(_) => {}
        }
    }
    found
}

/// Reports whether an `impl FromSql` has a match of texts whose last arm is an error.
pub(super) fn refuses_the_rest(item: &syn::ItemImpl) -> bool {
    struct Matches(bool);
    impl<'ast> Visit<'ast> for Matches {
        fn visit_expr_match(&mut self, one: &'ast syn::ExprMatch) {
            let literal = |arm: &syn::Arm| matches!(&arm.pat, syn::Pat::Lit(_) | syn::Pat::Or(_));
            let refuses = |arm: &syn::Arm| {
                let wild = matches!(&arm.pat, syn::Pat::Wild(_) | syn::Pat::Ident(_));
                wild && mentions(
                    &arm.body,
                    &["Err", "panic", "unreachable", "bail", "unimplemented"],
                )
            };
            if one.arms.iter().any(literal) && one.arms.iter().any(refuses) {
                self.0 = true;
            }
            syn::visit::visit_expr_match(self, one);
        }
    }
    let mut matches = Matches(false);
    matches.visit_item_impl(item);
    matches.0
}

fn mentions(expr: &syn::Expr, names: &[&str]) -> bool {
    struct Names<'a>(&'a [&'a str], bool);
    impl<'ast> Visit<'ast> for Names<'_> {
        fn visit_ident(&mut self, ident: &'ast syn::Ident) {
            self.1 |= self.0.iter().any(|name| ident == name);
        }
    }
    let mut look = Names(names, false);
    look.visit_expr(expr);
    look.1
}

/// Reports whether a macro's body has a `table!`.
pub(super) fn writes_tables(tokens: &TokenStream) -> bool {
    let mut after_name = false;
    tokens.clone().into_iter().any(|tree| match tree {
        TokenTree::Ident(ident) => {
            after_name = ident == "table";
            false
        }
        TokenTree::Punct(punct) => std::mem::take(&mut after_name) && punct.as_char() == '!',
        TokenTree::Group(group) => {
            after_name = false;
            writes_tables(&group.stream())
        }
        TokenTree::Literal(_) => {
            after_name = false;
            false
        }
    })
}
