//! Throwaway databases, small Diesel projects and laws for testing a new column at every stage.
//!
//! - [`scratch`]: a database of its own for every test, from the fastest provider at hand
//! - [`project`] and [`command`]: a small Diesel project, and running a tool on it hermetically
//! - [`dump`] and [`redact`]: what a database holds and what a tool printed, as stable text
//! - [`wait`]: bounded polling for a state
//! - [`matrix`]: old and new code at every moment of a column's life ([`life`], [`program`])
//! - [`mod@capture`]: the statements that a command, such as `cargo test`, sends
//! - [`rehearse`]: the whole life, without a line of test code
//! - [`values`] and [`rows`]: values for a column of any SQL type, rows of any existing table
//! - `roundtrip`, with the feature `proptest`: what is written comes back equal or is refused
//! - `bench`, with the feature of that name: tables of the shape of a production table
//! - [`staged`]: a column of a project, ready for its stages
//! - [`recorded`]: a text compared with the one in a file
//!
//! ```no_run
//! use newcol_testkit::{ScratchDb, Want};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let db = ScratchDb::new(Want::postgres())?;
//! db.run(&["CREATE TABLE users (id bigint PRIMARY KEY)", "INSERT INTO users VALUES (1)"])?;
//! let rows = db.rows("SELECT count(*) FROM users")?;
//! assert_eq!(rows, [[Some("1".to_owned())]]);
//! // Diesel, or whatever the test is about, connects to `db.url()`.
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here needs a client library. A database server is given by a URL, found on the machine, or
//! started in a container (feature `docker`, off by default): see [`scratch`].

#[cfg(feature = "bench")]
pub mod bench;
pub mod capture;
mod child;
pub mod command;
pub mod dump;
pub mod life;
pub mod matrix;
pub mod program;
pub mod project;
pub mod recorded;
pub mod redact;
pub mod rehearse;
#[cfg(feature = "proptest")]
pub mod roundtrip;
pub mod rows;
pub mod scratch;
mod settings;
pub mod staged;
pub mod values;
pub mod wait;

pub use command::{CommandOutput, Tool, diesel_cli};
pub use dump::{data_dump, schema_dump};
pub use project::{Layout, Project};
pub use rows::Rows;
pub use scratch::{ScratchDb, ScratchError, Want};
pub use staged::{ColumnFiles, StagedColumn};
