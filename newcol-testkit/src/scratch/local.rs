//! Servers of our own, started from programs on this machine.
//!
//! The process that finds no running server starts one and hands it to a supervisor, a detached
//! shell that ends it when nobody has held its lease for [`IDLE_SECONDS`]. Where `flock(1)` is
//! missing, the server lives until the next start sweeps it. No server is started twice, none of a
//! living process is ever ended.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::backend::Product;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::process::Signal;

use super::{
    admin,
    error::{ScratchError, Tried, chain},
    lease::{self, Home, KEEP_FOR},
    mysql, postgres,
    program::{Program, candidates},
    running::{END_LIMIT, State, end_run, is_running, reaped, signal},
    server::{self, Address, Owner, Server, tried_at},
    service::{Service, copy_tree, make_service_dir},
    want::{Sharing, Want},
};
use crate::{
    settings,
    wait::{wait_for, wait_until},
};

/// How many seconds a server outlives its last user: longer than a test runner pauses between
/// processes. `NEWCOL_TEST_IDLE_SECONDS` changes it.
const IDLE_SECONDS: &str = "10";

/// Longest start of a server, on a machine that is busy.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Changes when cached data directories must be made anew.
const GOLDEN_FORMAT: u32 = 1;

/// How long a cached data directory is good.
const GOLDEN_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What must be encoded in a path that takes the place of a host.
const HOST: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Ends the server of a home when it has been free for a while and keeps no database.
///
/// `$1` home, `$2` idle seconds, `$3` minutes to keep, `$4` `private` to remove the home as well.
/// It reads which server that is only when it ends it, so one supervisor serves successors, too.
const SUPERVISOR: &str = r#"
home=$1 idle=$2 keep=$3 kind=$4
exec 8>>"$home/lease" 9>>"$home/alive" || exit 1
# Waits a little: whoever asks whether there is a supervisor holds the lock for a moment.
flock -w 1 9 || exit 0
while :; do
    flock -x 8 || exit 1
    before=$(cat "$home/last" 2>/dev/null)
    kept=$(find "$home/kept" -type f -mmin "-$keep" 2>/dev/null | head -n 1)
    flock -u 8
    if [ -n "$kept" ]; then
        sleep 30 8>&- 9>&-
        continue
    fi
    sleep "$idle" 8>&- 9>&-
    flock -n -x 8 || continue
    [ "$before" = "$(cat "$home/last" 2>/dev/null)" ] && break
    flock -u 8
done
run= data= pid= signal=
if [ -f "$home/state" ]; then
    while read -r key value; do
        case $key in
            run) run=$value ;;
            data) data=$value ;;
            pid) pid=$value ;;
            signal) signal=$value ;;
        esac
    done <"$home/state"
