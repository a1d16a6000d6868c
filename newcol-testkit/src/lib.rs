//! Throwaway databases, small Diesel projects and laws for testing a new column at every stage.
//!
//! - [`scratch`]: a database of its own for every test, from the fastest provider at hand
//! - [`project`] and [`command`]: a small Diesel project, and running a tool on it hermetically
//! - [`dump`] and [`redact`]: what a database holds and what a tool printed, as stable text
//! - [`wait`]: bounded polling for a state
//! - [`values`]: values for a column of any SQL type
//! - `roundtrip`, with the feature `proptest`: what is written comes back equal or is refused
//!
//! Nothing here needs a container or a client library; a database server is found on the machine
//! or given by `NEWCOL_TEST_POSTGRES_URL` and `NEWCOL_TEST_MYSQL_URL`.

pub mod command;
pub mod dump;
pub mod project;
pub mod redact;
#[cfg(feature = "proptest")]
pub mod roundtrip;
pub mod scratch;
mod settings;
pub mod values;
pub mod wait;

pub use command::{CommandOutput, Tool, diesel_cli};
pub use dump::{data_dump, schema_dump};
pub use project::{Layout, Project};
pub use scratch::{ScratchDb, ScratchError, Want};
