//! SQLite through Diesel's own connection, which links the library that is compiled in.
//!
//! Access is decided by `mode=` of a `file:` URI, because Diesel itself opens every file for
//! writing and creates what is missing.

use camino::{Utf8Path, Utf8PathBuf};
use diesel::{
    Connection, RunQueryDsl, SqliteConnection,
    connection::{LoadConnection, SimpleConnection},
    deserialize::FromSql,
    row::{Field, Row as DieselRow},
    sql_types::Binary,
    sqlite::Sqlite,
};

use super::{
    Access, BoxError, DatabaseUrl, DbError, Failure, MigrationFolder, OpenOptions, Row, migrations,
};

/// How long a statement waits for another program's lock, as long as most applications do; a guard
/// with a lock budget sets its own.
const BUSY_TIMEOUT: &str = "PRAGMA busy_timeout = 5000";

/// What SQLite says to whoever only reads, where somebody died while he wrote: his journal has to be
/// taken back first, which brings what was committed, and is left to the next one who may write. Every
/// program that opens the file for writing does it unasked.
const READ_ONLY: &str = "attempt to write a readonly database";

pub(super) struct SqliteDriver {
    connection: SqliteConnection,
}

impl SqliteDriver {
    pub(super) fn open(url: &DatabaseUrl, options: &OpenOptions) -> Result<Self, DbError> {
        let place = Place::new(url.expose(), options.access);
        if let Some(path) = place.file.clone().filter(|path| !path.exists())
            && options.access != Access::Create
        {
            return Err(DbError::NoFile { path });
        }
        let refused = |message: String| DbError::Connect {
            url: url.clone(),
            source: Box::new(Failure::said(message)),
        };
        let mut opened = connect(&place.uri, options.access);
        if options.access == Access::Read
            && matches!(&opened, Err(why) if why.contains(READ_ONLY))
            // Closed at once; where it may not write either, what was said first is the reason.
            && connect(&Place::new(url.expose(), Access::Write).uri, Access::Write).is_ok()
        {
            opened = connect(&place.uri, options.access);
        }
        Ok(Self { connection: opened.map_err(refused)? })
    }

    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Failure> {
        self.connection.batch_execute(sql).map_err(failure)
    }

    pub(super) fn execute(&mut self, sql: &str) -> Result<u64, Failure> {
        let changed = diesel::sql_query(sql).execute(&mut self.connection).map_err(failure)?;
        Ok(changed.try_into().unwrap_or_default())
    }

    pub(super) fn query(&mut self, sql: &str) -> Result<Vec<Row>, Failure> {
        let cursor = self.connection.load(diesel::sql_query(sql)).map_err(failure)?;
        let mut rows = Vec::new();
        for row in cursor {
            let row = row.map_err(failure)?;
            let mut values = Vec::with_capacity(row.field_count());
            for at in 0..row.field_count() {
                let field = row.get(at).ok_or_else(|| Failure::said("a column is missing"))?;
                let value = match field.value() {
                    // SQLite makes text of numbers; reading bytes trusts no encoding.
                    Some(value) => {
                        let bytes: Vec<u8> = <Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)
                            .map_err(|e| Failure::said(e.to_string()))?;
                        Some(super::text_of(bytes))
                    }
                    None => None,
                };
                values.push(value);
            }
            rows.push(values);
        }
        Ok(rows)
    }

    pub(super) fn folders(dir: &Utf8Path) -> Result<Vec<MigrationFolder>, BoxError> {
        migrations::folders::<Sqlite>(dir)
    }
}

fn connect(uri: &str, access: Access) -> Result<SqliteConnection, String> {
    let mut connection = SqliteConnection::establish(uri).map_err(|error| error.to_string())?;
    let mut settings = vec![BUSY_TIMEOUT];
    if access == Access::Read {
        // `mode=ro` does not reach databases that are in memory.
        settings.push("PRAGMA query_only = ON");
    }
    // Reads the header, so that a file of another kind is refused here.
    settings.push("PRAGMA schema_version");
    connection.batch_execute(&settings.join(";")).map_err(|error| error.to_string())?;
    Ok(connection)
}

fn failure(error: diesel::result::Error) -> Failure {
    Failure::said(error.to_string())
}

/// What to open, and the file behind it unless it lives in memory.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    uri: String,
    file: Option<Utf8PathBuf>,
}

impl Place {
    fn new(text: &str, access: Access) -> Self {
        let uri = match text.strip_prefix("sqlite://") {
            Some(rest) => Some(rest),
            None => text.strip_prefix("file:"),
        };
        let (path, query) = match uri {
            Some(uri) => {
                let uri = uri.split('#').next().unwrap_or_default();
                uri.split_once('?').unwrap_or((uri, ""))
            }
            None if text == ":memory:" => (text, ""),
            None => return Self::of_path(text, access),
        };
        let mut params: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
        let given = params.iter().find_map(|pair| pair.strip_prefix("mode=")).map(str::to_owned);
        if path == ":memory:" || path.is_empty() || given.as_deref() == Some("memory") {
            return Self { uri: text.to_owned(), file: None };
        }
        let mode = match (access, given.as_deref()) {
            (Access::Read, _) | (_, Some("ro")) => "ro",
            (Access::Write, _) | (_, Some("rw")) => "rw",
            (Access::Create, _) => "rwc",
        };
        let mode = format!("mode={mode}");
        params.retain(|pair| !pair.starts_with("mode="));
        params.push(&mode);
        // `file://localhost/x` and `file:///x` carry an authority before the path.
        let name = match path.strip_prefix("//") {
            Some(rest) => rest.find('/').map_or("", |slash| &rest[slash..]),
            None => path,
        };
        let file = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        Self {
            uri: format!("file:{path}?{}", params.join("&")),
            file: Some(Utf8PathBuf::from(file.as_ref())),
        }
    }

