//! PostgreSQL's log as CSV, which the server itself reads back into a table.
//!
//! What a program sends may have any bytes and any number of lines. The server that wrote the log
//! knows best where a record of it ends, and a database of the encoding `SQL_ASCII` takes them all.

use std::time::Duration;

use super::{CaptureError, LONGEST, Logged, Sender, SentStatement, needle, unhex};
use crate::{
    scratch::{AdminError, ScratchDb, admin, lease},
    wait::wait_for,
};

/// The database of the table of the log.
const DATABASE: &str = "newcol_log";

/// How long the last statement may take to come to the file.
const LIMIT: Duration = Duration::from_secs(30);

/// Settings that log every statement, once, without the values that it binds.
const SETTINGS: &[(&str, &str)] = &[
    ("logging_collector", "on"),
    ("log_destination", "csvlog"),
    ("log_directory", "newcol_log"),
    ("log_filename", "newcol.log"),
    // One file, however long.
    ("log_rotation_age", "0"),
    ("log_rotation_size", "0"),
    ("log_statement", "all"),
    ("log_min_error_statement", "error"),
    ("log_parameter_max_length", "0"),
    ("log_parameter_max_length_on_error", "0"),
];

/// What PostgreSQL 14 has brought.
const LATER: &[&str] = &["leader_pid", "query_id"];

/// The columns of PostgreSQL 13.
const COLUMNS: &str = "log_time, user_name, database_name, process_id, connection_from, session_id, \
    session_line_num, command_tag, session_start_time, virtual_transaction_id, transaction_id, \
    error_severity, sql_state_code, message, detail, hint, internal_query, internal_query_pos, \
    context, query, query_pos, location, application_name, backend_type";

/// A server that logs.
pub(super) struct Log<'a> {
    db: &'a ScratchDb,
    /// What the statements before and after those of the command have in them.
    mark: String,
}

impl<'a> Log<'a> {
    pub(super) fn begin(db: &'a ScratchDb) -> Result<Self, CaptureError> {
        let failed = |source| CaptureError::Log { action: "begin", source };
        let set = |(name, value): &(&str, &str)| format!("ALTER SYSTEM SET {name} = '{value}'");
        let mut first: Vec<String> = SETTINGS.iter().map(set).collect();
        first.push(format!(
            "CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' \
             LC_CTYPE 'C'"
        ));
        run(db.url(), &first).map_err(failed)?;
        // The collector starts with the server.
        db.crash_server()?;
        let log = Self { db, mark: format!("newcol_{}", lease::random_tag()) };
        let columns: Vec<String> = log.columns().map(|column| format!("{column} text")).collect();
        let table = format!("CREATE TABLE log (line bigserial, {})", columns.join(", "));
        run(&log.url(), &[table]).map_err(failed)?;
        run(db.url(), &[log.marked("begins")]).map_err(failed)?;
        Ok(log)
    }

