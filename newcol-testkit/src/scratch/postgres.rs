//! PostgreSQL: its programs, its settings, its databases and templates.

use std::{fs, io::Write, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    admin,
    error::{BoxError, ScratchError, brief},
    lease,
    server::{Owner, Server},
};
use crate::wait::wait_for;

/// The superuser of our own clusters.
pub(super) const USER: &str = "newcol";

/// How long a copy waits for stragglers (a just-closed session, autovacuum) to leave its template.
const STRAGGLERS: Duration = Duration::from_secs(10);

/// Prefix of template databases, which live as long as their server.
const TEMPLATE_PREFIX: &str = "newcol_t_";

/// SQL for the day `n` days ago by the server's clock.
const DAY: &str = "to_char(current_date - n, 'YYYYMMDD')";

/// The settings of our own servers, wherever they run.
pub(super) const SETTINGS: &[&str] = &[
    // A crash of the machine may lose everything. A crash of the server loses nothing, as
    // `synchronous_commit` stays on: tests that kill it are valid.
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=on",
    // Keeps workers out of templates and out of what tests see of locks.
    "autovacuum=off",
    "max_connections=300",
    "max_wal_size=256MB",
    // Shared memory in the data directory goes with it, even after SIGKILL.
    "dynamic_shared_memory_type=mmap",
    "timezone=UTC",
    "log_timezone=UTC",
    "lc_messages=C",
];

/// Creates a database, empty or as a copy of a sealed template.
pub(super) fn create(
    server: &Server,
    name: &str,
    template: Option<&str>,
) -> Result<(), ScratchError> {
    let source = template.unwrap_or("template0");
    // Copying files beats writing WAL where fsync is off; on a server that is not ours it would
    // force a checkpoint on everybody.
    let strategy = if server.owner != Owner::Given && server.version.major >= 15 {
        " STRATEGY FILE_COPY"
    } else {
        ""
    };
    let sql = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{source}\"{strategy}");
    let action = if template.is_some() { "copy" } else { "create" };
    unhindered(server, action, &[&sql])
}

