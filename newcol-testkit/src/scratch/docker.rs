//! Servers of our own in containers, started through `testcontainers`.
//!
//! One container serves all test processes, like a server started from a program; databases and
//! templates are inside. That crate removes a container when its handle is dropped and has no
//! reaper, so the handle is forgotten, and the container has what our other servers have: a lease,
//! a supervisor, and a sweep by the next start.

use std::sync::Arc;

use camino::Utf8Path;
use newcol_core::backend::{Backend, Product};
use testcontainers::{
    ContainerRequest, GenericImage, ImageExt, TestcontainersError,
    core::{ContainerPort, Mount, error::ClientError},
    runners::SyncRunner,
};

use super::{
    container,
    error::{ScratchError, Tried, chain},
    lease::{self, Home},
    mysql, postgres,
    running::{Body, State, end_run},
    server::{self, Address, Server, tried_at},
    want::{Sharing, Want},
    warm::{START_LIMIT, admin_database, answer, attach},
};
use crate::settings;

/// Label of every container of ours: the machine and user that may remove it.
const HOST_LABEL: &str = "dev.newcol.host";

/// Label of every container of ours: the directory of the run it belongs to, which lives as long.
const RUN_LABEL: &str = "dev.newcol.run";

/// The version of PostgreSQL when none is wished: the newest.
const POSTGRES_TAG: &str = "18";

/// The version of MariaDB when none is wished: the oldest that gets updates, as Debian has it.
const MARIADB_TAG: &str = "10.11";

/// The version of MySQL when none is wished.
const MYSQL_TAG: &str = "8";

/// Where the data is in a container of PostgreSQL: images differ in where they would put it.
const POSTGRES_DATA: &str = "/newcol";

/// Where the data is in a container of MySQL or MariaDB.
const MYSQL_DATA: &str = "/var/lib/mysql";

