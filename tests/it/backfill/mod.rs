//! Backfills on real servers.

mod cost;
mod death;
