//! Reads a Rust file into facts: one walk over what `syn` parses, macros included.

mod attrs;
mod chain;
mod strings;

use std::sync::LazyLock;

use proc_macro2::{Span, TokenStream, TokenTree};
use regex::Regex;
use syn::{
    parse::{ParseStream, Parser as _},
    punctuated::Punctuated,
    visit::{self, Visit},
};

use super::facts::{
    Bytes, FileFacts, Gap, GapKind, Import, Let, Named, PathAt, Scope, ScopeId, ScopeKind, Type,
    Typed,
};

/// Brackets within brackets that are followed.
///
/// Those who write Rust by hand do not need a tenth of it; `syn` needs stack for each.
const DEEPEST: usize = 256;

/// Words without one of which a file has nothing to do with a database.
static OF_DATABASES: LazyLock<Regex> = LazyLock::new(|| {
    let words = "diesel|table|dsl|schema|Queryable|Insertable|AsChangeset|Selectable|FromSql|sql|query|\
                 execute|prepare|copy_|include!";
    Regex::new(words).expect("a valid expression")
});

/// Reads the text of a file.
pub(super) fn read(text: &str) -> FileFacts {
    if !OF_DATABASES.is_match(text) {
        return FileFacts::default();
    }
    let mut reader = Reader { globs: text.contains("::*"), ..Reader::default() };
    reader.facts.scopes.push(Scope { parent: None, kind: ScopeKind::Module });
    // `syn` keeps each text it has parsed, for its spans.
    proc_macro2::extra::invalidate_current_thread_spans();
    if let Some(at) = too_deep(text) {
        reader.gap(GapKind::Syntax("brackets are nested too deeply".to_owned()), at..at);
        return reader.facts;
    }
    match syn::parse_file(text) {
        Ok(file) => reader.visit_file(&file),
        Err(error) => {
            let range = error.span().byte_range();
            reader.gap(GapKind::Syntax(error.to_string()), range);
        }
    }
    reader.facts
}

/// Returns where brackets are nested too deeply; those in strings and comments count too.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.bytes().enumerate().find_map(|(at, byte)| {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth > DEEPEST).then_some(at)
    })
}

#[derive(Default)]
struct Reader {
    facts: FileFacts,
    scope: ScopeId,
    /// What `Self` is called.
    self_name: Option<String>,
    /// Types that the code around expects, innermost last.
    expected: Vec<Vec<String>>,
    /// Whether a name may be one of a glob's.
    globs: bool,
    /// Macros around, whose text may become anything.
    macros: usize,
}

impl Reader {
    fn gap(&mut self, kind: GapKind, range: Bytes) {
        self.facts.gaps.push(Gap { kind, range });
    }

    fn within(&mut self, kind: ScopeKind, look: impl FnOnce(&mut Self)) {
        let outer = self.scope;
        self.scope = self.facts.scopes.len();
        self.facts.scopes.push(Scope { parent: Some(outer), kind });
        look(self);
        self.scope = outer;
    }

    /// Calls `look` where a type is expected; none is where it is empty.
    fn expecting(&mut self, names: Vec<String>, look: impl FnOnce(&mut Self)) {
        self.expected.push(names);
        look(self);
        self.expected.pop();
    }

    fn named(&self, ident: &proc_macro2::Ident) -> Named {
        Named { scope: self.scope, name: name_of(ident), range: ident.span().byte_range() }
    }

    fn path_at(&self, path: &syn::Path) -> PathAt {
        let mut segments = segments_of(path);
        self.name_self(&mut segments);
        let first = path.segments.first().map(|s| s.ident.span().byte_range().start);
        let last = path.segments.last().map(|s| s.ident.span().byte_range().end);
        let range = first.unwrap_or_default()..last.unwrap_or_default();
        PathAt { scope: self.scope, segments, range }
    }

    /// Puts the type's name in the place of `Self`.
    fn name_self(&self, names: &mut [String]) {
        let Some(own) = &self.self_name else { return };
        names.iter_mut().filter(|name| *name == "Self").for_each(|name| name.clone_from(own));
    }

    /// Returns the names in a type.
    fn names_in(&self, ty: &syn::Type) -> Vec<String> {
        let mut names = type_of(ty).names;
        self.name_self(&mut names);
        names
    }

