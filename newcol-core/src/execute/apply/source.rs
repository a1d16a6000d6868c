//! Migrations as SQL: of a directory, or of any source of Diesel's.

use std::{
    any::{Any, type_name_of_val},
    fs,
    io::ErrorKind,
};

use camino::Utf8Path;
use diesel::{
    QueryResult,
    backend::Backend as DieselBackend,
    connection::{BoxableConnection, SimpleConnection},
    migration::{Migration, MigrationSource},
};
use diesel_migrations::{EmbeddedMigrations, FileBasedMigrations};

use super::ApplyError;
use crate::{
    backend::Backend,
    db::{DbError, MigrationFolder, all_migration_folders},
    render::migrations::owner,
};

/// A migration that consists of SQL, as all of Diesel's own do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlMigration {
    /// Its version, as Diesel stores it.
    pub version: String,
    /// Its name, with the version.
    pub name: String,
    /// `up.sql`.
    pub up: String,
    /// `down.sql`; `None` where there is none.
    pub down: Option<String>,
    /// Whether Diesel wraps it in a transaction.
    pub in_transaction: bool,
    /// Questions that are all answered with yes once `up` has landed, and with no once `down` has; where
    /// there are none, only Diesel's table tells.
    pub proofs: Vec<String>,
}

impl SqlMigration {
    /// Reads a directory of migrations, in the order in which Diesel runs them.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, and where two migrations have one version.
    pub fn in_dir(backend: Backend, dir: &Utf8Path) -> Result<Vec<Self>, ApplyError> {
        let folders = all_migration_folders(backend, dir)?;
        let read = |folder: MigrationFolder| {
            let file = |name: &str| {
                let path = dir.join(&folder.name).join(name);
                match fs::read_to_string(&path) {
                    Ok(text) => Ok(Some(text)),
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(ApplyError::File { path, source }),
                }
            };
            Ok(Self {
                up: file("up.sql")?.unwrap_or_default(),
                down: file("down.sql")?,
                version: folder.version,
                in_transaction: folder.in_transaction,
                name: folder.name,
                proofs: Vec::new(),
            })
        };
        in_order(folders.into_iter().map(read).collect::<Result<_, ApplyError>>()?)
    }

    /// Lets the way back begin with more SQL, below the line that says whose migration it is; where
    /// the engine can, both happen or neither.
    pub fn begin_down_with(&mut self, sql: &str) {
        if let Some(down) = &mut self.down {
            let at =
                if owner(down).is_some() { down.find('\n').map_or(0, |end| end + 1) } else { 0 };
            down.insert_str(at, sql);
        }
    }

    /// Reads what `embed_migrations!` made, or a directory as Diesel reads it, in the order of versions.
    ///
    /// Of these two it is known that they hold nothing but SQL. A migration does not tell what it would
    /// do unless it is run, and code is never run to look at it.
    ///
    /// # Errors
    ///
    /// For any other source, and where two migrations have one version.
    pub fn of_source<DB: DieselBackend>(
        source: &(impl MigrationSource<DB> + 'static),
    ) -> Result<Vec<Self>, ApplyError> {
        let known: &dyn Any = source;
        if !known.is::<EmbeddedMigrations>() && !known.is::<FileBasedMigrations>() {
            return Err(ApplyError::OtherSource { name: type_name_of_val(source) });
        }
        Self::of_sql_source(source)
    }

    /// Reads any source, on the caller's word that it holds nothing but SQL. Each migration is had run,
    /// there and back, on a connection that leads nowhere: Rust code among them would be executed.
    ///
    /// # Errors
    ///
    /// When a migration shows that it is Rust code, which only Diesel can run, and where two have one
    /// version.
    pub fn of_sql_source<DB: DieselBackend>(
        source: &impl MigrationSource<DB>,
    ) -> Result<Vec<Self>, ApplyError> {
        let unreadable = |source| DbError::MigrationSource { dir: "the program".into(), source };
        let migrations = source.migrations().map_err(unreadable)?;
        in_order(migrations.iter().map(|m| Self::of(&**m)).collect::<Result<_, ApplyError>>()?)
    }

    fn of<DB: DieselBackend>(migration: &dyn Migration<DB>) -> Result<Self, ApplyError> {
        let name = migration.name().to_string();
        let mut up = Heard::default();
        let ran = migration.run(&mut up);
        let Some(up) = up.sql().filter(|_| ran.is_ok()) else {
            return Err(ApplyError::NotSql { migration: name });
        };
        let mut down = Heard::default();
        let reverts = migration.revert(&mut down).is_ok();
        Ok(Self {
            version: migration.name().version().to_string(),
            name,
            up,
            down: down.sql().filter(|_| reverts),
            in_transaction: migration.metadata().run_in_transaction(),
            proofs: Vec::new(),
        })
    }
}

/// Sorts migrations by version; of two with one version, Diesel would run one and forget the other.
fn in_order(mut all: Vec<SqlMigration>) -> Result<Vec<SqlMigration>, ApplyError> {
    all.sort_by(|a, b| (&a.version, &a.name).cmp(&(&b.version, &b.name)));
    match all.windows(2).find(|two| two[0].version == two[1].version) {
        Some([one, other]) => {
            Err(ApplyError::Twins { one: one.name.clone(), other: other.name.clone() })
        }
        _ => Ok(all),
    }
}

/// A connection that leads nowhere: it writes down what a migration says.
#[derive(Debug, Default)]
struct Heard(Vec<String>);

impl Heard {
    /// Returns what a file says; only code calls more than once, and nothing tells what it does between.
    fn sql(self) -> Option<String> {
        let [sql] = <[String; 1]>::try_from(self.0).ok()?;
        (!sql.is_empty()).then_some(sql)
    }
}

impl SimpleConnection for Heard {
    fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        self.0.push(sql.to_owned());
        Ok(())
    }
}

impl<DB: DieselBackend> BoxableConnection<DB> for Heard {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
