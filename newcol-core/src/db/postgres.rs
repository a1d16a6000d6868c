//! PostgreSQL through `tokio-postgres`, with the URLs that libpq reads.
//!
//! Questions use the simple protocol: every value is text, no statement stays prepared (so
//! connection poolers do not matter), and errors keep their SQLSTATE.

use std::{error::Error as _, net::IpAddr, path::Path, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};
use tokio_postgres::{
    Client, Config, Connection, Error, SimpleQueryMessage, Socket,
    config::{ChannelBinding, Host, LoadBalanceHosts, SslMode, SslNegotiation, TargetSessionAttrs},
    tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Access, BoxError, DatabaseUrl, DbError, Failure, MigrationFolder, OpenOptions, Row, Settings,
    migrations,
    tls::{self, Check, Identity, Roots},
    url::ServerUrl,
};

type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Parameters of libpq that change nothing for us: we speak UTF-8 and TLS 1.2 or later, send SNI,
/// and know neither GSS encryption nor TLS compression.
const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    ("client_encoding", &["auto", "utf8", "utf-8"]),
    ("gssencmode", &["disable", "prefer"]),
    ("sslcompression", &["0"]),
    ("sslsni", &["1"]),
    ("ssl_min_protocol_version", &["tlsv1", "tlsv1.1", "tlsv1.2"]),
];

/// Parameters of libpq that we would have to honour and cannot.
const UNSUPPORTED: &[&str] = &[
    "client_encoding",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "krbsrvname",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkeylogfile",
    "sslpassword",
    "sslsni",
];

/// Where a server's socket lies when no host is named: Debian and Red Hat, then upstream.
const SOCKET_DIRS: &[&str] = &["/var/run/postgresql", "/run/postgresql", "/tmp"];

pub(super) struct PostgresDriver {
    /// Gone only while the driver is dropped.
    client: Option<Client>,
    link: Option<JoinHandle<Result<(), Error>>>,
    runtime: Runtime,
}

impl PostgresDriver {
    pub(super) fn open(url: &DatabaseUrl, options: &OpenOptions) -> Result<Self, DbError> {
        let target = Target::new(url, options)?;
        let failed = |said| DbError::Connect { url: url.clone(), source: Box::new(said) };
        let runtime = runtime().map_err(failed)?;
        let (client, connection) = runtime.block_on(target.connect()).map_err(failed)?;
        let link = runtime.spawn(connection);
        let mut driver = Self { client: Some(client), link: Some(link), runtime };
        if options.settings == Settings::None {
            return Ok(driver);
        }
        let mut settings = "SET TIME ZONE 'UTC'; SET client_encoding TO 'UTF8';".to_owned();
        if options.access == Access::Read {
            settings += super::READING;
        }
        driver.batch(&settings).map_err(failed)?;
        Ok(driver)
    }

    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Failure> {
        let done = self.runtime.block_on(self.client()?.batch_execute(sql));
        done.map_err(|error| self.failure(&error))
    }

