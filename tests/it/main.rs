//! Tests of the whole tool, most of them through its command line.

mod bad_input;
mod desk;
mod fuzz;
mod licences;
mod reference;
mod verbs;
