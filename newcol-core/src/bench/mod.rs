//! The benchmark: what a backfill and an index will cost this table under this load.

pub mod arrivals;
pub mod blocks;
pub mod latency;
pub mod load;
