//! What libpq takes from the environment, as a value: the caller reads it, we only use it.

use std::fmt;

/// libpq's parameters and the environment variables that set them.
const VARIABLES: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("options", "PGOPTIONS"),
    ("application_name", "PGAPPNAME"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("channel_binding", "PGCHANNELBINDING"),
];

/// Parameters of libpq for where the URL is silent; nothing by default.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PgEnv {
    params: Vec<(&'static str, String)>,
    home: Option<String>,
    login: Option<String>,
}

impl PgEnv {
    /// Asks for every variable that libpq reads and we honour, and for `HOME` and the login name.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        Self {
            params: VARIABLES.iter().filter_map(|(key, name)| Some((*key, set(name)?))).collect(),
            home: set("HOME"),
            login: set("USER").or_else(|| set("LOGNAME")),
        }
    }

    /// Value of a parameter, by libpq's name for it.
    pub fn param(&self, key: &str) -> Option<&str> {
        self.params.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str())
    }

    /// The user's directory: `.pgpass` and `.postgresql/root.crt` are looked for there.
    pub fn home(&self) -> Option<&str> {
        self.home.as_deref()
    }

    /// The login name, libpq's last choice of user.
    pub fn login(&self) -> Option<&str> {
        self.login.as_deref()
    }
}

impl fmt::Debug for PgEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.params.iter().map(|(key, value)| match *key {
            "password" => (*key, "***"),
            key => (key, value.as_str()),
        });
        f.debug_map().entries(shown).finish()
    }
}