fi
rm -f "$home/state"
ours() { tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$run"; }
if [ -n "$run" ]; then
    if [ -n "$pid" ] && ours; then
        kill -s "$signal" "$pid"
        tries=0
        while ours; do
            tries=$((tries + 1))
            [ "$tries" -lt 30 ] || kill -s KILL "$pid"
            [ "$tries" -lt 100 ] || break
            sleep 0.1 8>&- 9>&-
        done
    fi
    rm -rf -- "$run" "$data"
fi
[ "$kind" != private ] || rm -rf -- "$home"
"#;

/// Returns a server of ours that satisfies a wish, started if need be; notes what does not serve.
pub(super) fn find(
    want: Want,
    tried: &mut Vec<Tried>,
) -> Result<Option<Arc<Server>>, ScratchError> {
    let mut failed = None;
    for path in candidates(want.backend, tried) {
        let program = match Program::probe(want.backend, &path) {
            Ok(program) => program,
            Err(error) => {
                tried.push(tried_at(path.as_str(), &chain(&error)));
                continue;
            }
        };
        if !want.accepts(&program.version) {
            tried.push(tried_at(path.as_str(), &format!("is {}", program.version)));
            continue;
        }
        let server = match want.sharing {
            Sharing::Shared => server::once(&program.key, || {
                attach(&program, Home::open(&program.key)?, Owner::Shared)
            }),
            Sharing::Private => {
                let name = format!("{}-x{}", program.key, lease::random_tag());
                Home::open(&name)
                    .and_then(|home| attach(&program, home, Owner::Private))
                    .map(Arc::new)
            }
        };
        match server {
            Ok(server) => return Ok(Some(server)),
            Err(error) => {
                tried.push(tried_at(path.as_str(), &chain(&error)));
                failed.get_or_insert(error);
            }
        }
    }
    // A program that is there but does not start is a fault to report, not a missing server.
    failed.map_or(Ok(None), Err)
}

/// Ends the server of a home that nobody else uses, and removes its data.
pub(super) fn end(home: &Home) {
    for run in home.runs() {
        end_run(&run);
    }
    drop(fs::remove_dir_all(&home.dir));
}

/// Kills the server of a private home and starts it again on the same data.
pub(super) fn crash(server: &Server) -> Result<(), ScratchError> {
    let home = &server.home;
    let state = State::read(home).ok_or(ScratchError::NotPrivate)?;
    signal(state.pid, Signal::KILL);
    let gone = wait_until("end of the killed server", END_LIMIT, || {
        !is_running(state.pid, &state.run) && reaped(state.pid)
    });
    gone.map_err(|source| ScratchError::Busy { path: state.run.clone(), source })?;
    let program = Program {
        path: Utf8PathBuf::from(lease::read(&state.run.join("program"))),
        version: server.version,
        key: String::new(),
    };
    launch(&program, home, &state.run, &state.data, Some(&state.address)).map(drop)
}

/// Joins the server of a home, starting it if it does not run.
fn attach(program: &Program, home: Home, owner: Owner) -> Result<Server, ScratchError> {
    let turn = home.lock_start()?;
    let lease = home.join()?;
    let address = match State::read(&home).filter(State::is_running) {
        Some(state) => state.address,
        None => {
            lease::remove_file(&home.dir.join("state"));
            sweep(&home);
            start(program, &home)?
        }
    };
    if !home.is_supervised() {
        supervise(&home, owner);
    }
    drop(turn);
    let admin = address.database(program.admin_database());
    Server::new(program.version, address, owner, home, lease, admin)
}

/// Removes what killed runs left: servers without supervisor in homes that nobody uses, and in our
/// own home, whose turn we have, every server (the living one would be in its state).
fn sweep(home: &Home) {
    for run in home.runs() {
        end_run(&run);
    }
    for other in Home::all().unwrap_or_default() {
        if other.dir == home.dir || other.is_supervised() {
            continue;
        }
        let Some(_whole) = other.take() else { continue };
        if other.is_supervised() || other.keeps_any() {
            continue;
        }
        lease::remove_file(&other.dir.join("state"));
        for run in other.runs() {
            end_run(&run);
        }
        if is_private(&other) {
            drop(fs::remove_dir_all(&other.dir));
        }
    }
}

fn is_private(home: &Home) -> bool {
    home.dir.file_name().is_some_and(|name| name.contains("-x"))
}

/// Starts a server on a fresh copy of the golden data directory.
fn start(program: &Program, home: &Home) -> Result<Address, ScratchError> {
    let service = Service::of(program.version.backend());
    let tag = lease::random_tag();
    let run = home.dir.join(format!("r-{tag}"));
    make_service_dir(&run, service)?;
    lease::write(&run.join("program"), program.path.as_str())?;
    let place = lease::roomy_dir()?;
    let data = if home.dir.starts_with(&place) {
        run.join("data")
    } else {
        // The RAM disk is too small: the data is on disk, and the link lets a sweep find it.
        let disk = place.join(format!("data-{tag}"));
        std::os::unix::fs::symlink(&disk, run.join("data"))
            .map_err(|source| ScratchError::file(&disk, source))?;
        disk
    };
    fill(program, &run, &data, service)?;
    launch(program, home, &run, &data, None)
}

/// Fills an empty data directory: from the cache, or by the server's own program and then for the
/// cache.
fn fill(
    program: &Program,
    run: &Utf8Path,
    data: &Utf8Path,
    service: Service,
) -> Result<(), ScratchError> {
    let golden = settings::cache_dir()
        .map(|dir| dir.join("golden").join(format!("{}-{GOLDEN_FORMAT}", program.key)));
    if let Some(golden) = golden.as_deref().filter(|dir| dir.is_dir()) {
        return copy_tree(golden, data, service);
    }
    make_service_dir(data, service)?;
    let (init, args) = match program.version.product {
        Product::Postgres => {
            let near = program.path.with_file_name("initdb");
            (near, postgres::init_args(data))
        }
        product @ (Product::Mysql | Product::Mariadb | Product::Sqlite) => {
            mysql::init_command(&program.path, product, data)
        }
    };
    let output = service
        .command(&init)
        .current_dir(run)
        .args(args)
        .output()
        .map_err(|source| ScratchError::file(&init, source))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        return Err(ScratchError::Start { program: init, why: last_words(&said) });
    }
    if let Some(golden) = golden {
        // The cache is a convenience: a home that cannot be written to is no error.
        drop(publish(data, &golden));
    }
    Ok(())
}

/// Copies a data directory into the cache, whole or not at all.
fn publish(data: &Utf8Path, golden: &Utf8Path) -> Result<(), ScratchError> {
    let draft = golden.with_extension(lease::random_tag());
    let parent = golden.parent().unwrap_or(golden);
    fs::create_dir_all(parent).map_err(|source| ScratchError::file(parent, source))?;
    // Programs are updated and move: what was made long ago is made again if it is still used.
    for name in lease::dir_names(parent) {
        let old = parent.join(name);
        let age = fs::metadata(&old).ok().and_then(|meta| meta.modified().ok()?.elapsed().ok());
        if age.is_some_and(|age| age > GOLDEN_AGE) {
            drop(fs::remove_dir_all(&old));
        }
    }
    let done = copy_tree(data, &draft, Service::caller())
        .and_then(|()| fs::rename(&draft, golden).map_err(|e| ScratchError::file(golden, e)));
    if done.is_err() {
        drop(fs::remove_dir_all(&draft));
    }
    done
}

