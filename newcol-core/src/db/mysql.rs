//! MySQL and MariaDB through `mysql_async`, with the URLs that Diesel reads.
//!
//! Questions use the text protocol.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use camino::Utf8Path;
use mysql_async::{
    ClientIdentity, Conn, DriverError, Error, Opts, OptsBuilder, SslOpts, Value, prelude::Queryable,
};
use tokio::runtime::{Builder, Handle, Runtime};

use super::{
    Access, BoxError, DatabaseUrl, DbError, Failure, MigrationFolder, OpenOptions, Row, migrations,
    text_of, url::ServerUrl,
};

/// Where a server's socket lies: `localhost` without a port means the socket, as for the client
/// library.
const SOCKETS: &[&str] = &[
    "/run/mysqld/mysqld.sock",
    "/var/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
    "/tmp/mysql.sock",
];

/// What Diesel sets on its own connections: UTC and UTF-8.
const SETTINGS: &str = "SET time_zone = '+00:00'; SET NAMES utf8mb4";

/// Makes a session refuse every change, and wait for no lock for long.
const READING: &str = "SET SESSION TRANSACTION READ ONLY; SET SESSION lock_wait_timeout = 10";

pub(super) struct MysqlDriver {
    /// Gone only while the driver is dropped.
    connection: Option<Conn>,
    runtime: Runtime,
}

impl MysqlDriver {
    pub(super) fn open(url: &DatabaseUrl, options: &OpenOptions) -> Result<Self, DbError> {
        let target = Target::new(url)?;
        let failed = |said| DbError::Connect { url: url.clone(), source: Box::new(said) };
        let runtime = runtime().map_err(failed)?;
        let connection = runtime.block_on(target.connect()).map_err(failed)?;
        let mut driver = Self { connection: Some(connection), runtime };
        driver.batch(SETTINGS).map_err(failed)?;
        if options.access == Access::Read {
            driver.batch(READING).map_err(failed)?;
        }
        Ok(driver)
    }

    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Failure> {
        let Some(connection) = &mut self.connection else { return Err(closed()) };
        self.runtime.block_on(connection.query_drop(sql)).map_err(|e| failure(&e))
    }

    pub(super) fn execute(&mut self, sql: &str) -> Result<u64, Failure> {
        let Some(connection) = &mut self.connection else { return Err(closed()) };
        let done = self.runtime.block_on(async {
            connection.query_drop(sql).await?;
            Ok(connection.affected_rows())
        });
        done.map_err(|e: Error| failure(&e))
    }

    pub(super) fn query(&mut self, sql: &str) -> Result<Vec<Row>, Failure> {
        let Some(connection) = &mut self.connection else { return Err(closed()) };
        let answer = self.runtime.block_on(async {
            let mut sets = connection.query_iter(sql).await?;
            let mut rows: Vec<mysql_async::Row> = Vec::new();
            while !sets.is_empty() {
                rows = sets.collect().await?;
            }
            drop(sets);
            // Only there is a warning all that is said of rows that are left out.
            let is_schema = sql.to_lowercase().contains("information_schema");
            let warnings = if is_schema && connection.get_warnings() > 0 {
                connection.query("SHOW WARNINGS").await?
            } else {
                Vec::new()
            };
            Ok((rows, warnings))
        });
        let (rows, warnings) = answer.map_err(|e: Error| failure(&e))?;
        if let Some(failure) = unseen(warnings) {
            return Err(failure);
        }
        let text = |value| match value {
            Value::NULL => None,
            Value::Bytes(bytes) => Some(text_of(bytes)),
            other => Some(other.as_sql(true)),
        };
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
    }

    pub(super) fn folders(dir: &Utf8Path) -> Result<Vec<MigrationFolder>, BoxError> {
        migrations::folders::<diesel::mysql::Mysql>(dir)
    }
}

impl Drop for MysqlDriver {
    /// Says goodbye, so that the server does not count an aborted connection.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && Handle::try_current().is_err()
        {
            let goodbye = async {
                tokio::time::timeout(Duration::from_millis(200), connection.disconnect()).await
            };
            drop(self.runtime.block_on(goodbye));
        }
    }
}

fn runtime() -> Result<Runtime, Failure> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().map_err(|error| Failure::said(error.to_string()))
}

fn closed() -> Failure {
    Failure { lost: true, ..Failure::said("the connection is closed") }
}

fn failure(error: &Error) -> Failure {
    match error {
        Error::Server(said) => Failure {
            message: said.message.clone(),
            sqlstate: Some(said.state.clone()).filter(|state| !state.is_empty()),
            errno: Some(said.code),
            // Shutdown in progress, connection killed.
            lost: matches!(said.code, 1053 | 1927 | 3169),
            ..Failure::default()
        },
        Error::Driver(DriverError::ConnectionClosed | DriverError::PoolDisconnected) => closed(),
        Error::Io(said) => io_failure(&said.to_string()),
        Error::Driver(said) => Failure::said(said.to_string()),
        Error::Other(said) => Failure::said(said.to_string()),
        Error::Url(said) => Failure::said(said.to_string()),
    }
}

