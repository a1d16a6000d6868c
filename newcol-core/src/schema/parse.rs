//! Reads a `schema.rs` and keeps the byte range of every part.
//!
//! Walks the tokens of the whole file, not its syntax tree, so what is not ours (views, `use`
//! lines, other macros) is passed over whatever it says. Comments are between the ranges and
//! belong to nobody. Does not expand macros: a `table!` inside `macro_rules!` is not a table.

use std::ops::Range;

use proc_macro2::{Delimiter, Group, LineColumn, Span, TokenStream, TokenTree};

use super::{
    error::{Place, SchemaError},
    model::{Attr, Column, Joinable, SchemaFile, Stub, StubModule, Table, Together, Use},
};

/// Deeper modules are not looked into; no schema nests so far, and arbitrary text may.
const MAX_DEPTH: usize = 64;

impl SchemaFile {
    /// Reads the text of a `schema.rs`, generated or written by hand.
    pub fn parse(source: &str) -> Result<Self, SchemaError> {
        if let Some(at) = conflict(source) {
            return Err(SchemaError::Conflict { at: Place::new(source, at) });
        }
        let tokens: TokenStream = source.parse().map_err(|error: proc_macro2::LexError| {
            let range = Lines::new(source).bytes(error.span());
            SchemaError::Syntax {
                at: Place::new(source, range),
                message: "unreadable token or unbalanced bracket".to_owned(),
            }
        })?;
        let lines = Lines::new(source);
        let mut parser =
            Parser { source, lines: &lines, file: Self::default(), module: Vec::new(), depth: 0 };
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        parser.items(&tokens)?;
        Ok(parser.file)
    }
}

/// Returns the first merge marker, if a later line closes it.
fn conflict(source: &str) -> Option<Range<usize>> {
    let mut offset = 0;
    let mut open = None;
    for line in source.split_inclusive('\n') {
        if open.is_none() && line.starts_with("<<<<<<<") {
            open = Some(offset..offset + line.trim_end().len());
        } else if open.is_some() && line.starts_with(">>>>>>>") {
            return open;
        }
        offset += line.len();
    }
    None
}

struct Parser<'a> {
    source: &'a str,
    lines: &'a Lines<'a>,
    file: SchemaFile,
    module: Vec<String>,
    /// How many brackets deep the items are.
    depth: usize,
}

/// A position in the tokens of one group, whose end is known for error messages.
struct Cursor<'t> {
    lines: &'t Lines<'t>,
    tokens: &'t [TokenTree],
    at: usize,
    end: Range<usize>,
}

impl<'t> Cursor<'t> {
    fn peek(&self, ahead: usize) -> Option<&'t TokenTree> {
        self.tokens.get(self.at + ahead)
    }

    fn next(&mut self) -> Option<&'t TokenTree> {
        let token = self.tokens.get(self.at);
        self.at += usize::from(token.is_some());
        token
    }

    fn is_punct(&self, ahead: usize, c: char) -> bool {
        matches!(self.peek(ahead), Some(TokenTree::Punct(p)) if p.as_char() == c)
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.is_punct(0, c);
        self.at += usize::from(found);
        found
    }

    fn group(&mut self, delimiter: Delimiter) -> Option<&'t Group> {
        match self.peek(0) {
            Some(TokenTree::Group(group)) if group.delimiter() == delimiter => {
                self.at += 1;
                Some(group)
            }
            _ => None,
        }
    }

    /// Returns the range of the next token, or of the closing bracket.
    fn here(&self) -> Range<usize> {
        self.peek(0).map_or(self.end.clone(), |t| self.lines.bytes(t.span()))
    }
}

/// Reports whether the text is a type that `table!` takes. Types nested deeper than anyone writes
/// are refused before they exhaust the stack of the Rust parser.
pub(super) fn is_type(text: &str) -> bool {
    shallow(text) && syn::parse_str::<syn::TypePath>(text).is_ok()
}

fn shallow(text: &str) -> bool {
    text.matches(['<', '(', '[', '{']).count() <= MAX_DEPTH
}

/// Finds the bytes of a token by its line and column.
///
/// `Span::byte_range` would do, but remembers every place it was asked for in a tree; for a large
/// file that takes longer than reading it.
struct Lines<'a> {
    source: &'a str,
    /// Byte at which each line starts.
    starts: Vec<usize>,
    ascii: bool,
}

impl<'a> Lines<'a> {
    fn new(source: &'a str) -> Self {
        let ends = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { source, starts, ascii: source.is_ascii() }
    }

