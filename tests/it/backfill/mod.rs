//! Backfills on real servers.

mod again;
mod cost;
mod counts;
mod death;
mod sparse;
mod standby;
mod sweep;