/// Returns why an answer is not whole, where it is not: the information schema leaves out tables whose
/// lock it did not get, and only warns.
fn unseen(warnings: Vec<(String, u16, String)>) -> Option<Failure> {
    const LOCK_WAIT_TIMEOUT: u16 = 1205;
    let (_, code, message) =
        warnings.into_iter().find(|(_, code, _)| *code == LOCK_WAIT_TIMEOUT)?;
    Some(Failure {
        message,
        sqlstate: Some("HY000".into()),
        errno: Some(code),
        ..Failure::default()
    })
}

fn io_failure(said: &str) -> Failure {
    // The driver wraps its own word for a closed connection; rustls adds the address of a manual.
    if said.contains("is closed") || said.contains("close_notify") {
        return closed();
    }
    // The driver cannot separate the two checks, and so is stricter than `verify_ca`.
    let hint = "name the host as its certificate does: the built-in driver checks the name for \
                verify_ca too";
    let hint = said.contains("not valid for name").then(|| hint.to_owned());
    Failure { lost: true, hint, ..Failure::said(said) }
}

/// The client library's `ssl_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Disabled,
    Preferred,
    Required,
    VerifyCa,
    VerifyIdentity,
}

/// Everything needed to connect.
struct Target {
    options: OptsBuilder,
    mode: Mode,
    tls: Option<SslOpts>,
}

impl Target {
    fn new(url: &DatabaseUrl) -> Result<Self, DbError> {
        let server = url
            .server()
            .ok_or_else(|| DbError::NotBuiltIn { backend: url.backend(), url: url.clone() })?;
        let bad = |name: &str, problem: String| DbError::Parameter {
            url: url.clone(),
            name: name.to_owned(),
            problem,
        };
        check_names(server).map_err(|(name, problem)| bad(&name, problem))?;
        let given = either(server, &["ssl_mode", "ssl-mode"]);
        let ca = either(server, &["ssl_ca", "ssl-ca"]);
        let mode = match given.map(str::to_ascii_lowercase).as_deref() {
            Some("disabled") => Mode::Disabled,
            Some("preferred") => Mode::Preferred,
            Some("required") => Mode::Required,
            Some("verify_ca" | "verify-ca") => Mode::VerifyCa,
            Some("verify_identity" | "verify-identity") => Mode::VerifyIdentity,
            Some(_) => {
                let modes = "disabled, preferred, required, verify_ca, verify_identity";
                return Err(bad("ssl_mode", format!("it is not one of {modes}")));
            }
            // As for the client library, a root certificate is meant to be used.
            None if ca.is_some() => Mode::VerifyCa,
            None => Mode::Preferred,
        };
        let socket = either(server, &["unix_socket", "socket"]).map(str::to_owned);
        let (host, port) = match server.hosts.as_slice() {
            [] => ("localhost", None),
            [(host, port)] => (host.as_str(), *port),
            _ => return Err(bad("host", "only one host can be given".to_owned())),
        };
        let host = if host.is_empty() { "localhost" } else { host };
        let local = host == "localhost" && port.is_none() && mode <= Mode::Preferred;
        let found = || SOCKETS.iter().find(|path| Path::new(path).exists());
        let socket = socket.or_else(|| local.then(found).flatten().map(|s| (*s).to_owned()));
        let tls = match mode {
            Mode::Disabled => None,
            // A socket never leaves the machine, and the driver speaks no TLS on it.
            _ if socket.is_some() => None,
            mode => Some(tls(server, mode, ca).map_err(|source| DbError::CredentialFile {
                url: url.clone(),
                path: ca.unwrap_or("system").into(),
                source,
            })?),
        };
        let options = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port.unwrap_or(3306))
            .user(server.user.clone())
            .pass(server.password.clone())
            .db_name(server.database.clone())
            .socket(socket)
            .prefer_socket(false)
            .client_found_rows(true)
            .stmt_cache_size(0);
        Ok(Self { options, mode, tls })
    }

    async fn connect(&self) -> Result<Conn, Failure> {
        let options = self.options.clone().ssl_opts(self.tls.clone());
        match Conn::new(Opts::from(options)).await {
            Ok(connection) => Ok(connection),
            Err(Error::Driver(DriverError::NoClientSslFlagFromServer))
                if self.mode == Mode::Preferred =>
            {
                let options = self.options.clone().ssl_opts(None);
                Conn::new(Opts::from(options)).await.map_err(|e| failure(&e))
            }
            Err(error) => Err(failure(&error)),
        }
    }
}