    fn import(&mut self, tree: &syn::UseTree, path: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(one) => {
                path.push(name_of(&one.ident));
                self.import(&one.tree, path);
                path.pop();
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path);
                }
            }
            syn::UseTree::Name(one) => self.import_as(&one.ident, &one.ident, path),
            syn::UseTree::Rename(one) => self.import_as(&one.ident, &one.rename, path),
            syn::UseTree::Glob(glob) => {
                self.add_import(path.clone(), None, glob.star_token.spans[0]);
            }
        }
    }

    fn import_as(&mut self, ident: &syn::Ident, name: &syn::Ident, path: &[String]) {
        let mut path = path.to_vec();
        // `use users::{self}` imports `users`.
        let named = if ident == "self" { path.last().cloned() } else { None };
        if named.is_none() {
            path.push(name_of(ident));
        }
        let name = match named {
            Some(last) if ident == name => last,
            _ => name_of(name),
        };
        self.add_import(path, Some(name), ident.span());
    }

    fn add_import(&mut self, path: Vec<String>, name: Option<String>, span: Span) {
        let range = span.byte_range();
        self.facts.imports.push(Import { scope: self.scope, path, name, range });
    }

    /// Looks into a macro's tokens as far as they are Rust.
    fn tokens(&mut self, tokens: &TokenStream) {
        if tokens.is_empty() {
            return;
        }
        if let Ok(file) = syn::parse2::<syn::File>(tokens.clone()) {
            self.visit_file(&file);
            return;
        }
        if let Ok(statements) = syn::Block::parse_within.parse2(tokens.clone()) {
            self.within(ScopeKind::Block, |reader| {
                statements.iter().for_each(|statement| reader.visit_stmt(statement));
            });
            return;
        }
        let list = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        if let Ok(list) = list.parse2(tokens.clone()) {
            list.iter().for_each(|expr| self.visit_expr(expr));
            return;
        }
        for tree in tokens.clone() {
            if let TokenTree::Group(group) = tree {
                self.tokens(&group.stream());
            }
        }
    }

    fn signature(&mut self, signature: &syn::Signature) -> Vec<String> {
        signature.inputs.iter().for_each(|input| self.visit_fn_arg(input));
        if let (Some(_), Some(own)) = (signature.receiver(), &self.self_name) {
            let (name, types) = ("self".to_owned(), vec![own.clone()]);
            self.facts.typed.push(Typed { scope: self.scope, name, types });
        }
        self.visit_return_type(&signature.output);
        self.visit_generics(&signature.generics);
        match &signature.output {
            syn::ReturnType::Default => Vec::new(),
            syn::ReturnType::Type(_, ty) => self.names_in(ty),
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        self.within(ScopeKind::Function, |reader| {
            let result = reader.signature(signature);
            reader.expecting(result, |reader| reader.visit_block(block));
        });
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&item.tree, &mut Vec::new());
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if let Some((_, items)) = &item.content {
            self.within(ScopeKind::Module, |reader| {
                // `use` counts for what stands before it too.
                let (uses, rest): (Vec<_>, Vec<_>) =
                    items.iter().partition(|item| matches!(item, syn::Item::Use(_)));
                uses.into_iter().chain(rest).for_each(|item| reader.visit_item(item));
            });
        }
    }

    fn visit_file(&mut self, file: &'ast syn::File) {
        let (uses, rest): (Vec<_>, Vec<_>) =
            file.items.iter().partition(|item| matches!(item, syn::Item::Use(_)));
        uses.into_iter().chain(rest).for_each(|item| self.visit_item(item));
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let mut read = attrs::structure(self.scope, item);
        read.plain &= self.macros == 0;
        self.facts.structs.push(read);
        visit::visit_fields(self, &item.fields);
        self.visit_generics(&item.generics);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let from_sql = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        if from_sql.is_some_and(|last| last.ident == "FromSql") && attrs::refuses_the_rest(item) {
            let name = type_of(&item.self_ty).names.into_iter().next().unwrap_or_default();
            let range = item.impl_token.span.byte_range();
            self.facts.refusing_readers.push(Named { scope: self.scope, name, range });
        }
        let own = type_of(&item.self_ty).names.into_iter().next();
        let outer = std::mem::replace(&mut self.self_name, own);
        visit::visit_item_impl(self, item);
        self.self_name = outer;
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if item.mac.path.is_ident("macro_rules") {
            if attrs::writes_tables(&item.mac.tokens) {
                let at = item.ident.as_ref().map_or_else(Span::call_site, syn::Ident::span);
                self.gap(GapKind::GeneratedTable, at.byte_range());
            }
            return;
        }
        self.visit_macro(&item.mac);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let Some(last) = mac.path.segments.last() else { return };
        let name = name_of(&last.ident);
        if strings::is_query_macro(&name) {
            let text = strings::of_tokens(&name, &mac.tokens, last.ident.span().byte_range());
            self.facts.sql.extend(text);
        }
        match name.as_str() {
            // Declarations of the schema, which `schema` reads.
            "table" | "joinable" | "allow_tables_to_appear_in_same_query" => {}
            "include" => {
                // A file of the project is read by itself.
                if mac.parse_body::<syn::LitStr>().is_err() {
                    self.gap(GapKind::Include, last.ident.span().byte_range());
                }
            }
            _ => {
                self.macros += 1;
                self.tokens(&mac.tokens);
                self.macros -= 1;
            }
        }
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.within(ScopeKind::Block, |reader| {
            let is_use = |s: &&syn::Stmt| matches!(s, syn::Stmt::Item(syn::Item::Use(_)));
            let (uses, rest): (Vec<_>, Vec<_>) = block.stmts.iter().partition(is_use);
            uses.into_iter().chain(rest).for_each(|statement| reader.visit_stmt(statement));
        });
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        let annotated = match &local.pat {
            syn::Pat::Type(typed) => self.names_in(&typed.ty),
            _ => Vec::new(),
        };
        self.visit_pat(&local.pat);
        let Some(init) = &local.init else { return };
        let known = self.facts.chains.len();
        let look = |reader: &mut Self| {
            reader.visit_expr(&init.expr);
            if let Some((_, diverge)) = &init.diverge {
                reader.visit_expr(diverge);
            }
        };
        if annotated.is_empty() {
            look(self)
        } else {
            self.expecting(annotated, look)
        }
        if let (Some(name), syn::Expr::Struct(made)) = (bound_name(&local.pat), &*init.expr) {
            let mut types: Vec<String> = segments_of(&made.path).pop().into_iter().collect();
            self.name_self(&mut types);
            self.facts.typed.push(Typed { scope: self.scope, name, types });
        }
        // The outermost chain comes last.
        if let (Some(name), true) = (bound_name(&local.pat), self.facts.chains.len() > known) {
            let chain = self.facts.chains.len() - 1;
            self.facts.lets.push(Let { scope: self.scope, name, chain });
        }
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        self.within(ScopeKind::Function, |reader| {
            closure.inputs.iter().for_each(|input| reader.visit_pat(input));
            match &closure.output {
                syn::ReturnType::Default => reader.visit_expr(&closure.body),
                syn::ReturnType::Type(_, ty) => {
                    let names = reader.names_in(ty);
                    reader.expecting(names, |reader| reader.visit_expr(&closure.body));
                }
            }
        });
    }

    fn visit_pat_type(&mut self, pat: &'ast syn::PatType) {
        if let Some(name) = bound_name(&pat.pat) {
            let types = self.names_in(&pat.ty);
            self.facts.typed.push(Typed { scope: self.scope, name, types });
        }
        visit::visit_pat_type(self, pat);
    }

    fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
        if self.globs {
            let named = self.named(&pat.ident);
            self.facts.bindings.push(named);
        }
        visit::visit_pat_ident(self, pat);
    }

    fn visit_type_path(&mut self, ty: &'ast syn::TypePath) {
        if ty.path.segments.len() > 1 {
            let at = self.path_at(&ty.path);
            self.facts.type_paths.push(at);
        }
        visit::visit_type_path(self, ty);
    }

    fn visit_expr(&mut self, expr: &'ast syn::Expr) {
        match expr {
            syn::Expr::MethodCall(_) | syn::Expr::Call(_) | syn::Expr::Path(_) => {
                let value = self.value(expr);
                self.keep(value);
            }
            _ => visit::visit_expr(self, expr),
        }
    }
}

