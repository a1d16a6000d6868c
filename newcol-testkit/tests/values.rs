//! Values of every SQL type, given to real servers: as literals, and through Diesel's derives.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[macro_use]
#[path = "values/column.rs"]
mod column;

#[path = "values/accepted.rs"]
mod accepted;
#[path = "values/mysql.rs"]
mod mysql;
#[path = "values/postgres.rs"]
mod postgres;
#[path = "values/ready.rs"]
mod ready;
#[path = "values/sqlite.rs"]
mod sqlite;