    fn of_path(path: &str, access: Access) -> Self {
        let mode = match access {
            Access::Read => "ro",
            Access::Write => "rw",
            Access::Create => "rwc",
        };
        let mut name = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        // Two leading slashes would be read as an authority.
        while name.starts_with("//") {
            name.remove(0);
        }
        Self { uri: format!("file:{name}?mode={mode}"), file: Some(Utf8PathBuf::from(path)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Session;

    #[test]
    fn the_mode_follows_the_access() {
        let cases = [
            ("app.db", Access::Read),
            ("/var/lib/50%/a b?#.db", Access::Write),
            ("//app.db", Access::Create),
            ("file:app.db", Access::Read),
            ("file:app.db?mode=rwc&cache=shared", Access::Read),
            ("file:app.db?mode=ro", Access::Create),
            ("file:///var/50%25.db#x", Access::Write),
            ("sqlite://data/app.db", Access::Write),
            (":memory:", Access::Read),
            ("file::memory:?cache=shared", Access::Write),
            ("file:x?mode=memory", Access::Read),
        ];
        let places = cases.map(|(text, access)| {
            let Place { uri, file } = Place::new(text, access);
            format!("{uri} {file:?}")
        });
        insta::assert_snapshot!(places.join("\n"), @r#"
        file:app.db?mode=ro Some("app.db")
        file:/var/lib/50%25/a b%3f%23.db?mode=rw Some("/var/lib/50%/a b?#.db")
        file:/app.db?mode=rwc Some("//app.db")
        file:app.db?mode=ro Some("app.db")
        file:app.db?cache=shared&mode=ro Some("app.db")
        file:app.db?mode=ro Some("app.db")
        file:///var/50%25.db?mode=rw Some("/var/50%.db")
        file:data/app.db?mode=rw Some("data/app.db")
        :memory: None
        file::memory:?cache=shared None
        file:x?mode=memory None
        "#);
    }

    #[test]
    fn reading_creates_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("a%20 #?.db");
        let url = DatabaseUrl::parse(path.as_str()).unwrap();
        for options in [OpenOptions::read(), OpenOptions::write()] {
            let error = Session::open(&url, &options).unwrap_err();
            assert!(matches!(error, DbError::NoFile { .. }), "{error}");
        }
        assert!(!path.exists());
        let mut session = Session::open(&url, &OpenOptions::create()).unwrap();
        session
            .batch("CREATE TABLE t (a, b); INSERT INTO t VALUES (1.5, NULL), (x'ff00', 'é')")
            .unwrap();
        assert!(path.exists());
        let mut reader = Session::open(&url, &OpenOptions::read()).unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            reader.query("SELECT a, b FROM t").unwrap(),
            [vec![some("1.5"), None], vec![some("\\xff00"), some("é")]]
        );
        assert!(reader.query_bool("SELECT count(*) = 2 FROM t").unwrap());
        assert!(!reader.query_bool("SELECT 1 FROM t WHERE false").unwrap());
        assert!(reader.query_bool("SELECT b FROM t WHERE b IS NOT NULL").is_err());
        let error = reader.batch("DELETE FROM t").unwrap_err();
        assert_eq!(error.failure().unwrap().message, "attempt to write a readonly database");
        assert!(reader.migrations().unwrap().is_empty());
        assert!(matches!(reader.run_pending(&path).unwrap_err(), DbError::ReadOnly { .. }));
    }

    /// The files of somebody in the middle of writing are those of somebody who died there.
    #[test]
    fn a_journal_that_was_left_is_taken_back_by_whoever_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| Utf8Path::from_path(dir.path()).unwrap().join(name);
        let url = |name: &str| DatabaseUrl::parse(path(name).as_str()).unwrap();
        let mut writer = Session::open(&url("live.db"), &OpenOptions::create()).unwrap();
        let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) \
                    SELECT i, zeroblob(900) FROM n";
        writer.batch(&format!("CREATE TABLE t (i, b); INSERT INTO t {rows}")).unwrap();
        // More than fits into its memory is written before it is committed.
        writer.batch("PRAGMA cache_size = 2; BEGIN; UPDATE t SET b = randomblob(900)").unwrap();
        for end in ["", "-journal"] {
            std::fs::copy(path(&format!("live.db{end}")), path(&format!("dead.db{end}"))).unwrap();
        }
        let mut reader = Session::open(&url("dead.db"), &OpenOptions::read()).unwrap();
        let whole = "SELECT count(*) = 500 FROM t WHERE b = zeroblob(900)";
        assert!(reader.query_bool(whole).unwrap());
        assert!(reader.batch("DELETE FROM t").is_err());
    }

    #[test]
    fn another_kind_of_file_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "no database, but long enough to have a header of its own".repeat(20),
        )
        .unwrap();
        let url = DatabaseUrl::parse(file.path().to_str().unwrap()).unwrap();
        let error = Session::open(&url, &OpenOptions::read()).unwrap_err();
        assert_eq!(error.failure().unwrap().message, "file is not a database");
    }
}
