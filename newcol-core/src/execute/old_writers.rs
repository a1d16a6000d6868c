//! Looks for programs that do not know a column yet.
//!
//! What can be seen of them: a session that is older than the column belongs to a program that is;
//! and a statement that inserts without naming the column was written before it. Servers that count
//! their statements tell whether there was one while nobody looked. Seeing nobody proves nothing by
//! itself, so an observation says for how long it looked, and whether anything counted.

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
    sql::{self, Placed},
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

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observation {
    /// Sessions of old programs.
    pub sightings: Vec<Sighting>,
    /// How often old statements ran meanwhile; `None` where the server does not count.
    pub counted: Option<u64>,
    /// How long it was looked for.
    pub lasted: Duration,
}

impl Observation {
    /// Reports whether it shows that nobody is there: something counted, for some time, and came to
    /// nothing.
    pub fn shows_nobody(&self) -> bool {
        self.sightings.is_empty() && self.counted == Some(0) && !self.lasted.is_zero()
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
            (None, Some(_)) if self.lasted.is_zero() => f.write_str("nobody has looked for them"),
            (None, Some(0)) => write!(f, "no statement of theirs within {seconds:.0} s"),
            (None, Some(count)) => write!(f, "{count} statements of theirs within {seconds:.0} s"),
            (None, None) => f.write_str("the server counts no statements, so only you can know"),
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
    let counted = first.zip(last).map(|(first, last)| {
        // What is new, or was counted anew since the counts were reset.
        let since = |(key, count): (&String, &u64)| {
            count.saturating_sub(first.get(key).copied().unwrap_or_default())
        };
        last.iter().map(since).sum()
    });
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
    for peer in peers::all(session)? {
        let is_known = found.iter().any(|known| known.session.id == peer.id);
        if !is_known && search.matches(&peer.query, backend) {
            found.push(Sighting { session: peer, is_older: false });
        }
    }
    Ok(found)
}

/// Reads how often each old statement ran so far; `None` where the server does not count, or hides
/// from this user what others do: seeing nothing would pass for nobody.
fn counts(
    session: &mut Session,
    search: &Search,
) -> Result<Option<BTreeMap<String, u64>>, DbError> {
    let backend = session.backend();
    let name = exact_literal(backend, &format!("%{}%", search.column.table.name.as_str()));
    let (exists, sql) = match backend {
        Backend::Postgres => (
            "SELECT count(*) FROM pg_catalog.pg_extension WHERE extname = 'pg_stat_statements' \
             AND current_setting('pg_stat_statements.track', true) <> 'none' \
             AND pg_has_role('pg_read_all_stats', 'USAGE')",
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
            format!(
                "SELECT digest, digest_text, count_star \
                 FROM performance_schema.events_statements_summary_by_digest \
                 WHERE schema_name = database() AND digest_text LIKE {name}"
            ),
        ),
        Backend::Sqlite => return Ok(None),
    };
    if !session.query_bool(exists)? {
        return Ok(None);
    }
    let rows = match session.query(&sql) {
        Err(error) if error.is_denied() => return Ok(None),
        rows => rows?,
    };
    let mut counts = BTreeMap::new();
    for row in rows {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().unwrap_or_default();
        let (key, text, count) = (next(), next(), next());
        if search.matches(&text, backend) {
            counts.insert(key, count.parse().unwrap_or_default());
        }
    }
    Ok(Some(counts))
}

impl Search {
    /// Reports whether a statement is of an old program; it may be cut off at its end.
    fn matches(&self, text: &str, backend: Backend) -> bool {
        match &self.sign {
            Sign::InsertsWithout => inserted_columns(text, &self.column.table, backend)
                .is_some_and(|columns| !columns.iter().any(|c| c == self.column.column.as_str())),
            Sign::Names(column) => {
                let Some(tokens) = tokens(text, backend) else { return false };
                let names = |wanted: &Ident| tokens.iter().any(|t| is_name(t, wanted.as_str()));
                // Statements that change the table are the tool's, or a migration's.
                let is_use = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "MERGE"];
                let first = tokens.iter().find_map(|placed| word(placed));
                first.is_some_and(|first| is_use.iter().any(|w| first.eq_ignore_ascii_case(w)))
                    && names(&self.column.table.name)
                    && names(column)
            }
        }
    }
}

/// Returns the columns that an INSERT into a table names; `None` for another statement, and for one
/// that names none.
fn inserted_columns(text: &str, table: &TableName, backend: Backend) -> Option<Vec<String>> {
    let tokens = tokens(text, backend)?;
    let mut tokens = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).peekable();
    let is = |placed: &Placed, wanted: &str| {
        word(placed).is_some_and(|word| word.eq_ignore_ascii_case(wanted))
    };
    // `INSERT IGNORE INTO` and `REPLACE INTO` of MySQL, `INSERT OR REPLACE INTO` of SQLite.
    tokens.find(|t| is(t, "INSERT") || is(t, "REPLACE"))?;
    tokens.find(|t| is(t, "INTO"))?;
    let mut name = tokens.next()?;
    while tokens.next_if(|t| t.token == Token::Period).is_some() {
        name = tokens.next()?;
    }
    if !is_name(name, table.name.as_str()) {
        return None;
    }
    tokens.next_if(|t| t.token == Token::LParen)?;
    let listed = tokens.take_while(|t| t.token != Token::RParen);
    Some(listed.filter_map(word).map(str::to_owned).collect())
}

/// Reads tokens, of a statement that is cut off as far as its first closing bracket.
fn tokens(text: &str, backend: Backend) -> Option<Vec<Placed>> {
    sql::tokens(text, backend).or_else(|| {
        let end = text.find(')')? + 1;
        sql::tokens(&text[..end], backend)
    })
}

fn word(placed: &Placed) -> Option<&str> {
    match &placed.token {
        Token::Word(word) => Some(&word.value),
        Token::DoubleQuotedString(text) => Some(text),
        _ => None,
    }
}

fn is_name(placed: &Placed, wanted: &str) -> bool {
    word(placed).is_some_and(|name| name == wanted)
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