fn either<'a>(server: &'a ServerUrl, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| server.param(name)).filter(|value| !value.is_empty())
}

/// Diesel ignores what it does not know; we do too, unless it is about safety.
fn check_names(server: &ServerUrl) -> Result<(), (String, String)> {
    const HONOURED: &[&str] =
        &["ssl_mode", "ssl-mode", "ssl_ca", "ssl-ca", "ssl_cert", "ssl-cert", "ssl_key", "ssl-key"];
    for (name, _) in &server.params {
        let about_safety = ["ssl", "tls", "require", "verify"].iter().any(|p| name.starts_with(p));
        if name == "database" {
            return Err((name.clone(), "the database is the path of the URL".to_owned()));
        }
        if about_safety && !HONOURED.contains(&name.as_str()) {
            let problem = "Diesel knows no such parameter; it knows `ssl_mode`, `ssl_ca`, \
                           `ssl_cert` and `ssl_key`";
            return Err((name.clone(), problem.to_owned()));
        }
    }
    Ok(())
}

fn tls(server: &ServerUrl, mode: Mode, ca: Option<&str>) -> Result<SslOpts, BoxError> {
    // The driver takes the process-wide provider and panics when an application built in two.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // A second thread may win; either way there is one now.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let mut options = SslOpts::default();
    if mode < Mode::VerifyCa {
        options = options.with_danger_accept_invalid_certs(true);
    } else {
        let roots: Vec<Vec<u8>> = match ca {
            Some(path) => vec![std::fs::read(path)?],
            None => rustls_native_certs::load_native_certs()
                .certs
                .into_iter()
                .map(|certificate| certificate.to_vec())
                .collect(),
        };
        let roots = roots.into_iter().map(Into::into).collect();
        options = options
            .with_disable_built_in_roots(true)
            .with_root_certs(roots)
            .with_danger_skip_domain_validation(mode == Mode::VerifyCa);
    }
    let cert = either(server, &["ssl_cert", "ssl-cert"]);
    let key = either(server, &["ssl_key", "ssl-key"]);
    if let (Some(cert), Some(key)) = (cert, key) {
        let file = |path: &str| PathBuf::from(path);
        let identity = ClientIdentity::new(file(cert).into(), file(key).into());
        options = options.with_client_identity(Some(identity));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_diesel_reads_them() {
        let read = |text: &str| {
            let target = match Target::new(&DatabaseUrl::parse(text).unwrap()) {
                Ok(target) => target,
                Err(error) => return error.to_string(),
            };
            let (mode, tls) = (target.mode, target.tls.is_some());
            let options = Opts::from(target.options);
            format!(
                "{:?}@{}:{} socket={:?} {mode:?} tls={tls} db={:?}",
                options.user(),
                options.ip_or_hostname(),
                options.tcp_port(),
                options.socket(),
                options.db_name(),
            )
        };
        let cases = [
            "mysql://root:x@db.example.com/shop",
            "mysql://root@127.0.0.1:3307/shop?ssl_mode=required&charset=utf8mb4",
            "mysql://root@localhost/shop?unix_socket=/tmp/my.sock&ssl_mode=required",
            "mysql://root@db/shop?socket=%2Ftmp%2Fmy.sock",
            "mysql://root@db/shop?ssl-mode=DISABLED",
            "mysql://root@db/shop?ssl_ca=/missing.pem",
            "mysql://root@db/shop?ssl_mode=on",
            "mysql://root@db/shop?require_ssl=true",
            "mysql://root@db/shop?database=x",
        ];
        insta::assert_snapshot!(cases.map(read).join("\n"), @r#"
        Some("root")@db.example.com:3306 socket=None Preferred tls=true db=Some("shop")
        Some("root")@127.0.0.1:3307 socket=None Required tls=true db=Some("shop")
        Some("root")@localhost:3306 socket=Some("/tmp/my.sock") Required tls=false db=Some("shop")
        Some("root")@db:3306 socket=Some("/tmp/my.sock") Preferred tls=false db=Some("shop")
        Some("root")@db:3306 socket=None Disabled tls=false db=Some("shop")
        could not use /missing.pem to connect to mysql://root@db/shop?ssl_ca=/missing.pem
        parameter `ssl_mode` of mysql://root@db/shop?ssl_mode=on: it is not one of disabled, preferred, required, verify_ca, verify_identity
        parameter `require_ssl` of mysql://root@db/shop?***: Diesel knows no such parameter; it knows `ssl_mode`, `ssl_ca`, `ssl_cert` and `ssl_key`
        parameter `database` of mysql://root@db/shop?***: the database is the path of the URL
        "#);
    }
}
