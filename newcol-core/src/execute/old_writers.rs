//! Looks for programs that do not know a column yet.
//!
//! What can be seen of them: a session that is older than the column belongs to a program that is;
//! and a statement that inserts without naming the column was written before it. Servers that count
//! their statements tell whether there was one while nobody looked. Seeing nobody proves nothing by
//! itself, so an observation says for how long it looked, and whether anything counted. MySQL and
//! MariaDB count only what is not prepared, so there a count tells of old programs and never that there
//! are none; what a session keeps prepared is looked at instead.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use sqlparser::tokenizer::Token;

use super::{peers, peers::Peer};
use crate::{
    backend::Backend,
    db::{DbError, Session},
    ident::{ColumnPath, Ident, TableName},
    render::text::exact_literal,
    sql,
};

/// What tells an old program from a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// It inserts rows without naming the column.
    InsertsWithout,
    /// It names a column that is about to go.
    Names(Ident),
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The new column.
    pub column: ColumnPath,
    /// What tells an old program.
    pub sign: Sign,
    /// When the column appeared, in UTC, as Diesel's table has it: sessions that began before are
    /// old.
    pub since: Option<String>,
}

/// A session that belongs to an old program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The session; its statement is the one that tells, where one does.
    pub session: Peer,
    /// Whether it is older than the column; else its statement tells.
    pub is_older: bool,
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = if self.is_older { ", connected since before the column" } else { "" };
        write!(f, "{}{why}", self.session)
    }
}

/// What the server tells of statements that ran meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Old ones ran so often.
    Times(u64),
    /// It counts none.
    Not,
    /// There is no server: SQLite knows neither programs nor what they run.
    NoServer,
    /// It counts, but does not show this user what others run.
    Hidden,
    /// It does not count what programs have prepared, as Diesel's do (MySQL, MariaDB).
    ButPrepared,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Sessions of old programs.
    pub sightings: Vec<Sighting>,
    /// How often old statements ran meanwhile.
    pub counted: Counted,
    /// How long it was looked for.
    pub lasted: Duration,
}

impl Observation {
    /// Reports whether it shows that nobody is there: something counted, for some time, and came to
    /// nothing.
    pub fn shows_nobody(&self) -> bool {
        self.sightings.is_empty() && self.counted == Counted::Times(0) && !self.lasted.is_zero()
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.lasted.as_secs_f64();
        match (self.sightings.first(), self.counted) {
            (Some(first), _) => {
                write!(f, "{first}")?;
                match self.sightings.len() {
                    1 => Ok(()),
                    all => write!(f, "; and {} more", all - 1),
                }
            }
            (None, Counted::Not) => f.write_str("the server counts no statements, so only you can know"),
            (None, Counted::NoServer) => {
                f.write_str("SQLite sees no other programs, so only you can know")
            }
            (None, Counted::Hidden) => f.write_str(
                "this user is not shown what others run, so only you can know (privileges.md says what shows it)",
            ),
            (None, Counted::ButPrepared) => {
                f.write_str("the server does not count prepared statements, so only you can know")
            }
            (None, Counted::Times(_)) if self.lasted.is_zero() => {
                f.write_str("nobody has looked for them")
            }
            (None, Counted::Times(0)) => write!(f, "no statement of theirs within {seconds:.0} s"),
            (None, Counted::Times(count)) => {
                write!(f, "{count} statements of theirs within {seconds:.0} s")
            }
        }
    }
}

