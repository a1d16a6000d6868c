//! Statements that are taken apart by their tokens: definitions, rights, bulk copies.

use sqlparser::{ast::Ident, parser::Parser, tokenizer::Token};

use super::{
    Origin,
    query::Walk,
    scope::Scope,
    source::Source,
    statement::{Examiner, KINDS, Rows},
};
use crate::{
    audit::{
        Class,
        rules::{
            COLUMN_GRANTS, COPY_WITHOUT_LIST, FROZEN_VIEW, LABEL_IN_TRANSACTION, REPLICATED_TABLE,
            ROW_TYPE_COLUMN, STAR_MEETS_LIST, TYPE_IN_PLACE,
        },
    },
    backend::Backend,
};

impl Examiner<'_> {
    /// Examines a statement that is neither a query nor changes rows one by one.
    pub(super) fn ddl(&mut self, source: &Source<'_>) {
        if source.is(0, "COPY") {
            self.copy(source);
        } else if source.is(0, "LOAD") {
            self.load(source);
        } else if source.is(0, "GRANT") {
            self.grant(source);
        } else if source.is(0, "CREATE") || source.is(0, "ALTER") {
            let Some(kind) = source.find(1, KINDS) else { return };
            let is = |word| source.is(kind, word);
            if is("VIEW") {
                self.view(source, kind);
            } else if is("PUBLICATION") {
                self.publication(source);
            } else if is("TABLE") && source.is(0, "ALTER") {
                self.type_in_place(source, kind);
            } else if is("TABLE") {
                self.row_types(source, kind);
            } else if source.is(0, "CREATE")
                && ["FUNCTION", "PROCEDURE", "TRIGGER", "EVENT"].into_iter().any(is)
            {
                self.routine(source, kind);
            }
        }
    }

    /// Reads a name; returns whether it is the table, and the place after it.
    pub(super) fn name_at(&self, source: &Source<'_>, mut at: usize) -> (Vec<String>, usize) {
        while source.is(at, "IF") || source.is(at, "NOT") || source.is(at, "EXISTS") {
            at += 1;
        }
        let mut parts = Vec::new();
        while let Some(Token::Word(word)) = source.token(at) {
            let ident = Ident {
                value: word.value.clone(),
                quote_style: word.quote_style,
                span: source.tokens[at].span,
            };
            parts.push(self.names.fold(&ident));
            at += 1;
            if source.token(at) != Some(&Token::Period) {
                break;
            }
            at += 1;
        }
        (parts, at)
    }

    fn copy(&mut self, source: &Source<'_>) {
        if self.origin == Origin::OldMigration || self.engine != Backend::Postgres {
            return;
        }
        if source.token(1) == Some(&Token::LParen) {
            let end = source.after_bracket(1);
            let output = self.dml(&source.part(2..end - 1), &Scope::default(), Rows::Unread);
            if let Some((star, _)) = output.first_new() {
                let message = format!("the file gets a field for `{}`", self.column());
                self.report(&COPY_WITHOUT_LIST, star, message).class = Class::Silent;
            }
            return;
        }
        let (parts, next) = self.name_at(source, 1);
        if !self.names.is_table(&parts) || source.token(next) == Some(&Token::LParen) {
            return;
        }
        let range = source.tokens_range(0..next);
        let column = self.column();
        if source.is(next, "TO") {
            let message = format!("the file gets a field for `{column}`");
            self.report(&COPY_WITHOUT_LIST, range, message).class = Class::Silent;
        } else {
            let message = format!("lines without a field for `{column}` are refused");
            self.report(&COPY_WITHOUT_LIST, range, message);
        }
    }

    /// `LOAD DATA … INTO TABLE`.
    fn load(&mut self, source: &Source<'_>) {
        let Some(into) = source.find(1, &["TABLE"]) else { return };
        let (parts, next) = self.name_at(source, into + 1);
        let lists = (next..source.tokens.len()).any(|at| source.token(at) == Some(&Token::LParen));
        if self.origin != Origin::OldMigration && self.names.is_table(&parts) && !lists {
            let message = format!("lines without a field for `{}` are refused", self.column());
            self.report(&COPY_WITHOUT_LIST, source.tokens_range(into..next), message);
        }
    }

    fn grant(&mut self, source: &Source<'_>) {
        let Some(on) = source.find(1, &["ON"]) else { return };
        let Some(to) = source.find(on, &["TO"]) else { return };
        let objects = source.part(on + 1 + usize::from(source.is(on + 1, "TABLE"))..to);
        let names_table = objects
            .split_at_commas()
            .iter()
            .any(|object| self.names.is_table(&self.name_at(object, 0).0));
        if !names_table {
            return;
        }
        let mut at = 1;
        for right in source.part(1..on).split_at_commas() {
            let start = at;
            at += right.tokens.len() + 1;
            let lists = right.token(1) == Some(&Token::LParen);
            if lists && !self.names_column(&right) {
                let message =
                    format!("the right covers columns one by one, and not `{}`", self.column());
                self.report(&COLUMN_GRANTS, source.tokens_range(start..at - 1), message);
            }
        }
    }

    fn view(&mut self, source: &Source<'_>, kind: usize) {
        let (_, next) = self.name_at(source, kind + 1);
        let listed = (source.token(next) == Some(&Token::LParen))
            .then(|| source.part(next + 1..source.after_bracket(next) - 1).split_at_commas().len());
        let Some(start) = source.find(next, &["AS"]) else { return };
        let mut end = source.tokens.len();
        // WITH CHECK OPTION, WITH NO DATA.
        if let Some(with) = (start..end).rev().find(|at| source.is(*at, "WITH"))
            && end - with <= 4
            && ["CHECK", "CASCADED", "LOCAL", "NO", "DATA"].iter().any(|w| source.is(with + 1, w))
        {
            end = with;
        }
        let query = source.part(start + 1..end);
        let Some(parsed) = query.parse(Parser::parse_query) else {
            return self.unreadable(source.whole());
        };
        let before = self.count();
        let output =
            Walk { examiner: self, source: &query, row: false }.query(&parsed, &Scope::default());
        if self.engine != Backend::Sqlite {
            // Names have found their meaning when the view was made.
            self.forget_since(before);
            if let Some((star, _)) = output.first_new()
                && self.origin != Origin::NewMigration
            {
                let message = format!(
                    "the view keeps the columns of its first day and never has `{}`",
                    self.column()
                );
                self.report(&FROZEN_VIEW, star, message);
            }
            return;
        }
        if let (Some(listed), Some((star, _))) = (listed, output.first_new())
            && output.count_then() != Some(listed)
        {
            let message =
                format!("`*` brings `{}`, and the view names {listed} columns", self.column());
            self.report(&STAR_MEETS_LIST, star, message);
        }
    }

    fn publication(&mut self, source: &Source<'_>) {
        let Some(table) = source.find(1, &["TABLE"]) else { return };
        for object in source.part(table + 1..source.tokens.len()).split_at_commas() {
            let start = usize::from(object.is(0, "TABLE")) + usize::from(object.is(0, "ONLY"));
            let (parts, next) = self.name_at(&object, start);
            if !self.names.is_table(&parts) {
                continue;
            }
            let range = object.whole();
            if object.token(next) == Some(&Token::LParen) {
                let columns = object.part(next..object.after_bracket(next));
                if !self.names_column(&columns) {
                    let message = format!("`{}` is not published", self.column());
                    self.report(&REPLICATED_TABLE, range, message).class = Class::Silent;
                }
            } else {
                let message =
                    format!("subscribers must have `{}` before this server does", self.column());
                self.report(&REPLICATED_TABLE, range, message);
            }
        }
    }

    fn type_in_place(&mut self, source: &Source<'_>, kind: usize) {
        let at_once = matches!(self.origin, Origin::NewMigration | Origin::Script);
        let start = kind + 1 + usize::from(source.is(kind + 1, "ONLY"));
        let (parts, next) = self.name_at(source, start);
        if !at_once || self.engine != Backend::Postgres || !self.names.is_table(&parts) {
            return;
        }
        for change in source.part(next..source.tokens.len()).split_at_commas() {
            if change.is(0, "ALTER")
                && let Some(ty) = change.find(1, &["TYPE"])
                && !change.has(&["IDENTITY", "DEFAULT"])
            {
                let message =
                    "connections that have prepared a statement on the column fail until they are closed"
                        .to_owned();
                self.report(&TYPE_IN_PLACE, change.tokens_range(0..ty + 1), message);
            }
        }
    }

    /// Columns of other tables whose type is a row of the table.
    fn row_types(&mut self, source: &Source<'_>, kind: usize) {
        let (_, open) = self.name_at(source, kind + 1);
        if self.engine != Backend::Postgres
            || !self.subject.column.has_default
            || source.token(open) != Some(&Token::LParen)
        {
            return;
        }
        for definition in source.part(open + 1..source.after_bracket(open) - 1).split_at_commas() {
            let (ty, _) = self.name_at(&definition, 1);
            if matches!(definition.token(0), Some(Token::Word(_))) && self.names.is_table(&ty) {
                let message = format!(
                    "a column of the row type of `{}`: PostgreSQL adds no column with a default while it is there",
                    self.table()
                );
                self.report(&ROW_TYPE_COLUMN, definition.whole(), message);
            }
        }
    }

    /// Labels of an enum that are used in the transaction that brings them.
    pub(super) fn labels(&mut self, sources: &[Source<'_>]) {
        if self.engine != Backend::Postgres || self.origin != Origin::NewMigration {
            return;
        }
        let mut made = Vec::new();
        // Labels, and whether their type is as new as they are.
        let mut labels: Vec<(String, bool)> = Vec::new();
        for source in sources {
            if source.is(0, "CREATE") && source.is(1, "TYPE") {
                made.push(self.name_at(source, 2).0);
            } else if source.is(0, "COMMIT") {
                labels.clear();
            } else if source.is(0, "ALTER")
                && source.is(1, "TYPE")
                && let Some(value) = source.find(2, &["VALUE"])
                && source.is(value - 1, "ADD")
            {
                let is_new = made.contains(&self.name_at(source, 2).0);
                let texts = (value..source.tokens.len()).filter_map(|at| text(source, at));
                labels.extend(texts.take(1).map(|label| (label.to_owned(), is_new)));
            } else if self.concerns(source) {
                self.label_used(source, &labels);
            }
        }
    }

    fn label_used(&mut self, source: &Source<'_>, labels: &[(String, bool)]) {
        let used = (0..source.tokens.len()).find_map(|at| {
            let label = text(source, at)?;
            let (_, is_new) = labels.iter().find(|(added, _)| added == label)?;
            Some((at, *is_new))
        });
        let Some((at, is_new)) = used else { return };
        let (class, message) = if is_new {
            (
                Class::Unknown,
                "the label is added in this transaction, which can use it from PostgreSQL 17 on",
            )
        } else {
            (Class::Runtime, "the label is added in this transaction, which cannot use it yet")
        };
        let range = source.tokens_range(at..at + 1);
        self.report(&LABEL_IN_TRANSACTION, range, message.to_owned()).class = class;
    }

    fn names_column(&self, source: &Source<'_>) -> bool {
        (0..source.tokens.len()).any(|at| {
            let (parts, _) = self.name_at(source, at);
            parts.first() == Some(&self.names.column)
        })
    }
}

fn text<'s>(source: &Source<'s>, at: usize) -> Option<&'s str> {
    match source.token(at) {
        Some(Token::SingleQuotedString(text)) => Some(text),
        _ => None,
    }
}
