//! A server that hands out databases: one given by the user, or one of ours.
//!
//! Each process looks for its server once and holds its lease until it dies.

use std::{
    collections::BTreeMap,
    fs::File,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use newcol_core::backend::{Backend, Server as ServerVersion};

#[cfg(unix)]
use super::warm;
use super::{
    admin,
    error::{ScratchError, Tried},
    lease::{self, Home, Token},
    mysql, postgres,
    provider::Provider,
    slots::Slot,
    want::{Sharing, Want},
};
use crate::settings;

/// One server, as this process uses it.
pub(super) struct Server {
    pub(super) version: ServerVersion,
    pub(super) address: Address,
    admin: String,
    pub(super) owner: Owner,
    pub(super) home: Home,
    token: Token,
    next: AtomicUsize,
    /// Released by the kernel when this process dies.
    _lease: File,
}

/// Who started a server, and so who may end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The user; it outlives us and others may use it.
    Given,
    /// One of our processes, for all of them.
    Shared,
    /// This process, for one database.
    Private,
}

/// The URL of a server with a hole for the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) prefix: String,
    pub(super) suffix: String,
}

impl Address {
    /// Cuts the database out of a URL.
    pub(super) fn of_url(url: &str) -> Self {
        let (rest, query) = match url.find('?') {
            Some(at) => url.split_at(at),
            None => (url, ""),
        };
        let authority = rest.find("://").map_or(0, |at| at + 3);
        let end = rest[authority..].find('/').map_or(rest.len(), |at| authority + at);
        Self { prefix: format!("{}/", &rest[..end]), suffix: query.to_owned() }
    }

    /// Returns the URL of a database.
    pub(super) fn database(&self, name: &str) -> String {
        format!("{}{name}{}", self.prefix, self.suffix)
    }
}

/// Returns the fastest server that satisfies a wish.
pub(super) fn find(want: Want) -> Result<Arc<Server>, ScratchError> {
    let mut tried = Vec::new();
    let providers = Provider::chosen()?;
    for provider in &providers {
        if let Some(server) = provider.find(want, &mut tried)? {
            return Ok(server);
        }
    }
    Err(ScratchError::NoServer { want, remedy: remedy(want, &providers), tried })
}

/// Returns the server that the user gives, if it satisfies a wish.
pub(super) fn given(
    want: Want,
    tried: &mut Vec<Tried>,
) -> Result<Option<Arc<Server>>, ScratchError> {
    match settings::given_url(want.backend) {
        Some((variable, _)) if want.sharing == Sharing::Private => {
            tried.push(tried_at(variable, "not ours to kill, and a server of its own is wanted"));
        }
        Some((variable, url)) => {
            let version = version(want.backend, &url)
                .map_err(|source| ScratchError::Given { variable, source })?;
            if want.accepts(&version) {
                return join_given(&url, version).map(Some);
            }
            tried.push(tried_at(variable, &format!("is {version}")));
        }
        None => tried.extend(settings::given_name(want.backend).map(|v| tried_at(v, "not set"))),
    }
    Ok(None)
}

/// Returns the server of this process under a name, made by `make` the first time.
pub(super) fn once(
    key: &str,
    make: impl FnOnce() -> Result<Server, ScratchError>,
) -> Result<Arc<Server>, ScratchError> {
    static SERVERS: Mutex<BTreeMap<String, Arc<Server>>> = Mutex::new(BTreeMap::new());
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = servers.get(key) {
        return Ok(Arc::clone(server));
    }
    let server = Arc::new(make()?);
    servers.insert(key.to_owned(), Arc::clone(&server));
    later(Job::Sweep(Arc::clone(&server)));
    Ok(server)
}

pub(super) fn tried_at(place: &str, why: &str) -> Tried {
    Tried { place: place.to_owned(), why: why.to_owned() }
}

/// Asks a server for its product and version.
pub(super) fn version(backend: Backend, url: &str) -> Result<ServerVersion, admin::AdminError> {
    let rows = admin::query(url, "SELECT version()")?;
    let text = rows.into_iter().flatten().flatten().next().unwrap_or_default();
    Ok(ServerVersion::parse(backend, &text).unwrap_or_else(|| ServerVersion::oldest(backend)))
}

fn join_given(url: &str, version: ServerVersion) -> Result<Arc<Server>, ScratchError> {
    let key = format!("given-{:08x}", lease::hash(url.as_bytes()) >> 32);
    once(&key, || {
        let home = Home::open(&key)?;
        let lease = home.join()?;
        // Administrative SQL goes through the very database the user gave: on a server that is not
        // ours, no other needs to exist.
        let admin = url.to_owned();
        Server::new(version, Address::of_url(url), Owner::Given, home, lease, admin)
    })
}

/// Returns the one thing that helps, given the providers that were asked.
fn remedy(want: Want, providers: &[Provider]) -> String {
    let (variable, package) = match want.backend {
        Backend::Postgres => ("NEWCOL_TEST_POSTGRES_URL", "postgresql"),
        Backend::Mysql | Backend::Sqlite => ("NEWCOL_TEST_MYSQL_URL", "mariadb-server"),
    };
    match (providers, want.backend, want.version) {
        ([Provider::Given], ..) => format!("set {variable}"),
        ([Provider::Docker], ..) => {
            "start Docker, name an image it has or can pull in NEWCOL_TEST_IMAGE_POSTGRES or \
             NEWCOL_TEST_IMAGE_MYSQL, and turn on newcol-testkit's feature `docker`"
                .to_owned()
        }
        (_, Backend::Postgres, Some(major)) => format!(
            "put the `bin` directory of PostgreSQL {major} into NEWCOL_PG_BIN, or run \
             `apt-get install postgresql-{major}`"
        ),
        _ => format!("run `apt-get install {package}`, or set {variable}"),
    }
}