    pub(super) fn execute(&mut self, sql: &str) -> Result<u64, Failure> {
        let answer = self.runtime.block_on(self.client()?.simple_query(sql));
        let messages = answer.map_err(|error| self.failure(&error))?;
        let changed = messages.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        });
        Ok(changed.unwrap_or_default())
    }

    pub(super) fn query(&mut self, sql: &str) -> Result<Vec<Row>, Failure> {
        let answer = self.runtime.block_on(self.client()?.simple_query(sql));
        let messages = answer.map_err(|error| self.failure(&error))?;
        let mut rows = Vec::new();
        for message in &messages {
            match message {
                SimpleQueryMessage::RowDescription(_) => rows.clear(),
                SimpleQueryMessage::Row(row) => {
                    let value = |at| row.try_get(at).map(|text| text.map(str::to_owned));
                    let values = (0..row.len()).map(value).collect::<Result<Row, _>>();
                    rows.push(values.map_err(|error| failure(&error))?);
                }
                _ => {}
            }
        }
        Ok(rows)
    }

    pub(super) fn folders(dir: &Utf8Path) -> Result<Vec<MigrationFolder>, BoxError> {
        migrations::folders::<diesel::pg::Pg>(dir)
    }

    fn client(&self) -> Result<&Client, Failure> {
        self.client.as_ref().ok_or_else(|| Failure::said("the connection is closed"))
    }

    /// Returns what was said; for a broken connection the server's last words.
    fn failure(&mut self, error: &Error) -> Failure {
        let mut said = failure(error);
        if error.as_db_error().is_none()
            && self.client.as_ref().is_none_or(Client::is_closed)
            && let Some(link) = self.link.take()
        {
            said.lost = true;
            let last = self
                .runtime
                .block_on(async { tokio::time::timeout(Duration::from_secs(1), link).await });
            if let Ok(Ok(Err(last))) = last {
                said = Failure { lost: true, ..failure(&last) };
            }
        }
        said
    }
}

impl Drop for PostgresDriver {
    /// Says goodbye, so that the server does not log a lost connection.
    fn drop(&mut self) {
        drop(self.client.take());
        if let Some(link) = self.link.take()
            && Handle::try_current().is_err()
        {
            goodbye(&self.runtime, link);
        }
    }
}

/// Lets a connection whose client is gone take leave of the server.
fn goodbye(runtime: &Runtime, link: JoinHandle<Result<(), Error>>) {
    let leave = async { tokio::time::timeout(Duration::from_millis(200), link).await };
    drop(runtime.block_on(leave));
}

fn runtime() -> Result<Runtime, Failure> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().map_err(|error| Failure::said(error.to_string()))
}

fn failure(error: &Error) -> Failure {
    if let Some(said) = error.as_db_error() {
        let position = match said.position() {
            Some(tokio_postgres::error::ErrorPosition::Original(at)) => Some(*at),
            Some(tokio_postgres::error::ErrorPosition::Internal { .. }) | None => None,
        };
        // Class 57P: the server shut this connection; 25P: it did for a session or a transaction
        // that took too long.
        let code = said.code().code();
        let lost = code.starts_with("57P") || matches!(code, "25P03" | "25P04");
        return Failure {
            message: said.message().to_owned(),
            sqlstate: Some(said.code().code().to_owned()),
            errno: None,
            detail: said.detail().map(str::to_owned),
            hint: said.hint().map(str::to_owned),
            position,
            lost,
        };
    }
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = next.source();
    }
    Failure { lost: error.is_closed(), ..Failure::said(message) }
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Everything needed to connect.
struct Target {
    config: Config,
    mode: Mode,
    tls: MakeRustlsConnect,
    limit: Option<Duration>,
}

impl Target {
    fn new(url: &DatabaseUrl, options: &OpenOptions) -> Result<Self, DbError> {
        let server = url
            .server()
            .ok_or_else(|| DbError::NotBuiltIn { backend: url.backend(), url: url.clone() })?;
        Reader { url, server, options }.read()
    }

    /// Connects as libpq does: `allow` and `prefer` have a second try in the other way.
    async fn connect(&self) -> Result<(Client, Connection<Socket, TlsStream>), Failure> {
        let (first, second) = match self.mode {
            Mode::Disable => (SslMode::Disable, None),
            Mode::Allow => (SslMode::Disable, Some(SslMode::Require)),
            Mode::Prefer => (SslMode::Prefer, Some(SslMode::Disable)),
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => (SslMode::Require, None),
        };
        let error = match self.attempt(first).await {
            Err(Attempt::Failed(error)) => error,
            Err(Attempt::TooLong) => return Err(self.too_long()),
            Ok(connected) => return Ok(connected),
        };
        // Refused by pg_hba.conf for this kind of connection, or TLS did not come about.
        let other_way = error.code().is_some_and(|code| code.code() == "28000")
            || error.to_string().contains("TLS");
        match second.filter(|_| other_way) {
            Some(second) => match self.attempt(second).await {
                Ok(connected) => Ok(connected),
                Err(_) => Err(failure(&error)),
            },
            None => Err(failure(&error)),
        }
    }

