//! A table of the shape of a production table, on a throwaway database.

mod check;
mod draw;
mod literal;
mod ordinals;
mod others;
mod pairs;
mod postgres;
pub mod table;
mod value;
