//! Why migrations could not be applied.

use camino::Utf8PathBuf;

use super::Stopped;
use crate::{db::DbError, execute::peers::Peer};

/// Why migrations could not be applied. Those before the one that is named are applied, and what
/// had been begun of it is taken back or taken up by the next run.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The database could not be asked, or a statement of ours was refused.
    #[error(transparent)]
    Database(#[from] DbError),
    /// A file could not be read.
    #[error("could not read {path}")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A migration is Rust code.
    #[error("migration {migration} is not SQL but Rust code")]
    NotSql {
        /// Its name.
        migration: String,
    },
    /// A source whose migrations may be Rust code. None of it was run.
    #[error("`{name}` is no source of Diesel's own: its migrations may be Rust code")]
    OtherSource {
        /// Its type.
        name: &'static str,
    },
    /// Two migrations have one version: Diesel would run one of them and forget the other.
    #[error("migrations {one} and {other} have the same version")]
    Twins {
        /// Name of one.
        one: String,
        /// Name of the other.
        other: String,
    },
    /// Somebody else applies migrations.
    #[error("another runner applies migrations to {database}")]
    AnotherRunner {
        /// The database, without password.
        database: String,
        /// Who it is, where the server tells.
        by: Vec<Peer>,
    },
    /// Others stood in the way until the time was over.
    #[error("migration {migration} got no lock within {waited:.0?} and {tries} tries")]
    Busy {
        /// Its name.
        migration: String,
        /// How often it was tried.
        tries: u32,
        /// How long.
        waited: std::time::Duration,
        /// Who stood in the way at last.
        by: Vec<Peer>,
    },
    /// Others stand in the way, and nobody is to wait for them.
    #[error("migration {migration} would have to wait for others")]
    Blocked {
        /// Its name.
        migration: String,
        /// Who they are.
        by: Vec<Peer>,
    },
    /// A statement of a migration failed.
    #[error("migration {migration} failed")]
    Failed {
        /// Its name.
        migration: String,
        /// What the server said.
        source: Box<DbError>,
        /// Whether something that it did may still be there and be in the way of a further try. Not so
        /// of a stage of ours on MySQL and MariaDB, which commit every statement: it begins with what
        /// may be done twice.
        in_part: bool,
    },
    /// Taking a migration back would lose a value that no count has seen, so it was not.
    #[error("migration {migration} was not taken back, because a value may be lost with it")]
    Kept {
        /// Its name.
        migration: String,
        /// What was found.
        stopped: Stopped,
    },
    /// The name of an index is taken.
    #[error("there is another index `{index}`: {found}")]
    OtherIndex {
        /// Its name.
        index: String,
        /// Its definition.
        found: String,
    },
    /// The table has partitions, which the migration does not know.
    #[error("index `{index}` cannot be built concurrently on {table}, which is partitioned")]
    Partitioned {
        /// Its name.
        index: String,
        /// The table, as it is written.
        table: String,
    },
    /// There is no way back.
    #[error("migration {migration} has no `down.sql`")]
    NoDown {
        /// Its name.
        migration: String,
    },
    /// The user may not do what a migration needs. Nothing was run.
    #[error("user `{user}` may not {what}")]
    Privilege {
        /// The user.
        user: String,
        /// All that it lacks.
        what: String,
        /// The statements that give it.
        grant: String,
    },
    /// The database takes no changes.
    #[error("{database} takes no changes: {why}")]
    ReadOnly {
        /// The database, without password.
        database: String,
        /// What keeps it from them.
        why: &'static str,
    },
}

impl ApplyError {
    /// Returns the way out where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Database(error) => error.hint(),
            Self::File { .. } => Some("mend that, then run the command again".to_owned()),
            Self::Twins { .. } => {
                Some("rename the later one, unless it is applied somewhere".to_owned())
            }
            Self::OtherSource { .. } => Some(
                "give what `embed_migrations!` made, or `FileBasedMigrations`; where all of it is SQL, say so with `SqlMigration::of_sql_source`"
                    .to_owned(),
            ),
            Self::NotSql { .. } => Some("apply it with Diesel, then run this again".to_owned()),
            Self::AnotherRunner { .. } => {
                Some("run it again when that one is done, or wait for it".to_owned())
            }
            Self::Busy { .. } => Some(
                "run it again when these are done, wait longer with `--max-wait`, or end them with `--blockers cancel`"
                    .to_owned(),
            ),
            Self::Blocked { .. } => Some(
                "wait for them with `--blockers wait`, or end them with `--blockers cancel`"
                    .to_owned(),
            ),
            Self::Failed { source, in_part, .. } => source.hint().or_else(|| {
                in_part.then(|| {
                    "what it did before that is still there: look at the table before you run it again"
                        .to_owned()
                })
            }),
            Self::Kept { .. } => {
                Some("make sure that no program writes the column, then count again".to_owned())
            }
            Self::OtherIndex { .. } => {
                Some("give the new one another name, or drop the one there is".to_owned())
            }
            Self::Partitioned { .. } => Some(
                "take the stage back with `cargo newcol undo`, and release it with `cargo newcol next --database-url <URL>`, which sees the partitions"
                    .to_owned(),
            ),
            Self::NoDown { .. } => Some("write one, or undo it by hand".to_owned()),
            Self::Privilege { grant, .. } => Some(format!("let an administrator run: {grant}")),
            Self::ReadOnly { .. } => Some(
                "give the URL of one that does; a file must be writable, and its directory too"
                    .to_owned(),
            ),
        }
    }

    /// Returns who stands in the way.
    pub fn blockers(&self) -> &[Peer] {
        match self {
            Self::AnotherRunner { by, .. } | Self::Busy { by, .. } | Self::Blocked { by, .. } => by,
            _ => &[],
        }
    }
}
