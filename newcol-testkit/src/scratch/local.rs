//! Servers of our own, started from programs on this machine on a copy of a cached data directory.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    process::{Child, Stdio},
    sync::Arc,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::backend::Product;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::process::Signal;

use super::{
    error::{ScratchError, Tried, chain},
    lease::{self, Home},
    mysql, postgres,
    program::{Program, candidates},
    running::{Body, END_LIMIT, State, is_running, reaped, signal},
    server::{self, Address, Server, tried_at},
    service::{Service, copy_tree, make_service_dir},
    want::{Sharing, Want},
    warm::{admin_database, answer, attach},
};
use crate::{
    settings,
    wait::{wait_for, wait_until},
};

/// Changes when cached data directories must be made anew.
const GOLDEN_FORMAT: u32 = 1;

/// How long a cached data directory is good.
const GOLDEN_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// After how long a draft of such a directory belongs to nobody: copying one takes a second.
const DRAFT_AGE: Duration = Duration::from_secs(10 * 60);

/// What must be encoded in a path that takes the place of a host.
pub(super) const HOST: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

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
        let make = || {
            attach(&program.key, want.sharing, |home| start(&program, home, want.sharing))?
                .server(program.version)
        };
        let server = match want.sharing {
            Sharing::Shared => server::once(&program.key, make),
            Sharing::Private => make().map(Arc::new),
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

/// Kills a private server and starts it again on the same data.
pub(super) fn crash(
    server: &Server,
    pid: i32,
    data: &Utf8Path,
    state: &State,
) -> Result<(), ScratchError> {
    signal(pid, Signal::KILL);
    let gone = wait_until("end of the killed server", END_LIMIT, || {
        !is_running(pid, &state.run) && reaped(pid)
    });
    gone.map_err(|source| ScratchError::Busy { path: state.run.clone(), source })?;
    let program = Program {
        path: Utf8PathBuf::from(lease::read(&state.run.join("program"))),
        version: server.version,
        key: String::new(),
    };
    // Its children hold its memory until they notice, which takes them longer on a busy machine than
    // a launch is tried.
    let mut refused = None;
    let again = wait_for("end of the killed server's children", END_LIMIT, || {
        let launched = launch(
            (&program, Sharing::Private),
            &server.home,
            &state.run,
            data,
            Some(&state.address),
        );
        launched.map_err(|error| refused = Some(error)).ok()
    });
    match (again, refused) {
        (Ok(_), _) => Ok(()),
        (Err(_), Some(error)) => Err(error),
        (Err(source), None) => Err(ScratchError::Busy { path: state.run.clone(), source }),
    }
}

/// Starts a server on a fresh copy of the golden data directory.
fn start(program: &Program, home: &Home, sharing: Sharing) -> Result<Address, ScratchError> {
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
    if program.version.product == Product::Postgres {
        postgres::configure(&data)?;
    }
    launch((program, sharing), home, &run, &data, None)
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
    // Drafts have an extension.
    for old in lease::dir_names(parent).into_iter().map(|name| parent.join(name)) {
        let limit = if old.extension().is_some() { DRAFT_AGE } else { GOLDEN_AGE };
        if lease::age(&old).is_some_and(|age| age > limit) {
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
    (program, sharing): (&Program, Sharing),
    home: &Home,
    run: &Utf8Path,
    data: &Utf8Path,
    again: Option<&Address>,
) -> Result<Address, ScratchError> {
    const TRIES: u32 = 5;
    let service = Service::of(program.version.backend());
    let mut last = String::from("never tried");
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
                        let port = lease::free_port()?;
                        let password = lease::random_tag();
                        let init = run.join("init.sql");
                        lease::write(&init, &mysql::init_sql(&password))?;
                        service.give(&init)?;
                        let user = mysql::USER;
                        (format!("mysql://{user}:{password}@127.0.0.1:{port}/"), port)
                    }
                };
                (prefix, mysql::server_args((product, sharing), data, run, port))
            }
        };
        let address = Address { prefix: address, suffix: String::new() };
        let mut child = spawn(program, run, service, args)?;
        lease::write(&run.join("pid"), &child.id().to_string())?;
        let url = address.database(admin_database(program.version.backend()));
        let log = || last_words(&fs::read(run.join("log")).unwrap_or_default());
        let answered = answer(&url, || Some(child.try_wait().ok()??.to_string()));
        match answered {
            Ok(()) => {
                let pid = i32::try_from(child.id()).unwrap_or_default();
                let body = Body::Process { pid, data: data.to_owned() };
                let state = State { address, run: run.to_owned(), body };
                state.write(home)?;
                return Ok(state.address);
            }
            Err(why) => last = format!("{why}; {}", log()),
        }
        drop(child.kill());
        drop(child.wait());
    }
    Err(ScratchError::Start { program: program.path.clone(), why: last })
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

fn port_of(prefix: &str) -> u16 {
    prefix.trim_end_matches('/').rsplit(':').next().and_then(|p| p.parse().ok()).unwrap_or(3306)
}

/// Returns the end of a log on one line.
pub(super) fn last_words(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" | ")
}
