//! Backfills on real servers.

mod death;
