//! A table of the shape of a production table, on a throwaway database.

pub mod table;
