//! Tests of the whole tool through its command line.

mod bad_input;
mod desk;
mod fuzz;
mod verbs;
