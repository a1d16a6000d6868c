//! Who holds the lock on a table's definition that a session waits for (MySQL, MariaDB).

use crate::db::{DbError, Row, Session};

/// Reports whether the server keeps its table of these locks: MySQL 8 does, MariaDB where it is told to.
const KEEPS_LOCKS: &str = "SELECT count(*) FROM performance_schema.setup_instruments \
     WHERE name = 'wait/lock/metadata/sql/mdl' AND enabled = 'YES'";

/// Reports whether MariaDB's plugin is there.
const HAS_PLUGIN: &str = "SELECT count(*) FROM information_schema.plugins \
     WHERE plugin_name = 'METADATA_LOCK_INFO' AND plugin_status = 'ACTIVE'";

/// Locks `w` that are waited for, and locks `h` on the same that are held.
const PAIRS: &str = "performance_schema.metadata_locks w JOIN performance_schema.metadata_locks h \
     ON w.lock_status = 'PENDING' AND h.lock_status = 'GRANTED' \
     AND h.object_type = w.object_type AND h.object_schema <=> w.object_schema \
     AND h.object_name <=> w.object_name AND h.owner_thread_id <> w.owner_thread_id";

/// Returns the connections that are in the way of one; none where the server does not tell.
pub(super) fn holders(session: &mut Session, waiting: &str) -> Result<Vec<String>, DbError> {
    let locks = format!(
        "SELECT DISTINCT t.processlist_id FROM {PAIRS} \
         JOIN performance_schema.threads t ON t.thread_id = h.owner_thread_id \
         JOIN performance_schema.threads me ON me.thread_id = w.owner_thread_id \
         WHERE me.processlist_id = {waiting}"
    );
    // It tells who holds what, not who waits; but whoever changes a table holds a lock on it as well.
    let plugin = format!(
        "SELECT DISTINCT h.thread_id FROM information_schema.metadata_lock_info h \
         JOIN information_schema.metadata_lock_info w ON h.table_schema = w.table_schema \
           AND h.table_name = w.table_name AND h.lock_type = w.lock_type \
         WHERE h.lock_type = 'Table metadata lock' AND h.thread_id <> w.thread_id \
         AND w.thread_id = {waiting}"
    );
    for (tells, ask) in [(KEEPS_LOCKS, locks), (HAS_PLUGIN, plugin)] {
        let known: Vec<String> = rows(session, tells, &ask)?
            .map(|rows| rows.into_iter().flatten().flatten().collect())
            .unwrap_or_default();
        if !known.is_empty() {
            return Ok(known);
        }
    }
    Ok(Vec::new())
}

/// Counts the connections that wait for one; `None` where the server does not tell.
pub(super) fn waiters(session: &mut Session, holder: &str) -> Result<Option<u32>, DbError> {
    let ask = format!(
        "SELECT count(DISTINCT w.owner_thread_id) FROM {PAIRS} \
         JOIN performance_schema.threads me ON me.thread_id = h.owner_thread_id \
         WHERE me.processlist_id = {holder}"
    );
    let counted = rows(session, KEEPS_LOCKS, &ask)?;
    Ok(counted.and_then(|rows| rows.into_iter().flatten().flatten().next()?.parse().ok()))
}

/// Asks where the answer to another question is yes, and the user may.
fn rows(session: &mut Session, tells: &str, ask: &str) -> Result<Option<Vec<Row>>, DbError> {
    let known = match session.query_bool(tells) {
        Ok(false) => return Ok(None),
        Ok(true) => session.query(ask).map(Some),
        Err(error) => Err(error),
    };
    match known {
        Err(error) if error.is_denied() => Ok(None),
        known => known,
    }
}