/// Starts the program on a data directory, waits until it answers, and writes the state.
fn launch(
    program: &Program,
    home: &Home,
    run: &Utf8Path,
    data: &Utf8Path,
    again: Option<&Address>,
) -> Result<Address, ScratchError> {
    const TRIES: u32 = 5;
    let service = Service::of(program.version.backend());
    let mut last = None;
    // Again when another process took the port in between, or when a killed server's children
    // still hold its shared memory.
    for _ in 0..TRIES {
        let (address, args) = match program.version.product {
            Product::Postgres => {
                let host = utf8_percent_encode(run.as_str(), HOST);
                let prefix = format!("postgres://{}@{host}/", postgres::USER);
                (prefix, postgres::server_args(&program.path, data, run))
            }
            product @ (Product::Mysql | Product::Mariadb | Product::Sqlite) => {
                let (prefix, port) = match again {
                    Some(address) => (address.prefix.clone(), port_of(&address.prefix)),
                    None => {
                        let port = free_port()?;
                        let password = lease::random_tag();
                        let init = run.join("init.sql");
                        lease::write(&init, &mysql::init_sql(&password))?;
                        service.give(&init)?;
                        let user = mysql::USER;
                        (format!("mysql://{user}:{password}@127.0.0.1:{port}/"), port)
                    }
                };
                (prefix, mysql::server_args(product, data, run, port))
            }
        };
        let address = Address { prefix: address, suffix: String::new() };
        let mut child = spawn(program, run, service, args)?;
        let state = State {
            address,
            run: run.to_owned(),
            data: data.to_owned(),
            pid: i32::try_from(child.id()).unwrap_or_default(),
        };
        lease::write(&run.join("pid"), &state.pid.to_string())?;
        match answer(program, run, &state.address, &mut child) {
            Ok(()) => {
                state.write(home)?;
                return Ok(state.address);
            }
            Err(error) => last = Some(error),
        }
        drop(child.kill());
        drop(child.wait());
    }
    let why = String::from("never tried");
    Err(last.unwrap_or(ScratchError::Start { program: program.path.clone(), why }))
}

fn spawn(
    program: &Program,
    run: &Utf8Path,
    service: Service,
    args: Vec<String>,
) -> Result<Child, ScratchError> {
    let log = run.join("log");
    let file = File::create(&log).map_err(|source| ScratchError::file(&log, source))?;
    let copy = file.try_clone().map_err(|source| ScratchError::file(&log, source))?;
    service
        .command(&program.path)
        .args(args)
        .current_dir(run)
        // Ctrl-C and a runner's time-out are for the tests, not for the server they share.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy)
        .spawn()
        .map_err(|source| ScratchError::file(&program.path, source))
}

/// Waits until a server answers, or ends.
fn answer(
    program: &Program,
    run: &Utf8Path,
    address: &Address,
    child: &mut Child,
) -> Result<(), ScratchError> {
    let url = address.database(program.admin_database());
    let log = || last_words(&fs::read(run.join("log")).unwrap_or_default());
    let fails = |why: String| ScratchError::Start { program: program.path.clone(), why };
    let answered = wait_for("answer", START_LIMIT, || {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(Err(fails(format!("{status}; {}", log()))));
        }
        match admin::query(&url, "SELECT version()") {
            Ok(_) => Some(Ok(())),
            Err(error @ admin::AdminError::NotBuilt { .. }) => Some(Err(fails(error.to_string()))),
            Err(admin::AdminError::Database(_)) => None,
        }
    });
    answered.unwrap_or_else(|silence| Err(fails(format!("{silence}; {}", log()))))
}

/// Starts the supervisor of a home, which finds out itself whether there already is one.
fn supervise(home: &Home, owner: Owner) {
    let kind = if owner == Owner::Private { "private" } else { "shared" };
    let keep = KEEP_FOR.as_secs() / 60;
    let started = Command::new("/bin/sh")
        .args(["-c", SUPERVISOR, "newcol-supervisor", home.dir.as_str()])
        .arg(settings::idle_seconds().as_deref().unwrap_or(IDLE_SECONDS))
        .args([keep.to_string().as_str(), kind])
        .env_clear()
        .env("PATH", settings::path())
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    // Without a shell or flock(1) the next start sweeps the server.
    drop(started);
}

/// Asks the system for a port that is free now.
fn free_port() -> Result<u16, ScratchError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| ScratchError::file(Utf8Path::new("127.0.0.1:0"), source))
}

fn port_of(prefix: &str) -> u16 {
    prefix.trim_end_matches('/').rsplit(':').next().and_then(|p| p.parse().ok()).unwrap_or(3306)
}

/// Returns the end of a log on one line.
fn last_words(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" | ")
}
