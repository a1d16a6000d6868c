//! Database URLs: read once, shown without their secrets.
//!
//! The text is what Diesel accepts in `DATABASE_URL`. Reading it opens nothing. Whatever cannot be
//! told apart from a password with certainty is not shown, so a URL with two raw `@` is refused
//! instead of guessed at.

use std::{fmt, str::FromStr, sync::Arc};

use percent_encoding::percent_decode_str;

use crate::backend::Backend;

/// Parameters whose values are shown; every other value may be a secret.
const SHOWN: &[&str] = &[
    "application_name",
    "cache",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "gssencmode",
    "host",
    "hostaddr",
    "immutable",
    "mode",
    "options",
    "port",
    "socket",
    "ssl",
    "ssl-mode",
    "ssl_ca",
    "ssl_mode",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "unix_socket",
    "user",
    "vfs",
];

/// Why a text is not a database URL; never holds more of it than the scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Empty, or only white space.
    #[error("the database URL is empty")]
    Empty,
    /// Diesel would take it for the name of a SQLite file.
    #[error("`{scheme}://` is not a URL of PostgreSQL, MySQL or SQLite")]
    Scheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// A raw `@` where the end of the password cannot be told.
    #[error("`{scheme}://…` has a raw `@` outside the end of its password")]
    Ambiguous {
        /// What stands before `://`.
        scheme: &'static str,
    },
    /// A part that cannot be read.
    #[error("`{scheme}://…` has {problem}")]
    Malformed {
        /// What stands before `://`.
        scheme: &'static str,
        /// What is wrong, in words of our own.
        problem: &'static str,
    },
}

impl UrlError {
    /// Returns the way out where it is not plain from the message.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Empty | Self::Scheme { .. } => {
                Some("write postgres://, mysql://, file: or a file name")
            }
            Self::Ambiguous { .. } | Self::Malformed { .. } => Some(
                "percent-encode `@` (%40), `:` (%3A), `/` (%2F), `?` (%3F), `#` (%23) and `%` (%25) \
                 inside names and passwords",
            ),
        }
    }
}

/// A database URL whose `Display` and `Debug` never show a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Arc<Parts>);

#[derive(PartialEq, Eq)]
struct Parts {
    text: String,
    backend: Backend,
    place: Place,
}

#[derive(PartialEq, Eq)]
enum Place {
    Server(ServerUrl),
    File,
}

/// The parts of a server's URL, percent-decoded.
#[derive(PartialEq, Eq, Default)]
pub(super) struct ServerUrl {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) hosts: Vec<(String, Option<u16>)>,
    pub(super) database: Option<String>,
    pub(super) params: Vec<(String, String)>,
    shown: String,
}

impl DatabaseUrl {
    /// Reads a URL, or the name of a SQLite file as Diesel takes it.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.trim().is_empty() {
            return Err(UrlError::Empty);
        }
        let backend = Backend::of_url(text);
        let place = match backend {
            Backend::Postgres | Backend::Mysql => Place::Server(ServerUrl::parse(text, backend)?),
            Backend::Sqlite => {
                if let Some((scheme, _)) = text.split_once("://")
                    && !matches!(scheme, "file" | "sqlite")
                    && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-_".contains(c))
                {
                    return Err(UrlError::Scheme { scheme: scheme.to_owned() });
                }
                Place::File
            }
        };
        Ok(Self(Arc::new(Parts { text: text.to_owned(), backend, place })))
    }

    /// Returns the URL of a SQLite database that lives as long as its session.
    pub fn memory() -> Self {
        let text = ":memory:".to_owned();
        Self(Arc::new(Parts { text, backend: Backend::Sqlite, place: Place::File }))
    }

    /// The engine that Diesel chooses for this URL.
    pub fn backend(&self) -> Backend {
        self.0.backend
    }

    /// Returns the whole URL, **password included**: for a driver or a child's environment, never
    /// for output.
    pub fn expose(&self) -> &str {
        &self.0.text
    }

    /// Returns where the server listens (`db.example.com:5432`, a socket), `None` for a file or
    /// for the engine's own default.
    pub fn host(&self) -> Option<String> {
        let Place::Server(server) = &self.0.place else { return None };
        let named = |key: &str| server.param(key).map(str::to_owned);
        if let Some(socket) = named("unix_socket").or_else(|| named("socket")) {
            return Some(socket);
        }
        if server.hosts.is_empty() {
            return named("host").or_else(|| named("hostaddr"));
        }
        let shown = server.hosts.iter().map(|(host, port)| match port {
            Some(port) if host.contains(':') => format!("[{host}]:{port}"),
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        });
        Some(shown.collect::<Vec<_>>().join(","))
    }

    /// Returns the name of the database, or of the SQLite file without parameters.
    pub fn database(&self) -> Option<&str> {
        match &self.0.place {
            Place::Server(server) => server.database.as_deref().or_else(|| server.param("dbname")),
            Place::File => {
                let shown = self.0.text.strip_prefix("sqlite://").unwrap_or(&self.0.text);
                match shown.strip_prefix("file:") {
                    Some(uri) => uri.split(['?', '#']).next(),
                    None if shown.len() < self.0.text.len() => shown.split(['?', '#']).next(),
                    None => Some(shown),
                }
                .filter(|_| !hides_password(&self.0.text))
            }
        }
    }

    /// Returns what a person is asked to confirm: host and database, nothing else.
    pub fn describe(&self) -> String {
        let database = self.database().unwrap_or("(default)");
        match &self.0.place {
            Place::File => format!("{} file {database}", self.0.backend),
            Place::Server(_) => {
                let host = self.host();
                let host = host.as_deref().unwrap_or("this machine");
                format!("{} database {database} on {host}", self.0.backend)
            }
        }
    }

    /// The parts of a server's URL; `None` for SQLite.
    #[cfg_attr(
        not(any(test, feature = "postgres", feature = "mysql")),
        expect(dead_code, reason = "only drivers read every part")
    )]
    pub(super) fn server(&self) -> Option<&ServerUrl> {
        match &self.0.place {
            Place::Server(server) => Some(server),
            Place::File => None,
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.place {
            Place::Server(server) => f.write_str(&server.shown),
            Place::File if hides_password(&self.0.text) => f.write_str("***"),
            Place::File
                if self.0.text.starts_with("file:") || self.0.text.starts_with("sqlite://") =>
            {
                match self.0.text.split_once('?') {
                    Some((path, query)) => write!(f, "{path}{}", shown_query(query)),
                    None => f.write_str(&self.0.text),
                }
            }
            Place::File => f.write_str(&self.0.text),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

/// Reports whether a text that Diesel takes for a file name is a connection string of libpq.
fn hides_password(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("password") && !text.starts_with("file:") && !text.starts_with("sqlite://")
}

/// Returns `?a=b&c=***`: values of harmless parameters only. A name that we do not know may be the
/// rest of a password, so it is not shown either.
fn shown_query(query: &str) -> String {
    let query = query.split('#').next().unwrap_or_default();
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, value)) if SHOWN.contains(&key) => format!("{key}={value}"),
        _ => "***".to_owned(),
    });
    format!("?{}", shown.collect::<Vec<_>>().join("&"))
}

