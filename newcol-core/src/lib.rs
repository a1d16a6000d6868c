//! Plans, renders and carries out the life of one new column in a Diesel project.

pub mod ident;

pub mod keys;

pub mod row;

pub mod backend;

pub mod contract;

pub mod plan;

pub mod schema;

pub mod render;

pub mod db;

pub mod execute;

pub mod dictionary;

pub mod doctor;

pub mod scaffold;

#[cfg(feature = "audit")]
pub mod audit;

pub mod watch;

#[cfg(feature = "bench")]
pub mod bench;

#[cfg(feature = "report")]
pub mod page;

mod sql;