impl Server {
    pub(super) fn new(
        version: ServerVersion,
        address: Address,
        owner: Owner,
        home: Home,
        lease: File,
        admin: String,
    ) -> Result<Self, ScratchError> {
        let token = home.token()?;
        let next = AtomicUsize::new(0);
        Ok(Self { version, address, admin, owner, home, token, next, _lease: lease })
    }

    /// Makes an empty database, or a copy of a template.
    pub(super) fn create(&self, template: Option<&str>) -> Result<String, ScratchError> {
        let name = self.new_name();
        match self.version.backend() {
            Backend::Postgres => postgres::create(self, &name, template)?,
            Backend::Mysql | Backend::Sqlite => mysql::create(self, &name)?,
        }
        Ok(name)
    }

    /// Returns a name that only this process uses.
    pub(super) fn new_name(&self) -> String {
        self.token.database(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the URL of a database on this server.
    pub(super) fn url(&self, database: &str) -> String {
        self.address.database(database)
    }

    /// Returns the URL for SQL about the whole server.
    pub(super) fn admin_url(&self) -> &str {
        &self.admin
    }

    /// Runs SQL about the whole server.
    pub(super) fn exec(&self, action: &'static str, sql: &[&str]) -> Result<(), ScratchError> {
        admin::exec(self.admin_url(), sql)
            .map_err(|source| ScratchError::Database { action, source })
    }

    /// Leaves a database to its reader and returns the command that opens it.
    pub(super) fn keep(&self, name: &str) -> String {
        let url = self.url(name);
        if let Err(error) = self.home.keep(name) {
            return super::error::chain(&error);
        }
        match self.version.backend() {
            Backend::Postgres => format!("psql '{url}' (for an hour)"),
            Backend::Mysql | Backend::Sqlite => {
                format!("{} (for an hour)", mysql::client_command(&url))
            }
        }
    }

    /// Drops a database now.
    pub(super) fn drop_database(&self, name: &str) -> Result<(), ScratchError> {
        match self.version.backend() {
            Backend::Postgres => postgres::drop_database(self, name),
            Backend::Mysql | Backend::Sqlite => mysql::drop_database(self, name),
        }
    }

    /// Drops the databases of dead processes that nobody keeps, and nothing else.
    pub(super) fn sweep(&self) -> Result<(), ScratchError> {
        let names = match self.version.backend() {
            Backend::Postgres => postgres::list(self)?,
            Backend::Mysql | Backend::Sqlite => mysql::list(self)?,
        };
        let orphans = self.home.orphans(&names);
        for name in &orphans {
            self.drop_database(name)?;
        }
        let left: Vec<String> = names.into_iter().filter(|n| !orphans.contains(n)).collect();
        self.home.forget_dead_tokens(&left);
        if self.version.backend() == Backend::Postgres && self.owner == Owner::Given {
            postgres::sweep_templates(self)?;
        }
        Ok(())
    }

    /// Kills the server and starts it again on the same data.
    pub(super) fn crash(&self) -> Result<(), ScratchError> {
        #[cfg(unix)]
        if self.owner == Owner::Private {
            return warm::crash(self);
        }
        Err(ScratchError::NotPrivate)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        #[cfg(unix)]
        if self.owner == Owner::Private && !self.home.keeps_any() {
            warm::end(&self.home);
        }
    }
}

/// Drops a database that its test no longer needs.
///
/// On a server of ours that happens beside the tests, and what is not done when the process ends
/// is done by the next one or ends with the server: dropping takes up to 0.1 s.
pub(super) fn discard(server: &Arc<Server>, name: &str, slot: Option<Slot>) {
    match server.owner {
        Owner::Shared => later(Job::Drop(Arc::clone(server), name.to_owned(), slot)),
        Owner::Private => {}
        Owner::Given => {
            if let Err(error) = server.drop_database(name) {
                #[expect(clippy::print_stderr, reason = "a database stays on the user's server")]
                {
                    eprintln!("newcol-testkit: {}", super::error::chain(&error));
                }
            }
        }
    }
}

/// Work that no test waits for.
enum Job {
    Sweep(Arc<Server>),
    /// The slot is free when the database is gone.
    Drop(Arc<Server>, String, Option<Slot>),
}

fn later(job: Job) {
    static JOBS: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let jobs = JOBS.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for job in jobs {
                // A failure leaves an orphan, which the next process sweeps.
                drop(match job {
                    Job::Sweep(server) => server.sweep(),
                    Job::Drop(server, name, _slot) => server.drop_database(&name),
                });
            }
        });
        sender
    });
    drop(jobs.send(job));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_cut_out_of_a_url() {
        for (url, expected) in [
            ("postgres://u:p@h:1/db?sslmode=require", "postgres://u:p@h:1/X?sslmode=require"),
            ("postgres://u@%2Frun%2Fpg/db", "postgres://u@%2Frun%2Fpg/X"),
            ("mysql://root@127.0.0.1:3306", "mysql://root@127.0.0.1:3306/X"),
        ] {
            assert_eq!(Address::of_url(url).database("X"), expected);
        }
    }
}
