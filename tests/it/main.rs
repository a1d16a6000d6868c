//! Tests of the whole tool, most of them through its command line.

mod bad_input;
mod desk;
mod doctor;
mod fuzz;
mod licences;
mod reference;
mod tour;
mod verbs;