    async fn attempt(
        &self,
        mode: SslMode,
    ) -> Result<(Client, Connection<Socket, TlsStream>), Attempt> {
        let mut config = self.config.clone();
        config.ssl_mode(mode);
        let connecting = config.connect(self.tls.clone());
        match self.limit {
            Some(limit) => match tokio::time::timeout(limit, connecting).await {
                Ok(done) => done.map_err(Attempt::Failed),
                Err(_) => Err(Attempt::TooLong),
            },
            None => connecting.await.map_err(Attempt::Failed),
        }
    }

    fn too_long(&self) -> Failure {
        let seconds = self.limit.unwrap_or_default().as_secs();
        Failure::said(format!("no connection within {seconds} s"))
    }
}

enum Attempt {
    Failed(Error),
    TooLong,
}

/// Turns the URL, and the environment where it is silent, into a [`Target`].
struct Reader<'a> {
    url: &'a DatabaseUrl,
    server: &'a ServerUrl,
    options: &'a OpenOptions,
}

impl<'a> Reader<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        let given = self.server.param(key).or_else(|| self.options.pg_env.param(key));
        given.filter(|value| !value.is_empty())
    }

    fn bad(&self, name: &str, problem: impl Into<String>) -> DbError {
        DbError::Parameter { url: self.url.clone(), name: name.to_owned(), problem: problem.into() }
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, DbError> {
        let read = |text: &str| {
            text.trim().parse().map_err(|_| self.bad(key, format!("`{text}` is not a number")))
        };
        self.get(key).map(read).transpose()
    }

    fn one_of<T: Copy>(&self, key: &str, names: &[(&str, T)]) -> Result<Option<T>, DbError> {
        let Some(given) = self.get(key) else { return Ok(None) };
        match names.iter().find(|(name, _)| *name == given) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
                Err(self.bad(key, format!("`{given}` is not one of {}", names.join(", "))))
            }
        }
    }

    fn read(&self) -> Result<Target, DbError> {
        self.check_names()?;
        let mut config = Config::new();
        let hosts = self.hosts(&mut config)?;
        let env = &self.options.pg_env;
        let user = self.server.user.as_deref().or_else(|| self.get("user")).or(env.login());
        if let Some(user) = user {
            config.user(user);
        }
        let database = self.server.database.as_deref().or_else(|| self.get("dbname"));
        if let Some(database) = database {
            config.dbname(database);
        }
        let password = self.server.password.clone();
        let password = password.or_else(|| self.get("password").map(str::to_owned));
        let password = password.or_else(|| self.passfile(&config, user, database));
        if let Some(password) = password {
            config.password(password);
        }
        if let Some(options) = self.get("options") {
            config.options(options);
        }
        let name = self.get("application_name").or_else(|| self.get("fallback_application_name"));
        if let Some(name) = name.or(self.options.application_name.as_deref()) {
            config.application_name(name);
        }
        self.socket(&mut config)?;
        // libpq knows no limit below two seconds; zero and less mean none.
        let limit: Option<i64> = self.number("connect_timeout")?.filter(|seconds| *seconds > 0);
        let limit = limit.map(|seconds| Duration::from_secs(seconds.max(2).unsigned_abs()));
        let (mode, tls) = self.tls(&mut config)?;
        let only_sockets = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        // libpq ignores sslmode on Unix sockets.
        let mode = if only_sockets { Mode::Disable } else { mode };
        let limit = limit.map(|limit| limit.saturating_mul(hosts.try_into().unwrap_or(1)));
        Ok(Target { config, mode, tls, limit })
    }

    fn check_names(&self) -> Result<(), DbError> {
        const HONOURED: &[&str] = &[
            "application_name",
            "channel_binding",
            "connect_timeout",
            "dbname",
            "fallback_application_name",
            "host",
            "hostaddr",
            "keepalives",
            "keepalives_count",
            "keepalives_idle",
            "keepalives_interval",
            "load_balance_hosts",
            "options",
            "passfile",
            "password",
            "port",
            "ssl",
            "sslcert",
            "sslkey",
            "sslmode",
            "sslnegotiation",
            "sslrootcert",
            "target_session_attrs",
            "tcp_user_timeout",
            "user",
        ];
        for (name, value) in &self.server.params {
            let value = value.to_ascii_lowercase();
            let without_effect = WITHOUT_EFFECT
                .iter()
                .any(|(key, values)| key == name && values.contains(&value.as_str()));
            if without_effect || HONOURED.contains(&name.as_str()) {
                continue;
            }
            let problem = if UNSUPPORTED.contains(&name.as_str()) {
                "libpq knows it, the built-in driver cannot honour it"
            } else {
                "libpq knows no such parameter"
            };
            return Err(self.bad(name, problem));
        }
        Ok(())
    }

    /// Sets hosts and ports; returns how many hosts there are.
    fn hosts(&self, config: &mut Config) -> Result<usize, DbError> {
        let split = |text: Option<&str>| -> Vec<String> {
            text.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
        };
        let read_port = |text: &String| match text.as_str() {
            "" => Ok(None),
            port => port.parse().map(Some).map_err(|_| self.bad("port", "it is not a port")),
        };
        let ports = split(self.get("port")).iter().map(read_port).collect::<Result<Vec<_>, _>>()?;
        let named = self.server.param("host").is_some();
        let mut hosts: Vec<(String, Option<u16>)> = if named || self.server.hosts.is_empty() {
            split(self.get("host")).into_iter().map(|host| (host, None)).collect()
        } else {
            self.server.hosts.clone()
        };
        let addresses = split(self.get("hostaddr"));
        if hosts.is_empty() {
            let defaults: Vec<String> =
                if addresses.is_empty() { vec![String::new()] } else { addresses.clone() };
            hosts = defaults.into_iter().map(|host| (host, None)).collect();
        }
        for address in &addresses {
            let address: IpAddr =
                address.parse().map_err(|_| self.bad("hostaddr", "it is not an IP address"))?;
            config.hostaddr(address);
        }
        if !addresses.is_empty() && addresses.len() != hosts.len() {
            return Err(self.bad("hostaddr", "there must be one for each host"));
        }
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err(self.bad("port", "there must be one, or one for each host"));
        }
        for (at, (host, port)) in hosts.iter().enumerate() {
            let listed = ports.get(at).or_else(|| ports.first()).copied().flatten();
            let port = port.or(listed).unwrap_or(5432);
            config.port(port);
            if host.is_empty() {
                let socket = |dir: &&&str| Path::new(dir).join(format!(".s.PGSQL.{port}")).exists();
                config.host(*SOCKET_DIRS.iter().find(socket).unwrap_or(&"localhost"));
            } else {
                config.host(host);
            }
        }
        Ok(hosts.len())
    }

    fn socket(&self, config: &mut Config) -> Result<(), DbError> {
        if let Some(seconds) = self.number::<u64>("connect_timeout").ok().flatten()
            && seconds > 0
        {
            config.connect_timeout(Duration::from_secs(seconds.max(2)));
        }
        if let Some(on) = self.number::<u8>("keepalives")? {
            config.keepalives(on != 0);
        }
        if let Some(seconds) = self.number("keepalives_idle")? {
            config.keepalives_idle(Duration::from_secs(seconds));
        }
        if let Some(seconds) = self.number("keepalives_interval")? {
            config.keepalives_interval(Duration::from_secs(seconds));
        }
        if let Some(count) = self.number("keepalives_count")? {
            config.keepalives_retries(count);
        }
        if let Some(milliseconds) = self.number("tcp_user_timeout")? {
            config.tcp_user_timeout(Duration::from_millis(milliseconds));
        }
        let wanted = self.one_of(
            "target_session_attrs",
            &[
                ("any", TargetSessionAttrs::Any),
                ("read-write", TargetSessionAttrs::ReadWrite),
                ("read-only", TargetSessionAttrs::ReadOnly),
            ],
        )?;
        if let Some(wanted) = wanted {
            config.target_session_attrs(wanted);
        }
        let order = self.one_of(
            "load_balance_hosts",
            &[("disable", LoadBalanceHosts::Disable), ("random", LoadBalanceHosts::Random)],
        )?;
        if let Some(order) = order {
            config.load_balance_hosts(order);
        }
        let binding = self.one_of(
            "channel_binding",
            &[
                ("disable", ChannelBinding::Disable),
                ("prefer", ChannelBinding::Prefer),
                ("require", ChannelBinding::Require),
            ],
        )?;
        if let Some(binding) = binding {
            config.channel_binding(binding);
        }
        Ok(())
    }

    fn tls(&self, config: &mut Config) -> Result<(Mode, MakeRustlsConnect), DbError> {
        let given = self.one_of(
            "sslmode",
            &[
                ("disable", Mode::Disable),
                ("allow", Mode::Allow),
                ("prefer", Mode::Prefer),
                ("require", Mode::Require),
                ("verify-ca", Mode::VerifyCa),
                ("verify-full", Mode::VerifyFull),
            ],
        )?;
        // The spelling of JDBC, which libpq takes too.
        let jdbc = self.one_of("ssl", &[("true", Mode::Require)])?;
        let given = given.or(jdbc);
        let system = self.get("sslrootcert") == Some("system");
        let mode = match given {
            None if system => Mode::VerifyFull,
            Some(mode) if system && mode < Mode::VerifyFull => {
                return Err(self.bad("sslmode", "`sslrootcert=system` needs verify-full"));
            }
            given => given.unwrap_or(Mode::Prefer),
        };
        let check = if mode == Mode::VerifyFull { Check::ChainAndName } else { Check::Chain };
        let roots = match self.file("sslrootcert", "root.crt") {
            _ if mode == Mode::Disable => None,
            _ if system => {
                let roots = Roots::of_system(check);
                Some(roots.map_err(|source| self.unusable(Utf8Path::new("system"), source))?)
            }
            Some(path) => {
                let roots = Roots::from_file(&path, check);
                Some(roots.map_err(|source| self.unusable(&path, source))?)
            }
            None if mode >= Mode::VerifyCa => {
                let problem = "it needs `sslrootcert`: a file of root certificates, or `system`";
                return Err(self.bad("sslmode", problem));
            }
            None => None,
        };
        let identity = match (self.file("sslcert", "postgresql.crt"), mode) {
            (None, _) | (_, Mode::Disable) => None,
            (Some(cert), _) => {
                let key = self.file("sslkey", "postgresql.key");
                let key = key.ok_or_else(|| self.bad("sslcert", "it needs `sslkey`"))?;
                let chain = Identity::chain(&cert).map_err(|e| self.unusable(&cert, e))?;
                Some(Identity::new(chain, &key).map_err(|e| self.unusable(&key, e))?)
            }
        };
        let mut client = tls::client(roots, identity)
            .map_err(|source| self.unusable(Utf8Path::new("TLS"), source))?;
        let negotiation = self.one_of(
            "sslnegotiation",
            &[("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)],
        )?;
        if let Some(negotiation) = negotiation {
            if negotiation == SslNegotiation::Direct {
                if mode < Mode::Require {
                    return Err(self.bad("sslnegotiation", "`direct` needs sslmode=require"));
                }
                client.alpn_protocols = vec![b"postgresql".to_vec()];
            }
            config.ssl_negotiation(negotiation);
        }
        Ok((mode, MakeRustlsConnect::new(client)))
    }

    /// A file named by a parameter, or libpq's own place for it where that exists.
    fn file(&self, key: &str, default: &str) -> Option<Utf8PathBuf> {
        self.get(key).map(Utf8PathBuf::from).or_else(|| {
            let home = Utf8Path::new(self.options.pg_env.home()?);
            Some(home.join(".postgresql").join(default)).filter(|path| path.exists())
        })
    }

    fn unusable(
        &self,
        path: &Utf8Path,
        source: Box<dyn std::error::Error + Send + Sync>,
    ) -> DbError {
        DbError::CredentialFile { url: self.url.clone(), path: path.to_owned(), source }
    }

    /// Looks the password up as libpq does; a missing file or line is no error there either.
    fn passfile(
        &self,
        config: &Config,
        user: Option<&str>,
        database: Option<&str>,
    ) -> Option<String> {
        let default = || Some(format!("{}/.pgpass", self.options.pg_env.home()?));
        let path = self.get("passfile").map(str::to_owned).or_else(default)?;
        let text = std::fs::read_to_string(path).ok()?;
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.as_str(),
            // Any socket directory counts as the local host.
            Some(Host::Unix(_)) | None => "localhost",
        };
        let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
        let user = user?;
        pgpass(&text, [host, &port, database.unwrap_or(user), user])
    }
}

