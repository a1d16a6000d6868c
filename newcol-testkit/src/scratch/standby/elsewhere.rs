//! Servers of our own, and so those that follow them, are started on Unix only.

use std::convert::Infallible;

use super::StandbyError;
use crate::scratch::{ScratchDb, admin::AdminError};

/// A standby of a throwaway PostgreSQL server, of which there is none on this system.
#[derive(Debug)]
pub struct Standby(Infallible);

impl Standby {
    /// Says that there is none.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn of(primary: &ScratchDb) -> Result<Self, StandbyError> {
        Self::check(primary.backend())?;
        Err(StandbyError::Impossible { why: "servers are started on Unix only" })
    }

    /// Returns the URL of the same database on it.
    pub fn url(&self) -> &str {
        match self.0 {}
    }

    /// Returns the URL of another database on it.
    pub fn url_of(&self, _: &str) -> String {
        match self.0 {}
    }

    /// Asks it a question.
    ///
    /// # Errors
    ///
    /// Where it does not answer, or refuses.
    pub fn rows(&self, _: &str) -> Result<Vec<Vec<Option<String>>>, AdminError> {
        match self.0 {}
    }

    /// Lets it hear nothing of its primary, or hear again.
    pub fn deafen(&self, _: bool) {
        match self.0 {}
    }

    /// Ends it at once.
    pub fn end(&mut self) {
        match self.0 {}
    }
}