/// Returns a server of ours in a container that satisfies a wish; notes what does not serve.
pub(super) fn find(
    want: Want,
    tried: &mut Vec<Tried>,
) -> Result<Option<Arc<Server>>, ScratchError> {
    let image = Image::of(want, settings::image(want.backend));
    let place = format!("docker image {image}");
    if want.version.is_some() && image.major().is_some() && want.version != image.major() {
        tried.push(tried_at(&place, "is of another version by its tag"));
        return Ok(None);
    }
    let name = image.to_string();
    let key = format!("docker-{:08x}", lease::hash(name.as_bytes()) >> 32);
    let make = || {
        let warm = attach(&key, want.sharing, |home| start(&image, want, home))?;
        let url = warm.address.database(admin_database(want.backend));
        let version = server::version(want.backend, &url)
            .map_err(|source| ScratchError::Database { action: "ask", source })?;
        warm.server(version)
    };
    let server = match want.sharing {
        Sharing::Shared => server::once(&key, make),
        Sharing::Private => make().map(Arc::new),
    };
    match server {
        Ok(server) if want.accepts(&server.version) => Ok(Some(server)),
        Ok(server) => {
            tried.push(tried_at(&place, &format!("is {}", server.version)));
            Ok(None)
        }
        Err(error @ (ScratchError::Engine { .. } | ScratchError::Image { .. })) => {
            tried.push(tried_at("docker", &chain(&error)));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// An image by its name and tag.
#[derive(Debug, PartialEq, Eq)]
struct Image {
    name: String,
    tag: String,
}

impl Image {
    /// Chooses an image: the user's, with the version as its tag if it has none.
    fn of(want: Want, chosen: Option<String>) -> Self {
        let (usual, tag) = match (want.backend, want.product) {
            (Backend::Postgres, _) => ("postgres", POSTGRES_TAG),
            (Backend::Mysql | Backend::Sqlite, Some(Product::Mysql)) => ("mysql", MYSQL_TAG),
            (Backend::Mysql | Backend::Sqlite, _) => ("mariadb", MARIADB_TAG),
        };
        let name = chosen.unwrap_or_else(|| usual.to_owned());
        // A colon before a slash belongs to the port of a registry; a digest has one, too.
        match name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((name, tag)) => Self { name: name.to_owned(), tag: tag.to_owned() },
            None => {
                let tag = want.version.map_or_else(|| tag.to_owned(), |major| major.to_string());
                Self { name, tag }
            }
        }
    }

    /// Returns the version that the tag begins with, if it is no digest.
    fn major(&self) -> Option<u32> {
        let digits = self.tag.split(['.', '-']).next()?;
        if self.name.contains('@') { None } else { digits.parse().ok() }
    }
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
    }
}

/// Starts a container.
fn start(image: &Image, want: Want, home: &Home) -> Result<Address, ScratchError> {
    const TRIES: u32 = 5;
    container::docker(&["version", "--format", "{{.Server.Version}}"])?;
    sweep_lost();
    let mut last = ScratchError::Image { image: image.to_string(), why: "never tried".to_owned() };
    for _ in 0..TRIES {
        let tag = lease::random_tag();
        let run = home.dir.join(format!("r-{tag}"));
        lease::make_dir(&run)?;
        let name = format!("newcol-{tag}");
        // Before the container exists, so that it is found however soon we are killed.
        lease::write(&run.join("container"), &name)?;
        let started = launch(image, want, home, &name, &run);
        let Err(error) = started else { return started };
        end_run(&run);
        // Another process took the port in between.
        let again = chain(&error).contains("port is already allocated");
        last = error;
        if !again {
            break;
        }
    }
    Err(last)
}

fn launch(
    image: &Image,
    want: Want,
    home: &Home,
    name: &str,
    run: &Utf8Path,
) -> Result<Address, ScratchError> {
    // Everybody who reaches this machine reaches the port that the engine opens.
    let password = [lease::random_tag(), lease::random_tag()].concat();
    let port = match want.backend {
        Backend::Postgres => 5432,
        Backend::Mysql | Backend::Sqlite => 3306,
    };
    let mut request = GenericImage::new(&image.name, &image.tag)
        .with_exposed_port(ContainerPort::Tcp(port))
        .with_container_name(name)
        .with_label(HOST_LABEL, lease::host())
        .with_label(RUN_LABEL, run.as_str())
        .with_startup_timeout(START_LIMIT);
    let data = match want.backend {
        Backend::Postgres => {
            request = postgres_request(request, &password);
            POSTGRES_DATA
        }
        Backend::Mysql | Backend::Sqlite => {
            request = mysql_request(request, &password);
            MYSQL_DATA
        }
    };
    match want.sharing {
        // A killed server needs its data and its port again.
        Sharing::Private => {
            request = request.with_mapped_port(lease::free_port()?, ContainerPort::Tcp(port));
        }
        Sharing::Shared if lease::base_dir().is_ok_and(|base| lease::has_room(&base)) => {
            request = request.with_mount(Mount::tmpfs_mount(data));
        }
        Sharing::Shared => {}
    }
    let (host, port) = run_detached(request, port).map_err(|error| failure(image, name, &error))?;
    let user = match want.backend {
        Backend::Postgres => postgres::USER,
        Backend::Mysql | Backend::Sqlite => mysql::ROOT,
    };
    let scheme = want.backend.name();
    let prefix = format!("{scheme}://{user}:{password}@{host}:{port}/");
    let address = Address { prefix, suffix: String::new() };
    let ended = || match container::is_running(name) {
        Ok(false) => Some(format!("it ended; {}", container::last_words(name))),
        Ok(true) | Err(_) => None,
    };
    answer(&address.database(admin_database(want.backend)), ended)
        .map_err(|why| ScratchError::Start { program: image.to_string().into(), why })?;
    let body = Body::Container { name: name.to_owned() };
    State { address: address.clone(), run: run.to_owned(), body }.write(home)?;
    Ok(address)
}

/// Removes containers of this machine whose run is gone: their starter was killed after it had
/// asked for them and before the engine made them.
fn sweep_lost() {
    let filter = format!("label={HOST_LABEL}={}", lease::host());
    let format = format!("{{{{.Names}}}} {{{{.Label \"{RUN_LABEL}\"}}}}");
    let listed = container::docker(&["ps", "--all", "--filter", &filter, "--format", &format]);
    for line in listed.unwrap_or_default().lines() {
        if let Some((name, run)) = line.split_once(' ')
            && matches!(std::fs::exists(run), Ok(false))
        {
            container::remove(name);
        }
    }
}

fn postgres_request(
    request: ContainerRequest<GenericImage>,
    password: &str,
) -> ContainerRequest<GenericImage> {
    let settings = postgres::SETTINGS.iter().flat_map(|setting| ["-c", setting]);
    request
        .with_cmd(settings)
        .with_env_var("POSTGRES_USER", postgres::USER)
        .with_env_var("POSTGRES_DB", "postgres")
        .with_env_var("POSTGRES_PASSWORD", password)
        // Drivers built without optimisation take 65 ms for each connection by SCRAM.
        .with_env_var("POSTGRES_HOST_AUTH_METHOD", "password")
        .with_env_var("POSTGRES_INITDB_ARGS", "--encoding=UTF8 --locale=C --no-sync")
        .with_env_var("PGDATA", format!("{POSTGRES_DATA}/data"))
}

fn mysql_request(
    request: ContainerRequest<GenericImage>,
    password: &str,
) -> ContainerRequest<GenericImage> {
    request
        .with_cmd(mysql::SETTINGS.iter().copied())
        .with_env_var("MYSQL_ROOT_PASSWORD", password)
        .with_env_var("MARIADB_ROOT_PASSWORD", password)
}

/// Starts a container that outlives this process, and returns the host and port to reach it by.
///
/// On a thread of its own, as the runtime inside may not be started from within another one.
fn run_detached(
    request: ContainerRequest<GenericImage>,
    port: u16,
) -> Result<(String, u16), TestcontainersError> {
    let run = || {
        let container = request.start()?;
        let reached = container.get_host().and_then(|host| {
            Ok((host.to_string(), container.get_host_port_ipv4(ContainerPort::Tcp(port))?))
        });
        // Its destructor would remove the container.
        std::mem::forget(container);
        let (host, port) = reached?;
        // The port is one of IPv4.
        Ok((if host == "localhost" { "127.0.0.1".to_owned() } else { host }, port))
    };
    std::thread::scope(|scope| match scope.spawn(run).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn failure(image: &Image, name: &str, error: &TestcontainersError) -> ScratchError {
    let image = image.to_string();
    let why = error.to_string();
    match error {
        TestcontainersError::Client(ClientError::PullImage { .. }) => {
            ScratchError::Image { image, why }
        }
        _ => {
            let why = format!("{why}; {}", container::last_words(name));
            ScratchError::Start { program: image.into(), why }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_tag_gets_the_version() {
        for (want, chosen, expected) in [
            (Want::postgres(), None, "postgres:18"),
            (Want::postgres().version(15), None, "postgres:15"),
            (Want::postgres().version(15), Some("host:5000/pg"), "host:5000/pg:15"),
            (Want::postgres().version(15), Some("pg:14.2-alpine"), "pg:14.2-alpine"),
            (Want::mysql(), None, "mariadb:10.11"),
            (Want::mysql().product(Product::Mysql).version(9), None, "mysql:9"),
            (Want::mysql(), Some("mariadb@sha256:12ab"), "mariadb@sha256:12ab"),
        ] {
            assert_eq!(Image::of(want, chosen.map(str::to_owned)).to_string(), expected);
        }
    }

    #[test]
    fn a_tag_tells_the_version_only_where_it_is_a_number() {
        for (image, major) in [
            ("pg:14.2-alpine", Some(14)),
            ("pg:16", Some(16)),
            ("pg:latest", None),
            ("pg@sha256:12", None),
        ] {
            assert_eq!(Image::of(Want::postgres(), Some(image.to_owned())).major(), major);
        }
    }
}
