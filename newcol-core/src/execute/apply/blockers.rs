//! Who stands in the way: sessions of others, named so that somebody can go and ask them.

use std::{fmt, time::Duration};

use super::BlockerPolicy;
use crate::{
    backend::Backend,
    db::{DbError, Row, Session},
    ident::TableName,
    render::text::{self, exact_literal},
};

/// What a session is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockerKind {
    /// A program's connection.
    Client,
    /// PostgreSQL's own vacuum; `wraparound` if it must not be disturbed.
    Autovacuum {
        /// It keeps the server from running out of transaction numbers.
        wraparound: bool,
    },
    /// A replica's connection.
    Replication,
    /// A prepared transaction, which has no session.
    Prepared,
}

/// A session that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// Process id (PostgreSQL), connection id (MySQL, MariaDB), or name of a prepared transaction.
    pub id: String,
    /// What it is.
    pub kind: BlockerKind,
    /// Its user; empty where the server does not tell.
    pub user: String,
    /// Its `application_name`, or its program's host where it gives no name.
    pub application: String,
    /// `idle in transaction`, `active`, or what its engine calls it.
    pub state: String,
    /// Age of its transaction.
    pub age: Option<Duration>,
    /// Its last statement, on one line.
    pub query: String,
    /// Whether its user may do everything.
    pub is_superuser: bool,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            BlockerKind::Prepared => write!(f, "prepared transaction {}", self.id)?,
            BlockerKind::Autovacuum { wraparound: false } => {
                write!(f, "autovacuum, pid {}", self.id)?
            }
            BlockerKind::Autovacuum { wraparound: true } => {
                write!(f, "autovacuum to prevent wraparound, pid {}", self.id)?;
            }
            BlockerKind::Replication => write!(f, "replication, pid {}", self.id)?,
            BlockerKind::Client => write!(f, "pid {}", self.id)?,
        }
        let who: Vec<String> = [
            (!self.application.is_empty()).then(|| self.application.clone()),
            (!self.user.is_empty()).then(|| format!("user {}", self.user)),
            (!self.state.is_empty()).then(|| self.state.clone()),
            self.age.map(|age| format!("transaction of {:.1} s", age.as_secs_f64())),
        ]
        .into_iter()
        .flatten()
        .collect();
        write!(f, " ({})", who.join(", "))?;
        if self.query.is_empty() { Ok(()) } else { write!(f, ": {}", self.query) }
    }
}

impl Blocker {
    fn read(row: Row) -> Self {
        let mut values = row.into_iter();
        let mut next = || values.next().flatten().unwrap_or_default();
        let (id, kind, user, application) = (next(), next(), next(), next());
        let (state, age, query, superuser) = (next(), next(), next(), next());
        let kind = match kind.as_str() {
            "autovacuum worker" => {
                BlockerKind::Autovacuum { wraparound: query.contains("(to prevent wraparound)") }
            }
            "walsender" => BlockerKind::Replication,
            "prepared" => BlockerKind::Prepared,
            _ => BlockerKind::Client,
        };
        Self {
            id,
            kind,
            user,
            application,
            state,
            age: age.parse().ok().map(|seconds: f64| Duration::from_secs_f64(seconds.max(0.0))),
            query,
            is_superuser: matches!(superuser.as_str(), "t" | "1"),
        }
    }

    /// Reports whether `--blockers cancel` may end what it does.
    fn may_be_cancelled(&self) -> bool {
        self.kind == BlockerKind::Client && !self.is_superuser
    }
}

/// Columns of `pg_stat_activity AS a` as [`Blocker::read`] wants them.
const POSTGRES: &str = "a.pid::text, a.backend_type, a.usename, \
    coalesce(nullif(a.application_name, ''), host(a.client_addr)), a.state, \
    extract(epoch FROM clock_timestamp() - a.xact_start), \
    left(regexp_replace(a.query, '\\s+', ' ', 'g'), 200), \
    coalesce((SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.oid = a.usesysid), true)";

/// Columns of `innodb_trx AS t` and `processlist AS p` as [`Blocker::read`] wants them.
const MYSQL: &str = "p.id, 'client', p.user, p.host, \
    CASE WHEN p.command = 'Sleep' THEN 'idle in transaction' ELSE coalesce(p.state, p.command) END, \
    timestampdiff(MICROSECOND, t.trx_started, now(6)) / 1000000, left(p.info, 200), 0";

