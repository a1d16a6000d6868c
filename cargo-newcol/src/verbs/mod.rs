//! One verb per file: arguments, help text, `run`.

pub(crate) mod add;
pub(crate) mod apply;
mod ask;
pub(crate) mod audit;
pub(crate) mod backfill;
pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod finish;
pub(crate) mod man;
pub(crate) mod next;
pub(crate) mod plan;
pub(crate) mod rehearse;
pub(crate) mod status;
pub(crate) mod tour;
pub(crate) mod undo;
pub(crate) mod verify;
mod waiting;
pub(crate) mod watch;
mod when;
