//! The model of a row, and what a contract makes of it.

use newcol_core::backend::Backend;
use newcol_core::contract::{Contract, OldWriters};

/// What the column of a row may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Nobody has written it: NULL, or the fill of the row as it is.
    Pending,
    /// This and nothing else.
    Exactly(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) holds: Holds,
}

/// What a contract says of single values.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The column replaces the name, and both are kept in step.
    pub(crate) replaces: bool,
    /// Rows of old writers are filled as they are inserted.
    filled: bool,
    default: Option<String>,
}

impl Rules {
    pub(crate) fn of(contract: &Contract, backend: Backend) -> Self {
        let default = contract.default(backend);
        Self {
            replaces: contract.answers().replaces.is_some(),
            filled: contract.old_writers() == OldWriters::Trigger,
            default: default.map(|expr| expr.as_str().trim_matches('\'').to_owned()),
        }
    }

    /// What the fill makes of a name.
    pub(crate) fn fill(&self, name: &str) -> String {
        if self.replaces { name.replace("User", "Person") } else { name.to_lowercase() }
    }

    /// What a value makes of the name that it replaces.
    pub(crate) fn back(&self, value: &str) -> String {
        value.replace("Person", "User")
    }

    /// What a row holds that was there before the column.
    pub(crate) fn old_rows(&self) -> Holds {
        self.default.clone().map_or(Holds::Pending, Holds::Exactly)
    }

    /// What a row holds that old code inserts after the first stage.
    pub(crate) fn inserted_by_old(&self, name: &str) -> Holds {
        match &self.default {
            Some(default) => Holds::Exactly(default.clone()),
            None if self.replaces || self.filled => Holds::Exactly(self.fill(name)),
            None => Holds::Pending,
        }
    }
}