/// Drops a database with whatever sessions it still has.
pub(super) fn drop_database(server: &Server, name: &str) -> Result<(), ScratchError> {
    server.exec("drop", &[&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")])
}

/// Lists the databases made on this machine.
pub(super) fn list(server: &Server) -> Result<Vec<String>, ScratchError> {
    names(server, &lease::database_pattern())
}

/// Returns the sealed template of a recipe, built by `build` if no process did so before.
pub(super) fn template(
    server: &Server,
    recipe: &str,
    build: impl FnOnce(&str) -> Result<(), BoxError>,
) -> Result<String, ScratchError> {
    let tag = format!("{:016x}", lease::hash(recipe.as_bytes()));
    let mine = format!("{TEMPLATE_PREFIX}{}_", lease::machine());
    // One question, as every test asks it: is there one of today or yesterday?
    let wanted = format!(
        "SELECT datname::text FROM pg_database WHERE datname IN \
         (SELECT '{mine}' || {DAY} || '_{tag}' FROM generate_series(0, 1) n) ORDER BY 1 DESC"
    );
    let ready = || Ok(rows(server, &wanted)?.into_iter().next());
    if let Some(found) = ready()? {
        return Ok(found);
    }
    let _turn = server.home.lock(&format!("template-{tag}.lock"), "template of the same recipe")?;
    if let Some(found) = ready()? {
        return Ok(found);
    }
    // Built under a name of this process, so that a killed build is swept like any database.
    let draft = server.create(None)?;
    let built = build(&server.url(&draft))
        .map_err(|source| ScratchError::Build { recipe: brief(recipe), source })
        .and_then(|()| {
            let today = days(server)?.into_iter().next().unwrap_or_default();
            let sealed = format!("{mine}{today}_{tag}");
            unhindered(
                server,
                "seal",
                &[
                    &format!("ALTER DATABASE \"{draft}\" RENAME TO \"{sealed}\""),
                    &format!(
                        "ALTER DATABASE \"{sealed}\" WITH ALLOW_CONNECTIONS false IS_TEMPLATE true"
                    ),
                ],
            )
            .map(|()| sealed)
        });
    if built.is_err() {
        drop(server.drop_database(&draft));
    }
    built
}

/// Drops templates from before yesterday on a server that does not end with us.
pub(super) fn sweep_templates(server: &Server) -> Result<(), ScratchError> {
    let mine = format!("{TEMPLATE_PREFIX}{}_", lease::machine());
    let days = days(server)?;
    for name in names(server, &format!("{mine}%").replace('_', "\\_"))? {
        let day = name[mine.len()..].split('_').next().unwrap_or_default();
        if !days.iter().any(|recent| recent == day) {
            server.exec(
                "drop",
                &[
                    &format!("ALTER DATABASE \"{name}\" WITH IS_TEMPLATE false"),
                    &format!("DROP DATABASE IF EXISTS \"{name}\""),
                ],
            )?;
        }
    }
    Ok(())
}

/// Returns today and yesterday by the server's clock.
fn days(server: &Server) -> Result<Vec<String>, ScratchError> {
    rows(server, &format!("SELECT {DAY} FROM generate_series(0, 1) n ORDER BY n"))
}

fn names(server: &Server, pattern: &str) -> Result<Vec<String>, ScratchError> {
    rows(
        server,
        &format!("SELECT datname::text FROM pg_database WHERE datname LIKE '{pattern}' ORDER BY 1"),
    )
}

fn rows(server: &Server, sql: &str) -> Result<Vec<String>, ScratchError> {
    let rows = admin::query(server.admin_url(), sql)
        .map_err(|source| ScratchError::Database { action: "list", source })?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// Runs statements, again while the server says that a session is still leaving.
fn unhindered(
    server: &Server,
    action: &'static str,
    statements: &[&str],
) -> Result<(), ScratchError> {
    let mut todo = statements;
    let mut last = None;
    let done = wait_for("database without sessions", STRAGGLERS, || {
        while let Some((first, rest)) = todo.split_first() {
            match server.exec(action, &[first]) {
                Ok(()) => todo = rest,
                Err(ScratchError::Database { source, .. })
                    if source.server_says().contains("being accessed by other users") =>
                {
                    last = Some(ScratchError::Database { action, source });
                    return None;
                }
                Err(other) => return Some(Err(other)),
            }
        }
        Some(Ok(()))
    });
    match (done, last) {
        (Ok(result), _) => result,
        (Err(_), Some(error)) => Err(error),
        (Err(_), None) => Ok(()),
    }
}

/// Returns the arguments of `initdb`.
pub(super) fn init_args(data: &Utf8Path) -> Vec<String> {
    let args = [
        "--pgdata",
        data.as_str(),
        "--username",
        USER,
        "--auth=trust",
        "--encoding=UTF8",
        // Sorts alike on every system and in every build of ICU.
        "--locale=C",
        "--no-sync",
    ];
    args.map(str::to_owned).to_vec()
}

/// Writes our settings into the data directory, where `ALTER SYSTEM` of a test overrules them.
pub(super) fn configure(data: &Utf8Path) -> Result<(), ScratchError> {
    let path = data.join("postgresql.conf");
    let mut lines = String::from("\n");
    for setting in SETTINGS {
        lines.push_str(setting);
        lines.push('\n');
    }
    let file = fs::OpenOptions::new().append(true).open(&path);
    file.and_then(|mut file| file.write_all(lines.as_bytes()))
        .map_err(|source| ScratchError::file(&path, source))
}

/// Returns the arguments of `postgres`.
pub(super) fn server_args(
    program: &Utf8Path,
    data: &Utf8Path,
    socket_dir: &Utf8Path,
) -> Vec<String> {
    let mut args = vec!["-D".to_owned(), data.to_string(), "-k".to_owned(), socket_dir.to_string()];
    // The socket's directory is closed to other users; nothing listens on a port.
    args.extend(["-c".to_owned(), "listen_addresses=".to_owned()]);
    if has_stat_statements(program) {
        args.extend(["-c".to_owned(), "shared_preload_libraries=pg_stat_statements".to_owned()]);
    }
    args
}

fn has_stat_statements(program: &Utf8Path) -> bool {
    let Some(root) = program.parent().and_then(Utf8Path::parent) else { return false };
    ["lib", "lib/postgresql"]
        .iter()
        .any(|dir| root.join(dir).join("pg_stat_statements.so").is_file())
}

/// Returns the directories under which packages put their servers, newest version first.
pub(super) fn usual_dirs() -> Vec<Utf8PathBuf> {
    let mut dirs: Vec<(u32, Utf8PathBuf)> = Vec::new();
    for parent in ["/usr/lib/postgresql", "/usr", "/opt/homebrew/opt", "/usr/local/opt"] {
        for name in lease::dir_names(Utf8Path::new(parent)) {
            let number =
                name.trim_start_matches("pgsql-").trim_start_matches("postgresql@").parse().ok();
            if let Some(major) = number {
                dirs.push((major, Utf8Path::new(parent).join(name).join("bin")));
            }
        }
    }
    dirs.sort();
    dirs.into_iter().rev().map(|(_, dir)| dir).collect()
}