    fn byte(&self, at: LineColumn) -> usize {
        let start = self.starts[at.line - 1];
        if self.ascii {
            return start + at.column;
        }
        let rest = &self.source[start..];
        rest.char_indices().nth(at.column).map_or(self.source.len(), |(offset, _)| start + offset)
    }

    fn bytes(&self, span: Span) -> Range<usize> {
        self.byte(span.start())..self.byte(span.end())
    }

    fn close(&self, group: &Group) -> Range<usize> {
        self.bytes(group.span_close())
    }

    /// Returns the bytes between the brackets.
    fn inside(&self, group: &Group) -> Range<usize> {
        self.bytes(group.span_open()).end..self.close(group).start
    }
}

impl Parser<'_> {
    fn error(&self, range: Range<usize>, message: impl Into<String>) -> SchemaError {
        SchemaError::Syntax { at: Place::new(self.source, range), message: message.into() }
    }

    fn text(&self, range: Range<usize>) -> String {
        self.source[range].to_owned()
    }

    /// Walks the items of a file or module.
    fn items(&mut self, tokens: &[TokenTree]) -> Result<(), SchemaError> {
        if self.depth > MAX_DEPTH {
            return Ok(());
        }
        self.depth += 1;
        let result = self.items_here(tokens);
        self.depth -= 1;
        result
    }

    fn items_here(&mut self, tokens: &[TokenTree]) -> Result<(), SchemaError> {
        let mut cursor =
            Cursor { lines: self.lines, tokens, at: 0, end: self.source.len()..self.source.len() };
        let mut attrs = Vec::new();
        let mut start = None;
        while cursor.peek(0).is_some() {
            let item = *start.get_or_insert(cursor.here().start);
            attrs.extend(self.attrs(&mut cursor)?);
            match cursor.next() {
                Some(TokenTree::Ident(word)) if word == "mod" => {
                    self.module(&mut cursor, &attrs, item)?;
                }
                Some(TokenTree::Ident(word)) if word == "struct" => {
                    self.stub(&mut cursor, &attrs, item);
                }
                Some(TokenTree::Ident(word)) if word == "pub" => {
                    cursor.group(Delimiter::Parenthesis);
                    continue;
                }
                Some(TokenTree::Ident(word)) if cursor.is_punct(0, '!') => {
                    let name = word.to_string();
                    let path = self.path_start(tokens, cursor.at - 1);
                    self.invocation(&mut cursor, &name, item..path, &attrs)?;
                }
                // Words and paths go on; anything else ends the item.
                Some(TokenTree::Ident(_)) => continue,
                Some(TokenTree::Punct(punct)) if punct.as_char() == ':' => continue,
                _ => {}
            }
            attrs.clear();
            start = None;
        }
        Ok(())
    }

    /// Returns the start of the path that ends in the token at `at` (`diesel :: table`).
    fn path_start(&self, tokens: &[TokenTree], mut at: usize) -> usize {
        let is = |at: usize| matches!(&tokens[at], TokenTree::Punct(p) if p.as_char() == ':');
        while at >= 2 && is(at - 1) && is(at - 2) {
            at -= 2;
            if at >= 1 && matches!(tokens[at - 1], TokenTree::Ident(_)) {
                at -= 1;
            }
        }
        self.lines.bytes(tokens[at].span()).start
    }

    fn module(
        &mut self,
        cursor: &mut Cursor<'_>,
        attrs: &[Attr],
        start: usize,
    ) -> Result<(), SchemaError> {
        let Some(TokenTree::Ident(name)) = cursor.next() else { return Ok(()) };
        let Some(group) = cursor.group(Delimiter::Brace) else { return Ok(()) };
        let name = name.to_string();
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        if name == "sql_types" {
            self.file.stub_modules.push(StubModule {
                module: self.module.clone(),
                docs: docs(attrs),
                range: start..self.lines.close(group).end,
                inside: self.lines.inside(group),
            });
        }
        self.module.push(name);
        let result = self.items(&tokens);
        self.module.pop();
        result
    }

    /// Reads `struct Name;` with an attribute that binds it to a type of the database.
    fn stub(&mut self, cursor: &mut Cursor<'_>, attrs: &[Attr], start: usize) {
        let Some(TokenTree::Ident(name)) = cursor.next() else { return };
        if !cursor.eat(';') {
            return;
        }
        let end = self.lines.bytes(cursor.tokens[cursor.at - 1].span()).end;
        let bound = attrs.iter().any(|attr| {
            ["postgres_type", "mysql_type", "sqlite_type"]
                .iter()
                .any(|key| self.source[attr.range.clone()].contains(key))
        });
        if bound {
            self.file.stubs.push(Stub {
                rust_name: name.to_string(),
                module: self.module.clone(),
                range: start..end,
            });
        }
    }

    fn invocation(
        &mut self,
        cursor: &mut Cursor<'_>,
        name: &str,
        before: Range<usize>,
        attrs: &[Attr],
    ) -> Result<(), SchemaError> {
        let Range { start: item, end: start } = before;
        cursor.eat('!');
        if name == "macro_rules" {
            cursor.next();
            cursor.next();
            return Ok(());
        }
        let Some(TokenTree::Group(group)) = cursor.peek(0) else { return Ok(()) };
        cursor.at += 1;
        let mut end = self.lines.bytes(group.span()).end;
        if cursor.eat(';') {
            end = self.lines.bytes(cursor.tokens[cursor.at - 1].span()).end;
        }
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        match name {
            "table" => {
                let table = self.table(group, &tokens, item, start..end, attrs)?;
                self.file.tables.push(table);
            }
            "joinable" => {
                if let Some(joinable) = self.joinable(group, &tokens, start..end) {
                    self.file.joinables.push(joinable);
                }
            }
            "allow_tables_to_appear_in_same_query" => {
                let names = self.together(&tokens);
                self.file.together.push(Together {
                    tables: names,
                    module: self.module.clone(),
                    prefix: self.prefix(start, "allow_tables_to_appear_in_same_query"),
                    range: start..end,
                });
            }
            "cfg_if" => {
                for token in &tokens {
                    if let TokenTree::Group(group) = token
                        && group.delimiter() == Delimiter::Brace
                    {
                        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                        self.items(&inner)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns what stands before the macro's name in its path, such as `diesel::`.
    fn prefix(&self, start: usize, name: &str) -> String {
        let end = self.source[start..].find(name).map_or(start, |at| start + at);
        self.source[start..end].to_owned()
    }

    fn together(&self, tokens: &[TokenTree]) -> Vec<String> {
        let path = |tokens: &[TokenTree]| {
            tokens.iter().rev().find_map(|t| match t {
                TokenTree::Ident(word) => Some(word.to_string()),
                _ => None,
            })
        };
        tokens
            .split(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ','))
            .filter_map(path)
            .collect()
    }

    /// Reads `child -> parent (column)`; `None` for what we do not know, which stays untouched.
    fn joinable(
        &self,
        group: &Group,
        tokens: &[TokenTree],
        range: Range<usize>,
    ) -> Option<Joinable> {
        let mut cursor = Cursor { lines: self.lines, tokens, at: 0, end: self.lines.close(group) };
        let mut path = || {
            let mut last = None;
            while let Some(token) = cursor.peek(0) {
                match token {
                    TokenTree::Ident(word) => last = Some(word.to_string()),
                    TokenTree::Punct(p) if p.as_char() == ':' => {}
                    _ => break,
                }
                cursor.at += 1;
            }
            (cursor.eat('-') && cursor.eat('>'), last, cursor.group(Delimiter::Parenthesis))
        };
        let (true, child, None) = path() else { return None };
        let (false, parent, Some(column)) = path() else { return None };
        let column = column.stream().into_iter().next()?.to_string();
        Some(Joinable {
            child: child?,
            parent: parent?,
            column,
            module: self.module.clone(),
            prefix: self.prefix(range.start, "joinable"),
            range,
        })
    }

    /// Reads the outer attributes and doc comments at the cursor.
    fn attrs(&self, cursor: &mut Cursor<'_>) -> Result<Vec<Attr>, SchemaError> {
        let mut attrs = Vec::new();
        while cursor.is_punct(0, '#') {
            let start = cursor.here().start;
            let inner = cursor.is_punct(1, '!');
            let Some(TokenTree::Group(group)) = cursor.peek(1 + usize::from(inner)) else { break };
            cursor.at += 2 + usize::from(inner);
            if inner {
                continue;
            }
            // The span of a doc comment holds the carriage return of its line ending.
            let end = self.lines.bytes(group.span()).end;
            let range = start..start + self.source[start..end].trim_end_matches('\r').len();
            let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
            let mut value = None;
            if let [TokenTree::Ident(_), TokenTree::Punct(equals), TokenTree::Literal(literal)] =
                tokens.as_slice()
                && equals.as_char() == '='
            {
                value = match syn::Lit::new(literal.clone()) {
                    syn::Lit::Str(text) => Some(text.value()),
                    syn::Lit::Int(number) => Some(number.base10_digits().to_owned()),
                    _ => None,
                };
            }
            let name = match tokens.first() {
                Some(TokenTree::Ident(name)) => name.to_string(),
                _ => String::new(),
            };
            if value.is_none() && (name == "sql_name" || name == "max_length") {
                return Err(self.error(range, format!("`{name}` needs a literal value")));
            }
            attrs.push(Attr { name, value, range });
        }
        Ok(attrs)
    }

    fn table(
        &self,
        group: &Group,
        tokens: &[TokenTree],
        item: usize,
        range: Range<usize>,
        outer: &[Attr],
    ) -> Result<Table, SchemaError> {
        let mut cursor = Cursor { lines: self.lines, tokens, at: 0, end: self.lines.close(group) };
        let mut uses = Vec::new();
        let (attrs, first) = loop {
            let attrs = self.attrs(&mut cursor)?;
            match cursor.next() {
                Some(TokenTree::Ident(word)) if word == "use" => {
                    uses.push(self.import(&mut cursor, &attrs, self.lines.bytes(word.span()))?);
                }
                Some(TokenTree::Ident(word)) if word == "pub" => {
                    cursor.group(Delimiter::Parenthesis);
                }
                Some(TokenTree::Ident(word)) => break (attrs, word),
                _ => return Err(self.error(cursor.here(), "expected the name of a table")),
            }
        };
        let (schema, name) = if cursor.eat('.') {
            match cursor.next() {
                Some(TokenTree::Ident(name)) => (Some(unraw(&first.to_string())), name),
                _ => return Err(self.error(cursor.here(), "expected the name of a table")),
            }
        } else {
            (None, first)
        };
        let primary_key = match cursor.group(Delimiter::Parenthesis) {
            Some(keys) => keys
                .stream()
                .into_iter()
                .filter_map(|t| match t {
                    TokenTree::Ident(key) => Some(key.to_string()),
                    _ => None,
                })
                .collect(),
            None => vec!["id".to_owned()],
        };
        let Some(block) = cursor.group(Delimiter::Brace) else {
            return Err(self.error(cursor.here(), "expected the columns of the table in braces"));
        };
        if cursor.peek(0).is_some() {
            return Err(self.error(cursor.here(), "unexpected text after the columns"));
        }
        let rust_name = name.to_string();
        let mut sql_name = sql_name(&attrs, &rust_name);
        // print-schema repeats the schema in the attribute.
        if let Some(schema) = &schema
            && let Some(bare) = sql_name.strip_prefix(&format!("{schema}."))
        {
            sql_name = bare.to_owned();
        }
        Ok(Table {
            sql_name,
            schema,
            primary_key,
            columns: self.columns(block)?,
            block: self.lines.inside(block),
            header: attrs
                .first()
                .map_or(self.lines.bytes(first.span()).start, |attr| attr.range.start),
            body: self.lines.inside(group),
            cfgs: outer
                .iter()
                .filter(|attr| attr.name == "cfg")
                .map(|attr| self.text(attr.range.clone()))
                .collect(),
            prefix: self.prefix(range.start, "table"),
            module: self.module.clone(),
            name_range: self.lines.bytes(name.span()),
            rust_name,
            uses,
            attrs,
            item,
            range,
        })
    }

    /// Reads a `use` line to its semicolon.
    fn import(
        &self,
        cursor: &mut Cursor<'_>,
        attrs: &[Attr],
        keyword: Range<usize>,
    ) -> Result<Use, SchemaError> {
        let path = cursor.here().start;
        while let Some(token) = cursor.next() {
            if matches!(token, TokenTree::Punct(p) if p.as_char() == ';') {
                let end = self.lines.bytes(token.span());
                let start = attrs.first().map_or(keyword.start, |attr| attr.range.start);
                return Ok(Use {
                    path: self.text(path..end.start.max(path)),
                    range: start..end.end,
                });
            }
        }
        Err(self.error(keyword, "`use` without a semicolon"))
    }

    fn columns(&self, block: &Group) -> Result<Vec<Column>, SchemaError> {
        let tokens: Vec<TokenTree> = block.stream().into_iter().collect();
        let mut cursor =
            Cursor { lines: self.lines, tokens: &tokens, at: 0, end: self.lines.close(block) };
        let mut columns = Vec::new();
        while cursor.peek(0).is_some() {
            columns.push(self.column(&mut cursor)?);
        }
        Ok(columns)
    }

    fn column(&self, cursor: &mut Cursor<'_>) -> Result<Column, SchemaError> {
        let attrs = self.attrs(cursor)?;
        let Some(TokenTree::Ident(name)) = cursor.peek(0) else {
            return Err(self.error(cursor.here(), "expected the name of a column"));
        };
        cursor.at += 1;
        if !(cursor.eat('-') && cursor.eat('>')) {
            return Err(self.error(cursor.here(), "expected `->` after the name of a column"));
        }
        let first = cursor.at;
        let mut depth = 0_usize;
        while let Some(token) = cursor.peek(0) {
            match token {
                TokenTree::Punct(p) if p.as_char() == '<' => depth += 1,
                TokenTree::Punct(p) if p.as_char() == '>' && depth == 0 => {
                    return Err(self.error(cursor.here(), "unexpected `>`"));
                }
                TokenTree::Punct(p) if p.as_char() == '>' => depth -= 1,
                TokenTree::Punct(p) if p.as_char() == ',' && depth == 0 => break,
                _ => {}
            }
            cursor.at += 1;
        }
        let ty = &cursor.tokens[first..cursor.at];
        let (Some(from), Some(to)) = (ty.first(), ty.last()) else {
            return Err(self.error(cursor.here(), "expected the type of a column"));
        };
        let ty_range = self.lines.bytes(from.span()).start..self.lines.bytes(to.span()).end;
        let text = self.text(ty_range.clone());
        if !shallow(&text) || !are_a_type(ty) {
            return Err(self.error(ty_range, format!("`{text}` is not a type")));
        }
        let comma = if cursor.is_punct(0, ',') {
            cursor.at += 1;
            Some(self.lines.bytes(cursor.tokens[cursor.at - 1].span()))
        } else {
            None
        };
        let name_range = self.lines.bytes(name.span());
        let rust_name = name.to_string();
        let start = attrs.first().map_or(name_range.start, |attr| attr.range.start);
        Ok(Column {
            sql_name: sql_name(&attrs, &rust_name),
            rust_name,
            nullable: self.nullable(ty),
            ty: text,
            max_length: attrs
                .iter()
                .find(|attr| attr.name == "max_length")
                .and_then(|attr| attr.value.as_deref()?.parse().ok()),
            docs: docs(&attrs),
            attrs,
            range: start..ty_range.end,
            name_range,
            ty_range,
            comma,
        })
    }

    /// Returns the range of `T` in `Nullable<T>`, for any path to `Nullable`.
    fn nullable(&self, ty: &[TokenTree]) -> Option<Range<usize>> {
        let open =
            ty.iter().position(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == '<'))?;
        let named =
            matches!(ty.get(open.checked_sub(1)?), Some(TokenTree::Ident(n)) if n == "Nullable");
        let closed = matches!(ty.last(), Some(TokenTree::Punct(p)) if p.as_char() == '>');
        if !(named && closed && ty.len() > open + 2) {
            return None;
        }
        Some(
            self.lines.bytes(ty[open + 1].span()).start
                ..self.lines.bytes(ty[ty.len() - 2].span()).end,
        )
    }
}

/// Reports whether the tokens are a path to a type.
///
/// Nearly every column is `Type` or `Nullable<Type>`, which needs no parser. Others are parsed from
/// their tokens: each text that is parsed adds a source that every later look at a place passes.
fn are_a_type(tokens: &[TokenTree]) -> bool {
    let named = |token: &TokenTree| matches!(token, TokenTree::Ident(name) if name.to_string().starts_with(|c: char| c.is_ascii_uppercase()));
    let punct = |token: &TokenTree, c| matches!(token, TokenTree::Punct(p) if p.as_char() == c);
    match tokens {
        [name] if named(name) => true,
        [outer, open, inner, close]
            if named(outer) && punct(open, '<') && named(inner) && punct(close, '>') =>
        {
            true
        }
        _ => syn::parse2::<syn::TypePath>(tokens.iter().cloned().collect()).is_ok(),
    }
}

fn sql_name(attrs: &[Attr], rust_name: &str) -> String {
    attrs
        .iter()
        .find(|attr| attr.name == "sql_name")
        .and_then(|attr| attr.value.as_deref())
        .map_or_else(|| unraw(rust_name), unraw)
}

fn unraw(name: &str) -> String {
    name.strip_prefix("r#").unwrap_or(name).to_owned()
}

/// Returns the lines of the doc comments, each without its leading blank.
fn docs(attrs: &[Attr]) -> Vec<String> {
    attrs
        .iter()
        .filter(|attr| attr.name == "doc")
        .filter_map(|attr| attr.value.as_deref())
        .map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned())
        .collect()
}