/// Returns the password of the first line of a `.pgpass` file that fits.
fn pgpass(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = vec![(String::new(), false)];
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            if c == ':' && fields.len() < 5 {
                fields.push((String::new(), false));
            } else if let Some((field, escaped)) = fields.last_mut() {
                *escaped |= c == '\\';
                field.extend(if c == '\\' { chars.next() } else { Some(c) });
            }
        }
        let password = (fields.len() == 5).then(|| fields.pop())??.0;
        let fits = |((field, escaped), wanted): (&(String, bool), &str)| {
            field == wanted || (field == "*" && !escaped)
        };
        fields.iter().zip(wanted).all(fits).then_some(password)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, env: &[(&str, &str)]) -> Result<Target, DbError> {
        let lookup = |name: &str| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let pg_env = super::super::PgEnv::from_lookup(lookup);
        let options = OpenOptions { pg_env, ..OpenOptions::read() };
        Target::new(&DatabaseUrl::parse(url).unwrap(), &options)
    }

    #[test]
    fn urls_as_libpq_reads_them() {
        let read = |url: &str| {
            let Target { config, mode, limit, .. } = target(url, &[("PGUSER", "env")]).unwrap();
            let hosts: Vec<String> = config
                .get_hosts()
                .iter()
                .zip(config.get_ports())
                .map(|(host, port)| match host {
                    Host::Tcp(host) => format!("{host}:{port}"),
                    Host::Unix(dir) => format!("{}:{port}", dir.display()),
                })
                .collect();
            format!(
                "{} {}/{} {mode:?} {limit:?} {:?} {:?}",
                config.get_user().unwrap(),
                hosts.join(","),
                config.get_dbname().unwrap_or("-"),
                config.get_options(),
                config.get_application_name(),
            )
        };
        let cases = [
            "postgres://ann:x@db/shop?sslmode=require&connect_timeout=1",
            "postgresql://%2Ftmp%2Fpg/shop?sslmode=require",
            "postgres:///shop?host=/tmp/pg&port=5433",
            "postgres://a:1,b:2/shop?application_name=web%20app&connect_timeout=5",
            "postgres://db/shop?options=-c%20lock_timeout%3D2s%20-csearch_path%3Dx",
            "postgres://db/shop?hostaddr=127.0.0.1&ssl=true&gssencmode=disable",
            "postgres:///shop?hostaddr=::1",
            "postgres://db/shop?sslmode=verify-full&sslrootcert=system",
            "postgres://db/shop?sslrootcert=system",
            "postgres://[::1]:6000/shop?user=bob&dbname=ignored",
        ];
        insta::assert_snapshot!(cases.map(read).join("\n"), @r#"
        ann db:5432/shop Require Some(2s) None None
        env /tmp/pg:5432/shop Disable None None None
        env /tmp/pg:5433/shop Disable None None None
        env a:1,b:2/shop Prefer Some(10s) None Some("web app")
        env db:5432/shop Prefer None Some("-c lock_timeout=2s -csearch_path=x") None
        env db:5432/shop Require None None None
        env ::1:5432/shop Prefer None None None
        env db:5432/shop VerifyFull None None None
        env db:5432/shop VerifyFull None None None
        bob ::1:6000/shop Prefer None None None
        "#);
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        let why = |url: &str| match target(url, &[]) {
            Ok(_) => panic!("{url}"),
            Err(DbError::CredentialFile { path, source, .. }) => format!("{path}: {source}"),
            Err(error) => error.to_string(),
        };
        let cases = [
            "postgres://db/shop?sslmode=on",
            "postgres://db/shop?sslmode=require&sslrootcert=system",
            "postgres://db/shop?sslmode=verify-full",
            "postgres://db/shop?sslmode=verify-full&sslrootcert=/missing.crt",
            "postgres://db/shop?require_auth=scram-sha-256",
            "postgres://db/shop?pool_size=4",
            "postgres://db/shop?client_encoding=latin1",
            "postgres://db/shop?hostaddr=localhost",
            "postgres://db/shop?port=1,2",
            "postgres://db/shop?connect_timeout=soon",
            "postgres://db/shop?sslcert=/c.crt",
            "postgres://db/shop?target_session_attrs=primary",
        ];
        insta::assert_snapshot!(cases.map(why).join("\n"), @r#"
        parameter `sslmode` of postgres://db/shop?sslmode=on: `on` is not one of disable, allow, prefer, require, verify-ca, verify-full
        parameter `sslmode` of postgres://db/shop?sslmode=require&sslrootcert=system: `sslrootcert=system` needs verify-full
        parameter `sslmode` of postgres://db/shop?sslmode=verify-full: it needs `sslrootcert`: a file of root certificates, or `system`
        /missing.crt: I/O error: No such file or directory (os error 2)
        parameter `require_auth` of postgres://db/shop?***: libpq knows it, the built-in driver cannot honour it
        parameter `pool_size` of postgres://db/shop?***: libpq knows no such parameter
        parameter `client_encoding` of postgres://db/shop?***: libpq knows it, the built-in driver cannot honour it
        parameter `hostaddr` of postgres://db/shop?hostaddr=localhost: it is not an IP address
        parameter `port` of postgres://db/shop?port=1,2: there must be one, or one for each host
        parameter `connect_timeout` of postgres://db/shop?connect_timeout=soon: `soon` is not a number
        parameter `sslcert` of postgres://db/shop?***: it needs `sslkey`
        parameter `target_session_attrs` of postgres://db/shop?target_session_attrs=primary: `primary` is not one of any, read-write, read-only
        "#);
    }

    #[test]
    fn a_password_file_is_read_as_libpq_does() {
        let text =
            "# comment\nother:*:*:*:no\ndb:5432:sh\\:op:ann:a:b\\\\c\n*:*:*:*:last\n\\*:1:1:1:x\n";
        let find = |wanted| pgpass(text, wanted);
        assert_eq!(find(["db", "5432", "sh:op", "ann"]).as_deref(), Some("a:b\\c"));
        assert_eq!(find(["db", "5432", "shop", "ann"]).as_deref(), Some("last"));
        assert_eq!(pgpass("\\*:1:d:u:x", ["h", "1", "d", "u"]), None);
        assert_eq!(pgpass("broken", ["h", "1", "d", "u"]), None);
    }
}
