//! Backfills on real servers.

mod again;
mod death;
