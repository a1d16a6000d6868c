//! Servers of our own, started from programs on this machine.
//!
//! The process that finds no running server starts one and hands it to a supervisor, a detached
//! shell that ends it when nobody has held its lease for [`IDLE_SECONDS`]. Where `flock(1)` is
//! missing, the server lives until the next start sweeps it. No server is started twice, none of a
//! living process is ever ended.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::backend::{Backend, Product, Server as ServerVersion};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::process::{Pid, Signal, WaitOptions, kill_process};

use super::{
    admin,
    error::{ScratchError, Tried, chain},
    lease::{self, Home, KEEP_FOR},
    mysql, postgres,
    server::{self, Address, Owner, Server, tried_at},
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

/// Longest end of a server before it is killed.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Changes when cached data directories must be made anew.
const GOLDEN_FORMAT: u32 = 1;

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
            [ "$tries" -lt 100 ] || kill -s KILL "$pid"
            [ "$tries" -lt 120 ] || break
            sleep 0.1 8>&- 9>&-
        done
    fi
    rm -rf -- "$run" "$data"
fi
[ "$kind" != private ] || rm -rf -- "$home"
"#;

/// A server program whose version is known.
struct Program {
    path: Utf8PathBuf,
    version: ServerVersion,
    /// Names the program with its version in file names.
    key: String,
}

/// A running server, as its home remembers it.
struct State {
    address: Address,
    run: Utf8PathBuf,
    data: Utf8PathBuf,
    pid: i32,
}

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
        path: Utf8PathBuf::from(read(&state.run.join("program"))),
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
    let admin = address.database(match program.version.backend() {
        Backend::Postgres => "postgres",
        Backend::Mysql | Backend::Sqlite => "mysql",
    });
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

fn end_run(run: &Utf8Path) {
    for pid in pids_of(run) {
        signal(pid, Signal::QUIT);
        let gone = wait_until("end of server", END_LIMIT, || !is_running(pid, run));
        if gone.is_err() {
            signal(pid, Signal::KILL);
        }
        reaped(pid);
    }
    let data = run.join("data");
    if let Ok(disk) = data.read_link_utf8() {
        drop(fs::remove_dir_all(disk));
    }
    drop(fs::remove_dir_all(run));
}

/// Returns the servers that run in a directory: those whose command line names it, so that a
/// server is found even if its starter was killed before it could write anything down.
fn pids_of(run: &Utf8Path) -> Vec<i32> {
    let proc = Utf8Path::new("/proc");
    if proc.join("self/cmdline").exists() {
        let pids = lease::dir_names(proc).into_iter().filter_map(|name| name.parse().ok());
        return pids.filter(|pid| is_running(*pid, run)).collect();
    }
    read(&run.join("pid")).parse().ok().into_iter().collect()
}

/// Reports whether the process exists and is a server of this directory, not a later process that
/// got its number.
fn is_running(pid: i32, run: &Utf8Path) -> bool {
    if Utf8Path::new("/proc/self/cmdline").exists() {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let needle = run.as_str().as_bytes();
        let mut args = line.split(|byte| *byte == 0);
        let is_server = args.next().is_some_and(|program| {
            ["postgres", "mysqld", "mariadbd"].iter().any(|s| program.ends_with(s.as_bytes()))
        });
        return is_server && line.windows(needle.len()).any(|part| part == needle);
    }
    Pid::from_raw(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // Gone already is as good.
        kill_process(pid, signal).ok();
    }
}

/// Takes the exit status of a child of this process, whose number would otherwise stay in use;
/// reports whether none is left.
fn reaped(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid) else { return true };
    // An error says that it is not our child: then its parent does this.
    !matches!(rustix::process::waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
}

impl State {
    fn read(home: &Home) -> Option<Self> {
        let text = fs::read_to_string(home.dir.join("state")).ok()?;
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.split_once(' ').filter(|(k, _)| *k == key))
                .map(|(_, v)| v)
        };
        Some(Self {
            address: Address { prefix: value("prefix")?.to_owned(), suffix: String::new() },
            run: value("run")?.into(),
            data: value("data")?.into(),
            pid: value("pid")?.parse().ok()?,
        })
    }

    fn write(&self, home: &Home) -> Result<(), ScratchError> {
        let Self { address: Address { prefix, .. }, run, data, pid } = self;
        // QUIT ends PostgreSQL at once and MySQL in order; both take milliseconds.
        lease::write(
            &home.dir.join("state"),
            &format!("prefix {prefix}\nrun {run}\ndata {data}\npid {pid}\nsignal QUIT\n"),
        )
    }

    fn is_running(&self) -> bool {
        is_running(self.pid, &self.run)
    }
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
    let database = match program.version.product {
        Product::Postgres => "postgres",
        Product::Mysql | Product::Mariadb | Product::Sqlite => "mysql",
    };
    let url = address.database(database);
    let log = || last_words(&fs::read(run.join("log")).unwrap_or_default());
    let fails = |why: String| ScratchError::Start { program: program.path.clone(), why };
    let answered = wait_for("answer", START_LIMIT, || {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(Err(fails(format!("{status}; {}", log()))));
        }
        match admin::query(&url, "SELECT version()") {
            Ok(_) => Some(Ok(())),
            Err(error @ admin::AdminError::NotBuilt { .. }) => Some(Err(fails(error.to_string()))),
            Err(admin::AdminError::Connect { .. } | admin::AdminError::Sql { .. }) => None,
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

impl Program {
    /// Asks a program for its version; the answer is remembered until the file changes.
    fn probe(backend: Backend, path: &Utf8Path) -> Result<Self, ScratchError> {
        let failed = |source| ScratchError::file(path, source);
        let meta = fs::metadata(path).map_err(failed)?;
        let stamp = format!("{path} {} {:?}", meta.len(), meta.modified().ok());
        let tag = format!("{:08x}", lease::hash(stamp.as_bytes()) >> 32);
        let memory = lease::base_dir()?.join(format!("version-{tag}"));
        let mut said = read(&memory);
        if said.is_empty() {
            let output = Service::of(backend).command(path).arg("--version").output();
            let output = output.map_err(failed)?;
            said = String::from_utf8_lossy(&output.stdout).into_owned();
            lease::write(&memory, &said)?;
        }
        // `mariadbd  Ver 10.11.19-MariaDB…`, `postgres (PostgreSQL) 15.20 (Debian…)`
        let version = ServerVersion::parse(backend, &said)
            .ok_or_else(|| failed(io::Error::other("does not tell its version")))?;
        let short = match version.product {
            Product::Postgres => "pg",
            Product::Mysql => "mysql",
            Product::Mariadb => "mariadb",
            Product::Sqlite => "sqlite",
        };
        Ok(Self { path: path.to_owned(), version, key: format!("{short}{}-{tag}", version.major) })
    }
}

/// Returns the server programs of this machine, the user's choice first.
fn candidates(backend: Backend, tried: &mut Vec<Tried>) -> Vec<Utf8PathBuf> {
    let (variable, names, usual): (_, &[&str], _) = match backend {
        Backend::Postgres => ("NEWCOL_PG_BIN", &["postgres"], postgres::usual_dirs()),
        Backend::Mysql | Backend::Sqlite => {
            ("NEWCOL_MYSQL_BIN", &["mariadbd", "mysqld"], mysql::usual_dirs())
        }
    };
    let mut found: Vec<Utf8PathBuf> = Vec::new();
    let mut look = |dir: &Utf8Path| {
        let before = found.len();
        for name in names {
            let Ok(path) = dir.join(name).canonicalize_utf8() else { continue };
            // Client packages ship neither program; a stray `postgres` without `initdb` is of no
            // use.
            let complete = backend != Backend::Postgres || path.with_file_name("initdb").exists();
            if complete && !found.contains(&path) {
                found.push(path);
            }
        }
        found.len() > before
    };
    for dir in settings::dirs(variable) {
        // An installation directory and an unpacked npm bundle serve as well as its `bin`.
        let places = [dir.clone(), dir.join("bin"), dir.join("native/bin")];
        if !places.iter().any(|place| look(place)) {
            tried.push(tried_at(&format!("{variable}={dir}"), "has no server program"));
        }
    }
    for dir in settings::dirs("PATH").iter().chain(&usual) {
        look(dir);
    }
    if found.is_empty() {
        tried.push(tried_at("PATH and the usual directories", "have no server program"));
    }
    found
}

/// The user a server runs as: PostgreSQL refuses to run as root.
#[derive(Debug, Clone, Copy)]
struct Service {
    /// User and group, where the caller is root and so can and must choose another.
    user: Option<(u32, u32)>,
}

impl Service {
    fn of(backend: Backend) -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self { user: None };
        }
        let names = match backend {
            Backend::Postgres => ["postgres", "nobody"],
            Backend::Mysql | Backend::Sqlite => ["mysql", "nobody"],
        };
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let user = names.iter().find_map(|name| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut ids = line.split(':').skip(2).map(str::parse);
            Some((ids.next()?.ok()?, ids.next()?.ok()?))
        });
        // The number of `nobody` where there is no list of users.
        Self { user: user.or(Some((65_534, 65_534))) }
    }

    /// The caller as it is.
    fn caller() -> Self {
        let user = rustix::process::geteuid().is_root().then_some((0, 0));
        Self { user }
    }

    /// Returns a command that runs as this user in an environment without surprises.
    fn command(self, program: &Utf8Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", settings::path()).env("LC_ALL", "C");
        command.envs(settings::var("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)));
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Makes this user the owner of a file.
    fn give(self, path: &Utf8Path) -> Result<(), ScratchError> {
        let Some((uid, gid)) = self.user else { return Ok(()) };
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))
            .map_err(|source| ScratchError::file(path, source))
    }
}

/// Makes a directory that only the server's user (and root) can enter.
fn make_service_dir(dir: &Utf8Path, service: Service) -> Result<(), ScratchError> {
    lease::make_dir(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .map_err(|source| ScratchError::file(dir, source))?;
    service.give(dir)
}

/// Copies a directory with modes, for a user.
fn copy_tree(from: &Utf8Path, to: &Utf8Path, service: Service) -> Result<(), ScratchError> {
    make_service_dir(to, service)?;
    let entries = from.read_dir_utf8().map_err(|source| ScratchError::file(from, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| ScratchError::file(from, source))?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type().map_err(|e| ScratchError::file(entry.path(), e))?;
        if kind.is_dir() {
            copy_tree(entry.path(), &target, service)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).map_err(|e| ScratchError::file(&target, e))?;
            service.give(&target)?;
        }
    }
    Ok(())
}

fn read(path: &Utf8Path) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Returns the end of a log on one line.
fn last_words(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" | ")
}
