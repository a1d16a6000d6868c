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

/// A record of a statement; each part of a result that is fetched in parts has one more.
const SENT: &str =
    "(error_severity = 'LOG' AND message ~ '^(statement|execute (?!fetch from )[^:]*): ')";

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
        let ask = |sql: &str| admin::query(&self.url(), sql).map_err(unread);
        let total = ask(&format!("SELECT count(*)::text FROM log WHERE {within} AND {SENT}"))?;
        let total = total.into_iter().flatten().flatten().next();
        let needle = needle(word);
        // What ran and was refused then is in the log twice, and what is no SQL once, as an error.
        let rows = ask(&format!(
            "SELECT encode(convert_to(left(sql, {LONGEST}), 'SQL_ASCII'), 'hex'), \
             (length(sql) > {LONGEST})::text, sum(ran)::text, bool_or(built)::text, \
             bool_or(ran = 0)::text, database_name, application_name FROM \
             (SELECT line, database_name, application_name, \
             CASE WHEN {SENT} THEN regexp_replace(message, '^[^:]*: ', '') ELSE query END AS sql, \
             CASE WHEN {SENT} THEN 1 ELSE 0 END AS ran, message ~ '^execute __diesel_stmt_' AS built \
             FROM log WHERE {within} AND ({SENT} OR error_severity IN ('ERROR', 'FATAL'))) texts \
             WHERE position({needle} in lower(sql)) > 0 \
             GROUP BY sql, database_name, application_name ORDER BY min(line)"
        ))?;
        let statements = rows.into_iter().map(|row| {
            let mut row = row.into_iter();
            let mut next = || row.next().flatten().filter(|text| !text.is_empty());
            let sql = unhex(&next().unwrap_or_default());
            let is = |said: Option<String>| said.is_some_and(|said| said.starts_with('t'));
            SentStatement {
                sql,
                is_cut: is(next()),
                count: next().and_then(|n| n.parse().ok()).unwrap_or(0),
                // So it names what its query builder makes; what else it sends has no name.
                sender: if is(next()) { Sender::DieselBuilder } else { Sender::Unknown },
                refused: is(next()),
                database: next(),
                application: next(),
            }
        });
        Ok(Logged {
            total: total.and_then(|n| n.parse().ok()).unwrap_or(0),
            statements: statements.collect(),
        })
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

fn unread(source: AdminError) -> CaptureError {
    CaptureError::Log { action: "read", source }
}

fn run(url: &str, statements: &[String]) -> Result<(), AdminError> {
    admin::exec(url, &statements.iter().map(String::as_str).collect::<Vec<_>>())
}