/// Looks for old programs for so long; less where whoever asks wants to stop.
pub fn observe(
    session: &mut Session,
    search: &Search,
    lasting: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<Observation, DbError> {
    /// How often sessions are looked at.
    const LOOK: Duration = Duration::from_millis(100);
    let started = Instant::now();
    let signal = super::signal::Signal::default();
    let first = counts(session, search)?;
    let mut seen: BTreeMap<String, Sighting> = BTreeMap::new();
    loop {
        for sighting in look(session, search)? {
            seen.insert(sighting.session.id.clone(), sighting);
        }
        let left = lasting.saturating_sub(started.elapsed());
        if left.is_zero() || stop() {
            break;
        }
        signal.wait(left.min(LOOK));
    }
    let last = counts(session, search)?;
    let counted = match (first, last) {
        (Ok(first), Ok(last)) => {
            // What is new, or was counted anew since the counts were reset.
            let since = |(key, count): (&String, &u64)| {
                count.saturating_sub(first.get(key).copied().unwrap_or_default())
            };
            match (last.iter().map(since).sum(), session.backend()) {
                (0, Backend::Mysql) => Counted::ButPrepared,
                (count, _) => Counted::Times(count),
            }
        }
        (Err(why), _) | (_, Err(why)) => why,
    };
    let lasted = if lasting.is_zero() { lasting } else { started.elapsed() };
    Ok(Observation { sightings: seen.into_values().collect(), counted, lasted })
}

/// Looks at every session once.
fn look(session: &mut Session, search: &Search) -> Result<Vec<Sighting>, DbError> {
    let backend = session.backend();
    let old = match (&search.since, backend) {
        (Some(since), Backend::Postgres) => peers::older_than(session, since)?,
        (_, Backend::Postgres | Backend::Mysql | Backend::Sqlite) => Vec::new(),
    };
    let mut found: Vec<Sighting> =
        old.into_iter().map(|session| Sighting { session, is_older: true }).collect();
    let prepared = match backend {
        Backend::Mysql => peers::prepared(session, search.column.table.name.as_str())?,
        Backend::Postgres | Backend::Sqlite => BTreeMap::new(),
    };
    for peer in peers::all(session)? {
        if found.iter().any(|known| known.session.id == peer.id) {
            continue;
        }
        let kept = prepared.get(&peer.id).into_iter().flatten();
        let tells =
            [&peer.query].into_iter().chain(kept).find(|text| search.matches(text, backend));
        if let Some(query) = tells.cloned() {
            found.push(Sighting { session: Peer { query, ..peer }, is_older: false });
        }
    }
    Ok(found)
}

/// Reads how often each old statement ran so far; else why that is not to be had: seeing nothing would
/// pass for nobody.
fn counts(
    session: &mut Session,
    search: &Search,
) -> Result<Result<BTreeMap<String, u64>, Counted>, DbError> {
    let backend = session.backend();
    let name = exact_literal(backend, &format!("%{}%", search.column.table.name.as_str()));
    let (counts, sees, sql) = match backend {
        Backend::Postgres => (
            "SELECT count(*) FROM pg_catalog.pg_extension WHERE extname = 'pg_stat_statements' \
             AND current_setting('pg_stat_statements.track', true) <> 'none'",
            "SELECT pg_has_role('pg_read_all_stats', 'USAGE')",
            format!(
                "SELECT s.userid || ' ' || s.queryid, s.query, s.calls FROM {schema}.pg_stat_statements s \
                 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
                 AND s.query ILIKE {name}",
                schema = session
                    .value(
                        "SELECT quote_ident(n.nspname) FROM pg_catalog.pg_extension e \
                         JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
                         WHERE e.extname = 'pg_stat_statements'",
                    )?
                    .unwrap_or_default()
            ),
        ),
        Backend::Mysql => (
            "SELECT @@performance_schema",
            "SELECT 1",
            format!(
                "SELECT digest, digest_text, count_star \
                 FROM performance_schema.events_statements_summary_by_digest \
                 WHERE schema_name = database() AND digest_text LIKE {name}"
            ),
        ),
        Backend::Sqlite => return Ok(Err(Counted::NoServer)),
    };
    if !session.query_bool(counts)? {
        return Ok(Err(Counted::Not));
    }
    if !session.query_bool(sees)? {
        return Ok(Err(Counted::Hidden));
    }
    let rows = match session.query(&sql) {
        Err(error) if error.is_denied() => return Ok(Err(Counted::Hidden)),
        rows => rows?,
    };
    let mut counts = BTreeMap::new();
    for row in rows {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().unwrap_or_default();
        let (key, text, count) = (next(), next(), next());
        if search.matches(&text, backend) {
            // One row for calls from programs, another for those from within functions.
            let count: u64 = count.parse().unwrap_or_default();
            *counts.entry(key).or_default() += count;
        }
    }
    Ok(Ok(counts))
}

impl Search {
    /// Reports whether a statement is of an old program; it may be cut off at its end.
    fn matches(&self, text: &str, backend: Backend) -> bool {
        let tokens = sql::leading_tokens(text, backend);
        let tokens: Vec<&Token> = tokens
            .iter()
            .map(|placed| &placed.token)
            .filter(|token| !matches!(token, Token::Whitespace(_)))
            .collect();
        let words = Words { tokens: &tokens, backend };
        match &self.sign {
            Sign::InsertsWithout => words
                .written_columns(&self.column.table)
                .iter()
                .any(|columns| !columns.iter().any(|at| words.is_name(*at, &self.column.column))),
            Sign::Names(column) => {
                let names = |wanted: &Ident| (0..tokens.len()).any(|at| words.is_name(at, wanted));
                // Statements that change the table are the tool's, or a migration's.
                let is_use = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "MERGE", "COPY"];
                let first = (0..tokens.len()).find(|at| words.word(*at).is_some());
                first.is_some_and(|first| words.is_any(first, &is_use))
                    && names(&self.column.table.name)
                    && names(column)
            }
        }
    }
}

