//! What a benchmark counts, on real servers; no time is asserted but that of a server that stands still.

mod cli;
mod drive;
mod engines;
