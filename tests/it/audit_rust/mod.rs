//! What the audit says of Rust code is what happens: `tests/projects/audit` is compiled and run at
//! every stage, and held against it line by line.

mod again;
mod batch;
mod corpus;
mod programs;
mod sources;
