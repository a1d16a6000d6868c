//! The general log of MySQL and MariaDB, in the table that the server keeps of it.
//!
//! What is executed comes with its values in the text; what is prepared comes as it was written.

use super::{CaptureError, LONGEST, Logged, Sender, SentStatement, needle, unhex};
use crate::scratch::{AdminError, ScratchDb, admin};

/// What our own statements about the log begin with.
const OURS: &str = "SET GLOBAL general_log";

/// A server that logs.
pub(super) struct Log<'a> {
    db: &'a ScratchDb,
}

impl<'a> Log<'a> {
    pub(super) fn begin(db: &'a ScratchDb) -> Result<Self, CaptureError> {
        let on = format!("{OURS} = ON");
        admin::exec(db.url(), &["SET GLOBAL log_output = 'TABLE'", &on])
            .map_err(|source| CaptureError::Log { action: "begin", source })?;
        Ok(Self { db })
    }

    pub(super) fn end(self, word: &str) -> Result<Logged, CaptureError> {
        let unread = |source: AdminError| CaptureError::Log { action: "read", source };
        admin::exec(self.db.url(), &[&format!("{OURS} = OFF")]).map_err(unread)?;
        let ask = |sql: &str| admin::query(self.db.url(), sql).map_err(unread);
        let text = "CONVERT(argument USING utf8mb4)";
        let theirs = format!(
            "thread_id NOT IN (SELECT thread_id FROM mysql.general_log \
             WHERE command_type = 'Query' AND {text} LIKE '{OURS}%')"
        );
        let total = ask(&format!(
            "SELECT CAST(COUNT(*) AS CHAR) FROM mysql.general_log \
             WHERE command_type IN ('Query', 'Execute') AND {theirs}"
        ))?;
        let rows = ask(&format!(
            "SELECT CAST(command_type AS CHAR), HEX(LEFT(argument, {LONGEST})), \
             CAST(COUNT(*) AS CHAR) FROM mysql.general_log \
             WHERE command_type IN ('Query', 'Prepare', 'Execute') AND {theirs} \
             AND LOCATE({}, LOWER({text})) > 0 GROUP BY 1, 2 ORDER BY MIN(event_time)",
            needle(word)
        ))?;
        let total = total.into_iter().flatten().flatten().next();
        let statements = rows.into_iter().map(|row| {
            let mut row = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || row.next().unwrap_or_default();
            let (kind, sql, count) = (next(), unhex(&next()), next());
            SentStatement {
                is_cut: sql.len() >= LONGEST,
                sql,
                count: if kind == "Prepare" { 0 } else { count.parse().unwrap_or(1) },
                sender: Sender::Unknown,
                database: None,
                application: None,
                refused: false,
            }
        });
        Ok(Logged {
            total: total.and_then(|n| n.parse().ok()).unwrap_or(0),
            statements: statements.collect(),
        })
    }
}
