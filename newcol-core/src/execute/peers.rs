//! Sessions of others, named so that somebody can go and ask them.

mod metadata;

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{
    backend::Backend,
    db::{DbError, Row, Session, one_line},
    render::text::exact_literal,
};

/// What a session is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerKind {
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
    /// Somebody of whom this user sees no more than the process (PostgreSQL).
    Hidden,
    /// A program's connection with an open transaction; whether that is in the way nothing tells
    /// (MySQL, MariaDB).
    Suspect,
}

/// A session of somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Process id (PostgreSQL), connection id (MySQL, MariaDB), or name of a prepared transaction.
    pub id: String,
    /// What it is.
    pub kind: PeerKind,
    /// Its user; empty where the server does not tell.
    pub user: String,
    /// Its `application_name`, or its program's host where it gives no name.
    pub application: String,
    /// `idle in transaction`, `active`, or what its engine calls it.
    pub state: String,
    /// Age of its transaction.
    pub age: Option<Duration>,
    /// When its transaction began, in the server's words: another one is not meant.
    pub began: Option<String>,
    /// Its last statement, on one line.
    pub query: String,
    /// Whether its user may do everything.
    pub is_superuser: bool,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            PeerKind::Prepared => write!(f, "prepared transaction {}", self.id)?,
            PeerKind::Autovacuum { wraparound: false } => write!(f, "autovacuum, pid {}", self.id)?,
            PeerKind::Autovacuum { wraparound: true } => {
                write!(f, "autovacuum to prevent wraparound, pid {}", self.id)?;
            }
            PeerKind::Replication => write!(f, "replication, pid {}", self.id)?,
            PeerKind::Client => write!(f, "pid {}", self.id)?,
            PeerKind::Hidden => write!(f, "pid {}, hidden from this user", self.id)?,
            PeerKind::Suspect => write!(f, "perhaps pid {}", self.id)?,
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
        if self.query.is_empty() { Ok(()) } else { write!(f, ": {}", one_line(&self.query)) }
    }
}

impl Peer {
    fn read(row: Row) -> Self {
        let mut values = row.into_iter();
        let mut next = || values.next().flatten().unwrap_or_default();
        let (id, kind, user, application) = (next(), next(), next(), next());
        let (state, age, query, superuser) = (next(), next(), next(), next());
        let began = Some(next()).filter(|began| !began.is_empty());
        let kind = match kind.as_str() {
            "autovacuum worker" => {
                PeerKind::Autovacuum { wraparound: query.contains("(to prevent wraparound)") }
            }
            "walsender" => PeerKind::Replication,
            "prepared" => PeerKind::Prepared,
            "hidden" => PeerKind::Hidden,
            _ => PeerKind::Client,
        };
        Self {
            id,
            kind,
            user,
            application,
            state,
            age: age.parse().ok().map(|seconds: f64| Duration::from_secs_f64(seconds.max(0.0))),
            began,
            query,
            is_superuser: matches!(superuser.as_str(), "t" | "1"),
        }
    }

    /// Reports whether what it does may be ended on demand.
    fn may_be_cancelled(&self) -> bool {
        self.kind == PeerKind::Client && !self.is_superuser
    }
}

/// Columns of `pg_stat_activity AS a` as [`Peer::read`] wants them.
///
/// Whoever may not see another user's session is told neither what it is nor what it does.
const POSTGRES: &str = "a.pid::text, coalesce(a.backend_type, 'hidden'), a.usename, \
    coalesce(nullif(a.application_name, ''), host(a.client_addr)), a.state, \
    extract(epoch FROM clock_timestamp() - a.xact_start), \
    CASE WHEN a.backend_type IS NOT NULL THEN left(regexp_replace(a.query, '\\s+', ' ', 'g'), 20000) END, \
    coalesce((SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.oid = a.usesysid), true), \
    a.xact_start::text";

/// Columns of `innodb_trx AS t` and `processlist AS p` as [`Peer::read`] wants them.
///
/// Every account has privileges, USAGE at the least: of whom none are shown, anything may be.
const MYSQL: &str = "p.id, \
    CASE WHEN p.command LIKE 'Binlog Dump%' OR p.user = 'system user' THEN 'walsender' ELSE 'client' END, \
    p.user, p.host, \
    CASE WHEN p.command = 'Sleep' THEN if(t.trx_id IS NULL, 'idle', 'idle in transaction') ELSE coalesce(p.state, p.command) END, \
    timestampdiff(MICROSECOND, t.trx_started, now(6)) / 1000000, left(p.info, 20000), \
    (SELECT count(*) = 0 OR max(u.privilege_type IN ('SUPER', 'CONNECTION ADMIN', 'CONNECTION_ADMIN')) \
     FROM information_schema.user_privileges u WHERE u.grantee LIKE concat(quote(p.user), '@%')), \
    t.trx_started";

