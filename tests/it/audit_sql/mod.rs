//! What the audit says of SQL, held against servers: each statement runs before the column comes
//! and after it.

mod cases;
mod copies;
mod corpus;
mod objects;
mod sessions;
mod world;
