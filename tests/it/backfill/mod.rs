//! Backfills on real servers.

mod again;
mod cost;
mod death;
mod standby;
mod sweep;