/// Asks PostgreSQL for the sessions of which something is true, the oldest transaction first.
fn activity(condition: &str) -> String {
    format!(
        "SELECT {POSTGRES} FROM pg_catalog.pg_stat_activity a WHERE {condition} ORDER BY a.xact_start"
    )
}

/// Asks MySQL or MariaDB for the sessions of which something is true.
fn processes(condition: &str) -> String {
    format!(
        "SELECT {MYSQL} FROM information_schema.processlist p \
         LEFT JOIN information_schema.innodb_trx t ON p.id = t.trx_mysql_thread_id \
         WHERE {condition} ORDER BY t.trx_started"
    )
}

/// Which transactions are older than that.
fn longer_than(time: Duration) -> String {
    format!("clock_timestamp() - a.xact_start > make_interval(secs => {})", time.as_secs_f64())
}

/// Returns who keeps a session waiting; on MySQL and MariaDB, where nothing tells that of the locks
/// on a table's definition, every session of this database with an open transaction, as suspects.
pub(in crate::execute) fn of(session: &mut Session, waiting: &str) -> Result<Vec<Peer>, DbError> {
    let sql = match session.backend() {
        Backend::Postgres => format!(
            "SELECT {POSTGRES} FROM pg_catalog.pg_stat_activity a \
             WHERE a.pid = ANY (pg_blocking_pids({waiting})) \
             UNION ALL SELECT p.gid, 'prepared', p.owner, NULL, NULL, \
             extract(epoch FROM clock_timestamp() - p.prepared), NULL, true, NULL \
             FROM pg_catalog.pg_prepared_xacts p \
             WHERE 0 = ANY (pg_blocking_pids({waiting})) AND p.database = current_database()"
        ),
        Backend::Mysql => {
            let known = metadata::holders(session, waiting)?;
            if !known.is_empty() {
                return read(session, &processes(&format!("p.id IN ({})", known.join(", "))));
            }
            let sql = processes(&format!(
                "t.trx_id IS NOT NULL AND p.db = database() AND p.id NOT IN ({waiting}, connection_id())"
            ));
            let mut suspects = read(session, &sql)?;
            for peer in suspects.iter_mut().filter(|peer| peer.kind == PeerKind::Client) {
                peer.kind = PeerKind::Suspect;
            }
            return Ok(suspects);
        }
        Backend::Sqlite => return Ok(Vec::new()),
    };
    read(session, &sql)
}

/// Counts the sessions that wait for a lock of another one; `None` where the server does not tell.
pub(in crate::execute) fn waiting_for(
    session: &mut Session,
    id: &str,
) -> Result<Option<u32>, DbError> {
    match session.backend() {
        // Of locks everybody sees all, of sessions not.
        Backend::Postgres => {
            let sql = format!(
                "SELECT count(DISTINCT l.pid) FROM pg_catalog.pg_locks l \
                 WHERE NOT l.granted AND {id} = ANY (pg_blocking_pids(l.pid))"
            );
            Ok(session.value(&sql)?.and_then(|count| count.parse().ok()))
        }
        Backend::Mysql => metadata::waiters(session, id),
        Backend::Sqlite => Ok(None),
    }
}

/// Returns who has held a lock on one of these tables for longer than that, harmless locks apart
/// (PostgreSQL).
pub(in crate::execute) fn holders(
    session: &mut Session,
    tables: &[&str],
    harmless: &[&str],
    longer: Duration,
    except: &str,
) -> Result<Vec<Peer>, DbError> {
    let sql = activity(&format!(
        "a.pid IN (SELECT l.pid FROM pg_catalog.pg_locks l WHERE l.relation = ANY ('{{{}}}'::oid[]) \
         AND l.granted AND l.mode <> ALL ('{{{}}}') AND l.database = \
         (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) \
         AND a.pid NOT IN ({except}, pg_backend_pid()) AND {}",
        tables.join(","),
        harmless.join(","),
        longer_than(longer)
    ));
    read(session, &sql)
}

/// Returns transactions with a snapshot older than that: the concurrent build of an index waits for
/// them (PostgreSQL). Not for those that vacuum: whoever has the table of the index is seen when the
/// build waits for its lock.
pub(in crate::execute) fn old_snapshots(
    session: &mut Session,
    older: Duration,
    except: &str,
) -> Result<Vec<Peer>, DbError> {
    let sql = activity(&format!(
        "a.backend_xmin IS NOT NULL AND a.datname = current_database() \
         AND a.backend_type <> 'autovacuum worker' \
         AND a.pid NOT IN (SELECT v.pid FROM pg_catalog.pg_stat_progress_vacuum v) \
         AND a.pid NOT IN ({except}, pg_backend_pid()) AND {}",
        longer_than(older)
    ));
    read(session, &sql)
}