/// The tokens of a statement, by their number.
struct Words<'a> {
    tokens: &'a [&'a Token],
    backend: Backend,
}

impl Words<'_> {
    /// Returns the columns that each INSERT into a table names, as numbers of their tokens; nothing of
    /// one that names none, or is cut off among them.
    fn written_columns(&self, table: &TableName) -> Vec<Vec<usize>> {
        let merges = self.is(0, "MERGE").then(|| self.table_at(self.skip(1, &["INTO", "ONLY"])));
        let is_meant = |name: usize| self.is_name(name, &table.name);
        let mut found = Vec::new();
        for at in 0..self.tokens.len() {
            let list = if self.is_any(at, &["INSERT", "REPLACE"]) {
                match (merges, self.is_at(at + 1, &Token::LParen)) {
                    // `WHEN NOT MATCHED THEN INSERT (…)`
                    (Some((name, _)), true) if is_meant(name) => Some(at + 1),
                    (_, true) => None,
                    (_, false) => self.list_of_insert(at + 1, is_meant),
                }
            } else if at == 0 && self.is(at, "COPY") {
                let (name, after) = self.table_at(1);
                is_meant(name).then_some(after)
            } else {
                None
            };
            let Some((columns, after)) = list.and_then(|list| self.columns(list)) else { continue };
            // What is copied out of the table is only read.
            if !self.is(at, "COPY") || self.is(after, "FROM") {
                found.push(columns);
            }
        }
        found
    }

    /// Returns where the list of columns begins, in `INTO users AS u (…)` and its like.
    fn list_of_insert(&self, at: usize, is_meant: impl Fn(usize) -> bool) -> Option<usize> {
        // `INSERT IGNORE INTO` and `INSERT users` of MySQL, `INSERT OR REPLACE INTO` of SQLite.
        let before = [
            "OR",
            "REPLACE",
            "ABORT",
            "FAIL",
            "ROLLBACK",
            "IGNORE",
            "LOW_PRIORITY",
            "HIGH_PRIORITY",
            "DELAYED",
            "INTO",
        ];
        let (name, mut after) = self.table_at(self.skip(at, &before));
        if !is_meant(name) {
            return None;
        }
        if self.is(after, "AS") {
            after += 2;
        }
        if self.is(after, "PARTITION") {
            after = self.columns(after + 1)?.1;
        }
        Some(after)
    }

    /// Reads `(a, b)`: its names and what comes after it; `None` where it is something else, or not
    /// closed.
    fn columns(&self, at: usize) -> Option<(Vec<usize>, usize)> {
        if !self.is_at(at, &Token::LParen) {
            return None;
        }
        let end = (at..self.tokens.len()).find(|at| self.is_at(*at, &Token::RParen))?;
        let is_name = |at: &usize| self.word(*at).is_some();
        // `(SELECT …)` is no list.
        let first = at + 1;
        if self
            .tokens
            .get(first)
            .is_some_and(|token| matches!(token, Token::Word(word) if word.quote_style.is_none()))
            && self.is_any(first, &["SELECT", "WITH", "VALUES"])
        {
            return None;
        }
        Some(((first..end).filter(is_name).collect(), end + 1))
    }

    /// Returns the last part of a table's name, and what comes after it.
    fn table_at(&self, mut at: usize) -> (usize, usize) {
        while self.is_at(at + 1, &Token::Period) {
            at += 2;
        }
        (at, at + 1)
    }

    fn skip(&self, mut at: usize, words: &[&str]) -> usize {
        while self.is_any(at, words) {
            at += 1;
        }
        at
    }

    fn word(&self, at: usize) -> Option<&str> {
        match self.tokens.get(at)? {
            Token::Word(word) => Some(&word.value),
            Token::DoubleQuotedString(text) => Some(text),
            _ => None,
        }
    }

    fn is(&self, at: usize, wanted: &str) -> bool {
        self.word(at).is_some_and(|word| word.eq_ignore_ascii_case(wanted))
    }

    fn is_any(&self, at: usize, wanted: &[&str]) -> bool {
        wanted.iter().any(|wanted| self.is(at, wanted))
    }

    fn is_at(&self, at: usize, wanted: &Token) -> bool {
        self.tokens.get(at).is_some_and(|token| *token == wanted)
    }

    /// Reports whether a word names something, as its engine compares names.
    fn is_name(&self, at: usize, wanted: &Ident) -> bool {
        let (Some(word), wanted) = (self.word(at), wanted.as_str()) else { return false };
        let is_bare =
            matches!(self.tokens.get(at), Some(Token::Word(w)) if w.quote_style.is_none());
        match self.backend {
            Backend::Postgres if is_bare => word.to_ascii_lowercase() == wanted,
            Backend::Postgres => word == wanted,
            // Whether tables are told apart by it is a setting of MySQL; columns never are.
            Backend::Mysql | Backend::Sqlite => word.eq_ignore_ascii_case(wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(sign: Sign) -> Search {
        Search { column: "users.locale".parse().unwrap(), sign, since: None }
    }

    #[test]
    fn inserts_without_the_column() {
        let search = search(Sign::InsertsWithout);
        for (backend, text, is_old) in [
            (Backend::Postgres, r#"INSERT INTO "users" ("id", "name") VALUES ($1, $2)"#, true),
            (Backend::Postgres, r#"INSERT INTO "users" ("id", "locale") VALUES ($1, $2)"#, false),
            (Backend::Postgres, "insert into public.users (id) values ('cut o", true),
            (Backend::Postgres, "insert into users (id, name, created_at, lo", false),
            (Backend::Postgres, "insert into users (id, \"lo", false),
            (Backend::Postgres, "INSERT INTO Users (id) VALUES (1)", true),
            (Backend::Postgres, "INSERT INTO \"Users\" (id) VALUES (1)", false),
            (Backend::Postgres, "INSERT INTO users (id, Locale) VALUES (1, 'en')", false),
            (Backend::Postgres, "INSERT INTO users (id, \"Locale\") VALUES (1, 'en')", true),
            (Backend::Postgres, "INSERT INTO users AS u (id) VALUES (1)", true),
            (Backend::Postgres, "INSERT INTO users AS u (id, locale) VALUES (1, 'en')", false),
            (Backend::Postgres, "INSERT INTO users (SELECT 1)", false),
            (
                Backend::Postgres,
                "WITH a AS (INSERT INTO posts (id) VALUES (1) RETURNING id) \
                 INSERT INTO users (id) SELECT id FROM a",
                true,
            ),
            (
                Backend::Postgres,
                "WITH a AS (INSERT INTO users (id, locale) VALUES (1, 'en') RETURNING id) \
                 INSERT INTO posts (id) SELECT id FROM a",
                false,
            ),
            (
                Backend::Postgres,
                "MERGE INTO users u USING b ON u.id = b.id WHEN NOT MATCHED THEN INSERT (id) VALUES (1)",
                true,
            ),
            (Backend::Postgres, "COPY users (id, name) FROM STDIN", true),
            (Backend::Postgres, "COPY users (id, locale) FROM STDIN", false),
            (Backend::Postgres, "COPY users (id, name) TO STDOUT", false),
            (Backend::Postgres, "SELECT replace(name, 'a', 'b') FROM users", false),
            (Backend::Mysql, "INSERT Users (ID) VALUES (1)", true),
            (Backend::Mysql, "INSERT INTO users (id, LOCALE) VALUES (1, 'en')", false),
            (Backend::Mysql, "INSERT INTO users PARTITION (p0) (id) VALUES (1)", true),
            (
                Backend::Postgres,
                "WITH a AS (SELECT 1) INSERT INTO users (id) SELECT * FROM a",
                true,
            ),
            (Backend::Postgres, "INSERT INTO posts (id) VALUES (1)", false),
            (Backend::Postgres, "INSERT INTO users VALUES (1)", false),
            (Backend::Postgres, "SELECT id FROM users", false),
            (Backend::Mysql, "INSERT IGNORE INTO `users` ( `id` ) VALUES ( ? )", true),
            (Backend::Mysql, "REPLACE INTO `users` ( `id` , `locale` ) VALUES (...)", false),
        ] {
            assert_eq!(search.matches(text, backend), is_old, "{text}");
        }
    }

    #[test]
    fn statements_that_name_a_column() {
        let search = search(Sign::Names(Ident::new("language").unwrap()));
        for (text, is_old) in [
            (r#"SELECT "users"."id", "users"."language" FROM "users""#, true),
            (r#"SELECT "users"."id" FROM "users""#, false),
            ("ALTER TABLE users DROP COLUMN language", false),
            ("SELECT language FROM posts", false),
        ] {
            assert_eq!(search.matches(text, Backend::Postgres), is_old, "{text}");
        }
    }
}