impl ServerUrl {
    fn parse(text: &str, backend: Backend) -> Result<Self, UrlError> {
        let scheme = match backend {
            Backend::Postgres if text.starts_with("postgresql://") => "postgresql",
            Backend::Postgres | Backend::Sqlite => "postgres",
            Backend::Mysql => "mysql",
        };
        let malformed = |problem| UrlError::Malformed { scheme, problem };
        let decode = |part: &str, problem| {
            percent_decode_str(part)
                .decode_utf8()
                .map(|text| text.into_owned())
                .map_err(|_| malformed(problem))
        };
        let rest = &text[scheme.len() + "://".len()..];
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if rest.matches('@').count() != usize::from(authority.contains('@')) {
            return Err(UrlError::Ambiguous { scheme });
        }
        let (login, hosts) = match authority.split_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let mut url = Self::default();
        let mut shown = format!("{scheme}://");
        if let Some(login) = login {
            let (user, password) = match login.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (login, None),
            };
            url.user = Some(decode(user, "a user name that is not UTF-8")?)
                .filter(|user| !user.is_empty());
            shown += user;
            if let Some(password) = password {
                url.password = Some(decode(password, "a password that is not UTF-8")?);
                shown += ":***";
            }
            shown.push('@');
        }
        for host in hosts.split(',').filter(|_| !hosts.is_empty()) {
            let (name, port) = host_and_port(host).ok_or_else(|| malformed("a bad port"))?;
            url.hosts.push((decode(name, "a host that is not UTF-8")?, port));
        }
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (tail, None),
        };
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.contains('/') {
            return Err(malformed("more than one `/` before its parameters"));
        }
        if backend == Backend::Mysql && tail.contains('#') {
            return Err(malformed("a raw `#`"));
        }
        if !path.is_empty() {
            url.database = Some(decode(path, "a database name that is not UTF-8")?);
        }
        shown += hosts;
        if tail.starts_with('/') {
            shown.push('/');
            shown += path;
        }
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| malformed("a parameter without `=`"))?;
            let key = decode(key, "a parameter that is not UTF-8")?;
            url.params.push((key, decode(value, "a parameter that is not UTF-8")?));
        }
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            shown += &shown_query(query);
        }
        url.shown = shown;
        Ok(url)
    }

    /// Returns the last value of a parameter, as libpq does.
    pub(super) fn param(&self, key: &str) -> Option<&str> {
        self.params.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`; `None` when the port is no number.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => {
            let (host, after) = v6.split_once(']')?;
            match after.strip_prefix(':') {
                Some(port) => (host, port),
                None if after.is_empty() => (host, ""),
                None => return None,
            }
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    match port {
        "" => Some((host, None)),
        port => port.parse().ok().map(|port| (host, Some(port))),
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    /// Everything a person may get to see of a URL.
    fn seen(text: &str) -> String {
        match DatabaseUrl::parse(text) {
            Ok(url) => {
                format!("{url} {url:?} {} {:?} {:?}", url.describe(), url.host(), url.database())
            }
            Err(error) => format!("{error} {error:?} {:?}", error.hint()),
        }
    }

    proptest! {
        #[test]
        fn an_encoded_password_is_read_and_not_shown(password in "[^\\p{C}]{0,8}Zq[^\\p{C}]{4,20}") {
            let encoded = utf8_percent_encode(&password, NON_ALPHANUMERIC).to_string();
            for scheme in ["postgres", "postgresql", "mysql"] {
                let text = format!("{scheme}://ann:{encoded}@db.example.com:5432/shop?x=1");
                let url = DatabaseUrl::parse(&text).unwrap();
                prop_assert_eq!(url.server().unwrap().password.as_deref(), Some(password.as_str()));
                for secret in [&password, &encoded] {
                    prop_assert!(!seen(&text).contains(secret.as_str()));
                }
            }
        }

        #[test]
        fn a_raw_password_is_never_shown(parts in proptest::collection::vec("[^\\p{C}]{0,4}Zq[0-9a-z]{4}[^\\p{C}]{0,4}", 1..4)) {
            let password = parts.concat();
            for scheme in ["postgres", "postgresql", "mysql", "mariadb", "POSTGRES"] {
                for end in ["/shop", "", "/shop?sslmode=require", "?a=b"] {
                    let text = format!("{scheme}://ann:{password}@db.example.com:5432{end}");
                    prop_assert!(!seen(&text).contains("Zq"), "{}", seen(&text));
                }
            }
        }

        #[test]
        fn a_password_in_the_parameters_is_never_shown(password in "Zq[0-9a-z%?=]{4,20}") {
            for text in [
                format!("postgres://db/shop?password={password}&sslmode=require"),
                format!("postgres:///shop?sslpassword={password}"),
                format!("file:app.db?key={password}"),
                format!("host=db user=ann password={password}"),
            ] {
                prop_assert!(!seen(&text).contains("Zq"), "{}", seen(&text));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            let _answer = DatabaseUrl::parse(&text);
            let _answer = DatabaseUrl::parse(&format!("postgres://{text}"));
            let _answer = DatabaseUrl::parse(&format!("mysql://{text}"));
        }
    }

    #[test]
    fn parts_of_urls_as_people_write_them() {
        let shown = |text: &str| {
            let url = DatabaseUrl::parse(text).unwrap();
            format!("{url} | {}", url.describe())
        };
        let cases = [
            "postgres://ann:secret@db.example.com:5432/shop?sslmode=verify-full",
            "postgresql://%2Fvar%2Frun%2Fpostgresql/shop",
            "postgres:///shop?host=/tmp/pg&user=ann&password=secret",
            "postgres://ann@a:1,b,[::1]:3/shop",
            "mysql://root:@localhost/shop?unix_socket=/run/mysqld.sock",
            "mysql://root@127.0.0.1",
            "app.db",
            "file:data/app.db?mode=ro&key=secret",
            "sqlite://data/app.db",
            ":memory:",
        ];
        insta::assert_snapshot!(cases.map(shown).join("\n"), @r#"
        postgres://ann:***@db.example.com:5432/shop?sslmode=verify-full | PostgreSQL database shop on db.example.com:5432
        postgresql://%2Fvar%2Frun%2Fpostgresql/shop | PostgreSQL database shop on /var/run/postgresql
        postgres:///shop?host=/tmp/pg&user=ann&*** | PostgreSQL database shop on /tmp/pg
        postgres://ann@a:1,b,[::1]:3/shop | PostgreSQL database shop on a:1,b,[::1]:3
        mysql://root:***@localhost/shop?unix_socket=/run/mysqld.sock | MySQL database shop on /run/mysqld.sock
        mysql://root@127.0.0.1 | MySQL database (default) on 127.0.0.1
        app.db | SQLite file app.db
        file:data/app.db?mode=ro&*** | SQLite file data/app.db
        sqlite://data/app.db | SQLite file data/app.db
        :memory: | SQLite file :memory:
        "#);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let cases = [
            " ",
            "mariadb://root:secret@localhost/shop",
            "postgres://ann:se@cret@localhost/shop",
            "postgres://ann:se/cret@localhost/shop",
            "postgres://ann:secret",
            "postgres://localhost/shop?verbose",
            "mysql://root:secret@localhost/shop/x",
            "mysql://root:secret@localhost/shop#x",
        ];
        let why = cases.map(|text| DatabaseUrl::parse(text).unwrap_err().to_string());
        insta::assert_snapshot!(why.join("\n"), @r#"
        the database URL is empty
        `mariadb://` is not a URL of PostgreSQL, MySQL or SQLite
        `postgres://…` has a raw `@` outside the end of its password
        `postgres://…` has a raw `@` outside the end of its password
        `postgres://…` has a bad port
        `postgres://…` has a parameter without `=`
        `mysql://…` has more than one `/` before its parameters
        `mysql://…` has a raw `#`
        "#);
    }
}
