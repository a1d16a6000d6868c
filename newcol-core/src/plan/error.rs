//! Why a plan cannot be made, with the nearest contract that can.

use crate::{
    backend::Backend,
    contract::{Answer, FragmentError},
    ident::{ColumnPath, Ident, IdentError},
};

/// Why a contract cannot be carried out on an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A name is too long for the engine.
    #[error(transparent)]
    Name(#[from] IdentError),
    /// The contract has no type for the engine.
    #[error("`{column}` has no type for {backend}")]
    NoType {
        /// The column.
        column: ColumnPath,
        /// The engine.
        backend: Backend,
    },
    /// A fragment of SQL cannot stand in a statement.
    #[error("the {what} `{text}` of `{column}` cannot stand in a {backend} statement")]
    Fragment {
        /// The column.
        column: ColumnPath,
        /// Which answer.
        answer: Answer,
        /// The answer in words.
        what: &'static str,
        /// The fragment.
        text: String,
        /// The engine.
        backend: Backend,
        /// What is wrong with it.
        source: FragmentError,
    },
    /// The table has that column already.
    #[error("`{column}` exists already")]
    ColumnExists {
        /// The column.
        column: ColumnPath,
    },
    /// The replaced column does not exist.
    #[error("`{column}` replaces `{old}`, which the table does not have")]
    NoReplacedColumn {
        /// The column.
        column: ColumnPath,
        /// The old column.
        old: Ident,
    },
    /// An expression names a column that the table does not have.
    #[error("the {what} of `{column}` names `{name}`, which the table does not have")]
    NoSuchColumn {
        /// The column.
        column: ColumnPath,
        /// Which answer.
        answer: Answer,
        /// The answer in words.
        what: &'static str,
        /// The name that is missing.
        name: Ident,
    },
    /// Something only a database can tell is needed.
    #[error("planning `{column}` needs {what}")]
    NeedsDatabase {
        /// The column.
        column: ColumnPath,
        /// What must be read from it.
        what: String,
    },
    /// The engine cannot do what is asked without harm.
    #[error("{server} cannot {wish}: {reason}")]
    Unable {
        /// The server, with its version.
        server: String,
        /// What is asked, as an infinitive.
        wish: String,
        /// Why not.
        reason: String,
        /// Which answer asks for it.
        answer: Answer,
        /// The nearest contract that works.
        nearest: String,
    },
}

impl PlanError {
    /// Returns the answer of the contract that is at fault.
    pub fn answer(&self) -> Answer {
        match self {
            Self::Name(_) | Self::ColumnExists { .. } => Answer::Path,
            Self::NoType { .. } => Answer::Type,
            Self::NoReplacedColumn { .. } | Self::NeedsDatabase { .. } => Answer::Replaces,
            Self::Fragment { answer, .. }
            | Self::NoSuchColumn { answer, .. }
            | Self::Unable { answer, .. } => *answer,
        }
    }

    /// Returns the way out, as a sentence for a hint.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Name(_) => Some("choose a shorter name".to_owned()),
            Self::NoType { backend, .. } => {
                Some(format!("give one with `--type {}=<SQL>`", backend.name()))
            }
            Self::Fragment { source, .. } => source.hint(),
            Self::ColumnExists { .. } => Some("choose another name, or drop the wish".to_owned()),
            Self::NoReplacedColumn { .. } | Self::NoSuchColumn { .. } => {
                Some("check the spelling; names are taken literally, case included".to_owned())
            }
            Self::NeedsDatabase { .. } => Some(
                "pass `--database-url` of a database with the project's schema (read only)"
                    .to_owned(),
            ),
            Self::Unable { nearest, .. } => Some(nearest.clone()),
        }
    }
}