    pub(super) fn end(self, word: &str) -> Result<Logged, CaptureError> {
        run(self.db.url(), &[self.marked("ends")]).map_err(unread)?;
        self.load()?;
        let bound = |moment: &str| {
            format!(
                "(SELECT min(line) FROM log WHERE position('{} {moment}' in message) > 0)",
                self.mark
            )
        };
        let within = format!("line > {} AND line < {}", bound("begins"), bound("ends"));
        let is_sent =
            r"error_severity = 'LOG' AND message ~ '^(statement|execute (?!fetch from )[^:]*): '";
        let ask = |sql: &str| admin::query(&self.url(), sql).map_err(unread);
        let total = ask(&format!("SELECT count(*)::text FROM log WHERE {within} AND {is_sent}"))?;
        let needle = needle(word);
        let has_word = |text: &str| format!("position({needle} in lower({text})) > 0");
        let hex =
            |text: &str| format!("encode(convert_to(left({text}, {LONGEST}), 'SQL_ASCII'), 'hex')");
        let ran = ask(&format!(
            "SELECT {}, database_name, application_name, count(*)::text FROM log \
             WHERE {within} AND {is_sent} AND {} \
             GROUP BY message, database_name, application_name ORDER BY min(line)",
            hex("message"),
            has_word("message"),
        ))?;
        let refused = ask(&format!(
            "SELECT {}, database_name, application_name FROM log \
             WHERE {within} AND error_severity IN ('ERROR', 'FATAL') AND {} \
             GROUP BY query, database_name, application_name ORDER BY min(line)",
            hex("query"),
            has_word("query"),
        ))?;
        let mut logged = Logged {
            total: total
                .into_iter()
                .flatten()
                .flatten()
                .next()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0),
            statements: Vec::new(),
        };
        for row in ran {
            let [message, database, application, count] = four(row);
            let message = unhex(&message.unwrap_or_default());
            let Some((sql, sender)) = sent(&message) else { continue };
            let application = application.filter(|name| !name.is_empty());
            let count = count.and_then(|n| n.parse().ok()).unwrap_or(1);
            // Each session has names of its own for what it prepares.
            let same = logged.statements.iter_mut().find(|known| {
                known.sql == sql
                    && known.sender == sender
                    && known.database == database
                    && known.application == application
            });
            match same {
                Some(known) => known.count += count,
                None => logged.statements.push(SentStatement {
                    sql: sql.to_owned(),
                    count,
                    sender,
                    database,
                    application,
                    refused: false,
                    is_cut: message.len() >= LONGEST,
                }),
            }
        }
        for row in refused {
            let [query, database, application, _] = four(row);
            let sql = unhex(&query.unwrap_or_default());
            let ran = logged.statements.iter_mut().filter(|known| known.sql == sql);
            // What ran and failed is in the log twice; what is no SQL only here.
            let mut known = false;
            for statement in ran {
                statement.refused = true;
                known = true;
            }
            if !known {
                logged.statements.push(SentStatement {
                    is_cut: sql.len() >= LONGEST,
                    sql,
                    count: 0,
                    sender: Sender::Unknown,
                    database,
                    application: application.filter(|name| !name.is_empty()),
                    refused: true,
                });
            }
        }
        Ok(logged)
    }

    /// Reads the file into the table, again until the last statement is in it.
    fn load(&self) -> Result<(), CaptureError> {
        let columns: Vec<&str> = self.columns().collect();
        let copy = format!(
            "COPY log ({}) FROM 'newcol_log/newcol.csv' WITH (FORMAT csv, ENCODING 'SQL_ASCII')",
            columns.join(", ")
        );
        let again = ["TRUNCATE log".to_owned(), copy];
        let last = format!("SELECT 1 FROM log WHERE position('{} ends' in message) > 0", self.mark);
        let mut refused = None;
        let loaded = wait_for("last statement in the log", LIMIT, || {
            // A record that is being written is no CSV yet.
            refused = run(&self.url(), &again).err();
            let rows = admin::query(&self.url(), &last).ok()?;
            (refused.is_none() && !rows.is_empty()).then_some(())
        });
        match (loaded, refused) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(error)) => Err(unread(error)),
            (Err(late), None) => Err(CaptureError::Late(late)),
        }
    }

    fn columns(&self) -> impl Iterator<Item = &'static str> {
        let major = self.db.server().map_or(0, |server| server.major);
        let later = if major >= 14 { LATER } else { &[] };
        COLUMNS.split(", ").chain(later.iter().copied())
    }

    fn url(&self) -> String {
        self.db.url_of(DATABASE).unwrap_or_default()
    }

    fn marked(&self, moment: &str) -> String {
        format!("SELECT '{} {moment}'", self.mark)
    }
}

/// Returns the text of a message, and who prepared it under which name.
fn sent(message: &str) -> Option<(&str, Sender)> {
    let (kind, sql) = message.split_once(": ")?;
    // So it names what its query builder makes; what else it sends has no name.
    let is_named = kind.strip_prefix("execute ").is_some_and(|n| n.starts_with("__diesel_stmt_"));
    Some((sql, if is_named { Sender::DieselBuilder } else { Sender::Unknown }))
}

fn unread(source: AdminError) -> CaptureError {
    CaptureError::Log { action: "read", source }
}

fn run(url: &str, statements: &[String]) -> Result<(), AdminError> {
    admin::exec(url, &statements.iter().map(String::as_str).collect::<Vec<_>>())
}

fn four(row: Vec<Option<String>>) -> [Option<String>; 4] {
    let mut row = row.into_iter();
    std::array::from_fn(|_| row.next().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_prepared_it_is_in_its_name() {
        for (message, said) in [
            ("statement: SELECT 'a: b'", Some(("SELECT 'a: b'", Sender::Unknown))),
            ("execute <unnamed>: SELECT 1", Some(("SELECT 1", Sender::Unknown))),
            ("execute s12: SELECT 1", Some(("SELECT 1", Sender::Unknown))),
            ("execute __diesel_stmt_3: SELECT 1", Some(("SELECT 1", Sender::DieselBuilder))),
            ("execute __diesel_stmt_3/p: SELECT 1", Some(("SELECT 1", Sender::DieselBuilder))),
            ("checkpoint starting", None),
        ] {
            assert_eq!(sent(message), said);
        }
    }
}