/// Returns a name without the `r#` of a raw one.
fn name_of(ident: &proc_macro2::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or_else(|| text.clone(), str::to_owned)
}

/// Returns the one variable that a pattern binds.
fn bound_name(pat: &syn::Pat) -> Option<String> {
    match pat {
        syn::Pat::Ident(pat) => Some(name_of(&pat.ident)),
        syn::Pat::Type(pat) => bound_name(&pat.pat),
        _ => None,
    }
}

fn segments_of(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| name_of(&segment.ident)).collect()
}

/// Returns the shape of a type.
fn type_of(ty: &syn::Type) -> Type {
    struct Names(Vec<String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_type_path(&mut self, ty: &'ast syn::TypePath) {
            self.0.extend(ty.path.segments.last().map(|last| name_of(&last.ident)));
            visit::visit_type_path(self, ty);
        }
    }
    let mut names = Names(Vec::new());
    names.visit_type(ty);
    let options = names.0.iter().take_while(|name| *name == "Option").count();
    Type { options: u8::try_from(options).unwrap_or(u8::MAX), names: names.0 }
}

/// Parses a literal at the beginning of a macro's arguments, and passes the rest over.
fn first_text(input: ParseStream<'_>) -> syn::Result<syn::LitStr> {
    let text: syn::LitStr = input.parse()?;
    input.parse::<TokenStream>()?;
    Ok(text)
}