/// Returns the session of a process (PostgreSQL) or connection.
pub(in crate::execute) fn session_of(
    session: &mut Session,
    id: &str,
) -> Result<Option<Peer>, DbError> {
    let sql = match session.backend() {
        Backend::Postgres => activity(&format!("a.pid = {id}")),
        Backend::Mysql => processes(&format!("p.id = {id}")),
        Backend::Sqlite => return Ok(None),
    };
    Ok(read(session, &sql)?.into_iter().next())
}

/// Returns the statements that sessions of this database keep prepared and that contain a text, by
/// session; none where the server does not tell (MySQL, MariaDB).
pub(in crate::execute) fn prepared(
    session: &mut Session,
    part: &str,
) -> Result<BTreeMap<String, Vec<String>>, DbError> {
    let part = exact_literal(Backend::Mysql, &format!("%{part}%"));
    let rows = session.query(&format!(
        "SELECT t.processlist_id, s.sql_text FROM performance_schema.prepared_statements_instances s \
         JOIN performance_schema.threads t ON t.thread_id = s.owner_thread_id \
         WHERE t.processlist_db = database() AND s.sql_text LIKE {part}"
    ));
    let rows = match rows {
        Err(error) if error.is_denied() => Vec::new(),
        rows => rows?,
    };
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        if let [Some(id), Some(text)] = row.as_slice() {
            found.entry(id.clone()).or_default().push(text.clone());
        }
    }
    Ok(found)
}

/// Programs' sessions with this database.
const PROGRAMS: &str = "a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()";

/// Returns every program's session with this database, its own excepted.
pub(in crate::execute) fn all(session: &mut Session) -> Result<Vec<Peer>, DbError> {
    let sql = match session.backend() {
        Backend::Postgres => activity(PROGRAMS),
        Backend::Mysql => processes("p.db = database() AND p.id <> connection_id()"),
        Backend::Sqlite => return Ok(Vec::new()),
    };
    read(session, &sql)
}

/// Returns programs' sessions with this database that began before a time in UTC (PostgreSQL).
pub(in crate::execute) fn older_than(
    session: &mut Session,
    time: &str,
) -> Result<Vec<Peer>, DbError> {
    let time = exact_literal(Backend::Postgres, time);
    let sql = activity(&format!(
        "{PROGRAMS} AND a.application_name <> 'cargo newcol' \
         AND a.backend_start < {time}::timestamp AT TIME ZONE 'UTC'"
    ));
    read(session, &sql)
}

/// Ends what others do, where they may be ended; returns those.
///
/// A running statement is cancelled; a session that idles in its transaction has none, so it is
/// ended. Superusers, replicas, vacuums and prepared transactions are never touched, nor is anybody of
/// whom that is not known, or whose transaction is another one by now.
pub(in crate::execute) fn cancel(
    session: &mut Session,
    peers: &[Peer],
) -> Result<Vec<Peer>, DbError> {
    let mut cancelled = Vec::new();
    for peer in peers.iter().filter(|peer| peer.may_be_cancelled()) {
        let Some(began) = &peer.began else { continue };
        let began = exact_literal(session.backend(), began);
        let ended = match session.backend() {
            Backend::Postgres => session.query_bool(&format!(
                "SELECT coalesce((SELECT CASE WHEN a.state LIKE 'idle in transaction%' \
                 THEN pg_terminate_backend(a.pid) ELSE pg_cancel_backend(a.pid) END \
                 FROM pg_catalog.pg_stat_activity a WHERE a.pid = {} AND a.state <> 'idle' \
                 AND a.xact_start = {began}::timestamptz), false)",
                peer.id
            )),
            Backend::Mysql => kill(session, &peer.id, &began),
            Backend::Sqlite => continue,
        };
        match ended {
            // Whoever may not end it waits as for those that nobody may end.
            Err(error) if error.is_denied() => {}
            ended => {
                if ended? {
                    cancelled.push(peer.clone());
                }
            }
        }
    }
    Ok(cancelled)
}

/// Ends a transaction of MySQL or MariaDB, where it is still that one. Numbers of connections do not
/// come twice.
fn kill(session: &mut Session, id: &str, began: &str) -> Result<bool, DbError> {
    let command = session.value(&format!(
        "SELECT p.command FROM information_schema.processlist p \
         JOIN information_schema.innodb_trx t ON p.id = t.trx_mysql_thread_id \
         WHERE p.id = {id} AND t.trx_started = {began}"
    ))?;
    let what = match command.as_deref() {
        None => return Ok(false),
        Some("Sleep") => "CONNECTION",
        Some(_) => "QUERY",
    };
    session.batch(&format!("KILL {what} {id}")).map(|()| true)
}

/// Names nobody where the user may not see others (MySQL, MariaDB): who only looks must not fail.
fn read(session: &mut Session, sql: &str) -> Result<Vec<Peer>, DbError> {
    match session.query(sql) {
        Err(error) if error.is_denied() => Ok(Vec::new()),
        rows => Ok(rows?.into_iter().map(Peer::read).collect()),
    }
}
