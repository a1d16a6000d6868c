//! The benchmark: what a backfill and an index will cost this table under this load.
//!
//! [`profile`] is the shape of a production table, [`workload`] what is asked of it; both are files
//! that hold no row of the data. What makes a table of a profile and loads it is in the testkit.
//!
//! [`arrivals`] says when requests come, [`latency`] and [`load`] what became of
//! them, [`replica`] how far a standby was behind, [`blocks`] what
//! the index changed, [`predict`] what a fill will write. [`run`] is all of it in one file, [`words`] in
//! five sentences, [`report`] as a page; [`compare`] sets two of them side by side.

pub mod arrivals;
pub mod blocks;
pub mod compare;
pub mod extrapolate;
pub mod latency;
pub mod load;
pub mod predict;
pub mod profile;
pub mod replica;
pub mod report;
pub mod run;
pub mod words;
pub mod workload;