/// Returns who keeps a session waiting; on MySQL and MariaDB, where nothing tells that of the locks
/// on a table's definition, every open transaction of a session in this database.
pub(super) fn of(session: &mut Session, waiting: &str) -> Result<Vec<Blocker>, DbError> {
    let sql = match session.backend() {
        Backend::Postgres => format!(
            "SELECT {POSTGRES} FROM pg_catalog.pg_stat_activity a \
             WHERE a.pid = ANY (pg_blocking_pids({waiting})) \
             UNION ALL SELECT p.gid, 'prepared', p.owner, NULL, NULL, \
             extract(epoch FROM clock_timestamp() - p.prepared), NULL, true \
             FROM pg_catalog.pg_prepared_xacts p \
             WHERE 0 = ANY (pg_blocking_pids({waiting})) AND p.database = current_database()"
        ),
        Backend::Mysql => format!(
            "SELECT {MYSQL} FROM information_schema.innodb_trx t \
             JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
             WHERE p.db = database() AND p.id NOT IN ({waiting}, connection_id()) ORDER BY t.trx_started"
        ),
        Backend::Sqlite => return Ok(Vec::new()),
    };
    read(session, &sql)
}

/// Returns who has held a lock on a table for longer than that (PostgreSQL).
pub(super) fn holders(
    session: &mut Session,
    table: &TableName,
    longer: Duration,
    except: &str,
) -> Result<Vec<Blocker>, DbError> {
    let relation = exact_literal(Backend::Postgres, &text::table(Backend::Postgres, table));
    let seconds = longer.as_secs_f64();
    let sql = format!(
        "SELECT {POSTGRES} FROM pg_catalog.pg_stat_activity a WHERE a.pid IN (\
           SELECT l.pid FROM pg_catalog.pg_locks l WHERE l.relation = to_regclass({relation}) \
           AND l.granted AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) \
         AND a.pid NOT IN ({except}, pg_backend_pid()) \
         AND clock_timestamp() - a.xact_start > make_interval(secs => {seconds}) \
         ORDER BY a.xact_start"
    );
    read(session, &sql)
}

/// Returns transactions with a snapshot older than that: the concurrent build of an index waits for
/// them (PostgreSQL).
pub(super) fn old_snapshots(
    session: &mut Session,
    older: Duration,
    except: &str,
) -> Result<Vec<Blocker>, DbError> {
    let seconds = older.as_secs_f64();
    let sql = format!(
        "SELECT {POSTGRES} FROM pg_catalog.pg_stat_activity a \
         WHERE a.backend_xmin IS NOT NULL AND a.datname = current_database() \
         AND a.pid NOT IN ({except}, pg_backend_pid()) \
         AND clock_timestamp() - a.xact_start > make_interval(secs => {seconds}) \
         ORDER BY a.xact_start"
    );
    read(session, &sql)
}

/// Returns the session of a process (PostgreSQL) or connection.
pub(super) fn session_of(session: &mut Session, id: &str) -> Result<Option<Blocker>, DbError> {
    let sql = match session.backend() {
        Backend::Postgres => {
            format!("SELECT {POSTGRES} FROM pg_catalog.pg_stat_activity a WHERE a.pid = {id}")
        }
        Backend::Mysql => format!(
            "SELECT {MYSQL} FROM information_schema.processlist p \
             LEFT JOIN information_schema.innodb_trx t ON p.id = t.trx_mysql_thread_id \
             WHERE p.id = {id}"
        ),
        Backend::Sqlite => return Ok(None),
    };
    Ok(read(session, &sql)?.into_iter().next())
}

/// Ends what blockers do, where the policy asks for it and they may be ended; returns those.
///
/// A running statement is cancelled; a session that idles in its transaction has none, so it is
/// ended. Superusers, replicas, vacuums and prepared transactions are never touched.
pub(super) fn cancel(
    session: &mut Session,
    policy: BlockerPolicy,
    blockers: &[Blocker],
) -> Result<Vec<Blocker>, DbError> {
    let mut cancelled = Vec::new();
    if policy != BlockerPolicy::Cancel {
        return Ok(cancelled);
    }
    for blocker in blockers.iter().filter(|blocker| blocker.may_be_cancelled()) {
        let is_idle = blocker.state.starts_with("idle in transaction");
        let id = &blocker.id;
        let sql = match (session.backend(), is_idle) {
            (Backend::Postgres, true) => format!("SELECT pg_terminate_backend({id})"),
            (Backend::Postgres, false) => format!("SELECT pg_cancel_backend({id})"),
            (Backend::Mysql, true) => format!("KILL CONNECTION {id}"),
            (Backend::Mysql, false) => format!("KILL QUERY {id}"),
            (Backend::Sqlite, _) => continue,
        };
        session.query(&sql)?;
        cancelled.push(blocker.clone());
    }
    Ok(cancelled)
}

fn read(session: &mut Session, sql: &str) -> Result<Vec<Blocker>, DbError> {
    Ok(session.query(sql)?.into_iter().map(Blocker::read).collect())
}
