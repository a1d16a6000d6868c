//! Backfills on real servers.

mod again;
mod cost;
mod death;
mod sparse;
mod standby;
mod sweep;
