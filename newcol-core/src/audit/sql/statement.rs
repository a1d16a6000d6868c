//! Tells statements apart and sends each where it is examined.

use std::{collections::BTreeSet, ops::Range};

use sqlparser::{parser::Parser, tokenizer::Token};

use super::{
    Origin, Reading, SqlFinding,
    names::{Names, mentions},
    output::{Output, Twice},
    psql,
    query::Walk,
    scope::Scope,
    source::{Base, Source},
};
use crate::{
    audit::{
        Class, Edit, Fix, Subject,
        rules::{
            AMBIGUOUS_COLUMN, POSITIONAL_ROW, RAW_STAR, Rule, STAR_BY_NAME, STAR_MEETS_LIST,
            UNREADABLE_SQL,
        },
    },
    backend::Backend,
    plan::StageKind,
    sql,
};

/// First words of what the parser reads as a whole.
pub(super) const QUERIES: &[&str] =
    &["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "REPLACE", "VALUES", "TABLE", "MERGE"];

/// What can be made and dropped.
pub(super) const KINDS: &[&str] = &[
    "VIEW",
    "TABLE",
    "FUNCTION",
    "PROCEDURE",
    "TRIGGER",
    "EVENT",
    "PUBLICATION",
    "INDEX",
    "TYPE",
    "POLICY",
    "RULE",
    "SEQUENCE",
];

/// Examines texts for one engine.
pub(super) struct Examiner<'a> {
    pub(super) subject: &'a Subject,
    pub(super) names: Names,
    pub(super) engine: Backend,
    pub(super) origin: Origin,
    /// Functions that the text makes a trigger of the table.
    pub(super) row_functions: BTreeSet<String>,
    found: Vec<Found>,
    /// Each `*`, and the columns that it stands for today.
    pub(super) stars: Vec<(Range<usize>, String)>,
    /// Which of several texts is being examined.
    text: usize,
    /// What the statement at hand makes: its kind and name.
    made: Option<(&'static str, String)>,
}

struct Found {
    text: usize,
    made: Option<(&'static str, String)>,
    finding: SqlFinding,
}

impl<'a> Examiner<'a> {
    pub(super) fn new(subject: &'a Subject, engine: Backend, origin: Origin) -> Self {
        let names = Names::new(subject, engine);
        let row_functions = BTreeSet::new();
        Self {
            subject,
            names,
            engine,
            origin,
            row_functions,
            found: Vec::new(),
            stars: Vec::new(),
            text: 0,
            made: None,
        }
    }

    /// Returns what is found in texts that ran one after the other: with the place of its text, and
    /// without what a later one has dropped or made again.
    pub(super) fn history<'t>(
        mut self,
        texts: impl IntoIterator<Item = &'t str> + Clone,
    ) -> Vec<(usize, SqlFinding)> {
        // A function and the trigger that calls it need not be of one text.
        for text in texts.clone() {
            if mentions(text, &self.names.table) && mentions(text, "trigger") {
                let tokens = sql::tokens(&psql::masked(text, self.engine), self.engine);
                for statement in sql::split(tokens.unwrap_or_default()) {
                    self.bind_trigger(&self.source(&statement, &Base::At(0)));
                }
            }
        }
        for (n, text) in texts.into_iter().enumerate() {
            self.text = n;
            let may_drop = !self.found.is_empty()
                && ["drop", "create"].iter().any(|word| mentions(text, word));
            let is_called = self.row_functions.iter().any(|function| mentions(text, function));
            if may_drop || is_called || mentions(text, &self.names.table) {
                self.statements(&psql::masked(text, self.engine), &Base::At(0));
            }
        }
        self.found.into_iter().map(|found| (found.text, found.finding)).collect()
    }

    /// Returns what is found in a text.
    pub(super) fn text(mut self, text: &str) -> Vec<SqlFinding> {
        if mentions(text, &self.names.table) {
            if self.origin == Origin::Fragment {
                self.fragment(text);
            } else {
                self.statements(&psql::masked(text, self.engine), &Base::At(0));
            }
        } else if self.origin == Origin::Fragment && mentions(text, &self.names.column) {
            self.fragment(text);
        }
        self.found.into_iter().map(|found| found.finding).collect()
    }

    /// Examines the statements of a text.
    pub(super) fn statements(&mut self, text: &str, base: &Base) {
        let Some(tokens) = sql::tokens(text, self.engine) else {
            if mentions(text, &self.names.table) {
                self.unreadable(base.range(0..text.len()));
            }
            return;
        };
        let statements = sql::split(tokens);
        let sources: Vec<Source<'_>> =
            statements.iter().map(|statement| self.source(statement, base)).collect();
        for source in &sources {
            self.bind_trigger(source);
        }
        for source in &sources {
            self.forget_what_goes(source);
            if self.concerns(source) {
                self.statement(source);
            }
        }
        self.made = None;
        self.labels(&sources);
    }

    fn source<'s>(&self, statement: &'s sql::Statement, base: &Base) -> Source<'s> {
        let tokens = statement.tokens().iter().collect();
        Source { tokens, base: base.clone(), engine: self.engine }
    }

    /// Examines one statement.
    pub(super) fn statement(&mut self, source: &Source<'_>) {
        let at_once = self.origin != Origin::OldMigration;
        if QUERIES.iter().any(|word| source.is(0, word)) || source.token(0) == Some(&Token::LParen)
        {
            if at_once {
                self.dml(source, &Scope::default(), Rows::default());
            }
        } else if source.is(0, "EXPLAIN") || source.is(0, "PREPARE") || source.is(0, "DECLARE") {
            if at_once && let Some(start) = source.find(1, QUERIES) {
                self.dml(&source.part(start..source.tokens.len()), &Scope::default(), Rows::Unread);
            }
        } else if source.is(0, "DO") {
            if at_once {
                self.anonymous_block(source);
            }
        } else if source.is(0, "CALL") {
            if at_once {
                self.handed_blocks(source);
            }
        } else {
            self.ddl(source);
        }
    }

    /// Examines a statement that reads or writes rows.
    pub(super) fn dml(&mut self, source: &Source<'_>, scope: &Scope<'_>, rows: Rows) -> Output {
        let Some(statement) = source.parse(Parser::parse_statement) else {
            self.unreadable(source.whole());
            return Output::unknown();
        };
        let row = rows == Rows::Trigger;
        let output = Walk { examiner: self, source, row }.statement(&statement, scope);
        if rows == Rows::Sent {
            self.rows_sent(&output);
        }
        output
    }

    /// Adds a finding that is due before the column comes.
    pub(super) fn report(
        &mut self,
        rule: &'static Rule,
        range: Range<usize>,
        message: String,
    ) -> &mut SqlFinding {
        let finding = SqlFinding {
            rule,
            class: rule.class,
            due: StageKind::Expand,
            fix: self.named_star(rule, &range),
            range,
            message,
            help: None,
        };
        self.found.push(Found { text: self.text, made: self.made.clone(), finding });
        // Pushed just now.
        let last = self.found.len() - 1;
        &mut self.found[last].finding
    }

    /// Returns the fix that names the columns of a `*`, where a finding is about that and they are
    /// known.
    fn named_star(&self, rule: &Rule, range: &Range<usize>) -> Option<Fix> {
        let of_stars = [&STAR_MEETS_LIST, &STAR_BY_NAME, &POSITIONAL_ROW];
        if !of_stars.iter().any(|one| **one == *rule) {
            return None;
        }
        let (range, columns) = self.stars.iter().find(|(star, _)| star == range)?;
        let edits = vec![Edit { range: range.clone(), text: columns.clone() }];
        Some(Fix { message: "name the columns".to_owned(), path: None, edits })
    }

    /// Returns how much is found so far.
    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// Takes back what was found since.
    pub(super) fn forget_since(&mut self, count: usize) {
        self.found.truncate(count);
    }

    /// Takes back what is said of an object that a statement drops or makes anew, and notes what it
    /// makes.
    fn forget_what_goes(&mut self, source: &Source<'_>) {
        self.made = None;
        let drops = source.is(0, "DROP");
        if !drops && !source.is(0, "CREATE") {
            return;
        }
        let Some(kind) = source.find(1, KINDS) else { return };
        let Some(word) = KINDS.iter().find(|word| source.is(kind, word)) else { return };
        let names = source.part(kind + 1..source.tokens.len());
        let names = if drops { names.split_at_commas() } else { vec![names] };
        for name in names {
            let Some(name) = self.name_at(&name, 0).0.pop() else { continue };
            let made = Some((*word, name));
            self.found.retain(|found| found.made != made);
            self.made = made;
        }
    }

    /// Says that something that mentions the table could not be read.
    pub(super) fn unreadable(&mut self, range: Range<usize>) {
        let message = format!(
            "this mentions `{}` and cannot be read as SQL of {}",
            self.table(),
            self.engine
        );
        self.report(&UNREADABLE_SQL, range, message);
    }

    /// Returns the table's name for messages.
    pub(super) fn table(&self) -> String {
        self.subject.path.table.dotted()
    }

    /// Returns the column's name for messages.
    pub(super) fn column(&self) -> String {
        self.subject.column.sql_name.clone()
    }

    /// Reports whether a statement can have to do with the table.
    pub(super) fn concerns(&self, source: &Source<'_>) -> bool {
        source.tokens.iter().any(|placed| match &placed.token {
            Token::Word(word) => {
                word.value.eq_ignore_ascii_case(&self.names.table)
                    || (!self.row_functions.is_empty()
                        && self.row_functions.contains(&word.value.to_lowercase()))
            }
            Token::SingleQuotedString(text)
            | Token::DoubleQuotedString(text)
            | Token::EscapedStringLiteral(text) => mentions(text, &self.names.table),
            Token::DollarQuotedString(text) => mentions(&text.value, &self.names.table),
            _ => false,
        })
    }

    /// Weighs how the program reads the rows that a statement sends it.
    fn rows_sent(&mut self, output: &Output) {
        let Origin::Program(reading) = self.origin else {
            if self.origin == Origin::Script {
                self.star_by_name(output, Reading::Unknown);
            }
            return;
        };
        self.star_by_name(output, reading);
        let Some((star, _)) = output.first_new() else { return };
        let column = self.column();
        if reading == Reading::EveryField {
            let message = format!("the struct that takes `*` has no field `{column}`");
            self.report(&POSITIONAL_ROW, star, message).class = Class::Compile;
        } else if reading == Reading::Position && output.moves() {
            let message = format!("`{column}` moves the columns after `*` by one place");
            self.report(&POSITIONAL_ROW, star, message);
        }
    }

    fn star_by_name(&mut self, output: &Output, reading: Reading) {
        let wrong = match reading {
            Reading::FirstOfName => Some(Twice::NewFirst),
            Reading::LastOfName => Some(Twice::NewLast),
            Reading::Unknown => None,
            Reading::Position | Reading::EveryField => return,
        };
        let twice = output.twice(&self.names.column);
        if twice.is_none() || wrong.is_some_and(|wrong| twice != Some(wrong)) {
            return;
        }
        let (column, table) = (self.column(), self.table());
        if let Some((star, _)) = output.first_new() {
            let message = format!(
                "the row has a `{column}` today and gets a second one from `{table}`; read by name, one of them is lost"
            );
            self.report(&STAR_BY_NAME, star, message);
        }
    }

    /// Examines what the program hands to Diesel as a part of a statement.
    fn fragment(&mut self, text: &str) {
        let Some(tokens) = sql::tokens(text, self.engine) else {
            return self.unreadable(0..text.len());
        };
        let tokens: Vec<_> = tokens
            .iter()
            .filter(|placed| !matches!(placed.token, Token::Whitespace(_) | Token::EOF))
            .collect();
        let source = Source { tokens, base: Base::At(0), engine: self.engine };
        if QUERIES.iter().any(|word| source.is(0, word)) {
            self.dml(&source, &Scope::default(), Rows::Unread);
            return;
        }
        // It may stand anywhere in a statement: only what holds in each place is said.
        for at in 0..source.tokens.len() {
            let star_of_table = source.token(at) == Some(&Token::Mul)
                && at > 1
                && source.token(at - 1) == Some(&Token::Period)
                && matches!(source.token(at - 2), Some(Token::Word(word))
                    if word.value.eq_ignore_ascii_case(&self.names.table))
                && !(at > 2 && source.token(at - 3) == Some(&Token::LParen));
            if star_of_table {
                let message = format!(
                    "`{}` comes with `*` where the types around name every column",
                    self.column()
                );
                self.report(&RAW_STAR, source.tokens_range(at - 2..at + 1), message);
            }
            let bare = matches!(source.token(at), Some(Token::Word(word))
                    if word.value.to_lowercase() == self.names.column.to_lowercase())
                && source.token(at + 1) != Some(&Token::LParen)
                && source.token(at + 1) != Some(&Token::Period)
                && (at == 0 || source.token(at - 1) != Some(&Token::Period))
                && (at == 0 || !source.is(at - 1, "AS"));
            let elsewhere = self.subject.others.iter().find(|o| o.has(&self.names.column));
            if bare && let Some(other) = elsewhere {
                let message = format!(
                    "`{}` is bare: in a statement that also names `{}`, it will mean two columns",
                    self.column(),
                    other.sql_name
                );
                let class = Class::Unknown;
                self.report(&AMBIGUOUS_COLUMN, source.tokens_range(at..at + 1), message).class =
                    class;
            }
        }
    }
}

/// What becomes of a statement's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Rows {
    /// They go to whoever sent it.
    #[default]
    Sent,
    /// Whoever calls looks after them, or nobody.
    Unread,
    /// The same, in a trigger of the table, where `NEW` and `OLD` are rows of it.
    Trigger,
}
