//! How long migrations wait for others, as arguments.

use std::time::Duration;

use clap::{Args, ValueEnum};
use newcol_core::execute::apply::{BlockerPolicy, Budget, Others, Settings};

use super::when;

/// For whoever reads a table first.
#[derive(Debug, Args)]
#[command(next_help_heading = "Waiting")]
pub(super) struct Locks {
    /// Wait so long for a lock before leaving the queue
    #[arg(long, value_name = "TIME", value_parser = when::duration, default_value = "500ms")]
    lock_timeout: Duration,
    /// Try again for so long while others hold the table
    #[arg(long, value_name = "TIME", value_parser = when::duration, default_value = "15m")]
    max_wait: Duration,
}

/// For whoever migrates.
#[derive(Debug, Args)]
#[command(next_help_heading = "Waiting")]
pub(super) struct Waiting {
    #[command(flatten)]
    locks: Locks,
    /// Let an index that is built or dropped concurrently wait so long for older transactions
    #[arg(long, value_name = "TIME", value_parser = when::duration, default_value = "4h")]
    index_wait: Duration,
    /// What to do about others that hold what a migration needs
    #[arg(long, value_enum, default_value_t = BlockersArg::Wait)]
    blockers: BlockersArg,
    /// What to do about another runner
    #[arg(long, value_enum, default_value_t = OthersArg::Wait)]
    other_runner: OthersArg,
}

/// What to do about others that hold what a migration needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BlockersArg {
    /// Say who they are, and leave
    Show,
    /// Ask again and again until they are done
    Wait,
    /// End their statement or idle transaction; never those of superusers, replicas and vacuums
    Cancel,
}

/// What to do about another runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OthersArg {
    /// Wait until it is done
    Wait,
    /// Leave
    Leave,
}

impl Locks {
    pub(super) fn budget(&self) -> Budget {
        Budget { lock_timeout: self.lock_timeout, max_wait: self.max_wait, ..Budget::default() }
    }
}

impl Waiting {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            budget: Budget { index_wait: self.index_wait, ..self.locks.budget() },
            blockers: match self.blockers {
                BlockersArg::Show => BlockerPolicy::Show,
                BlockersArg::Wait => BlockerPolicy::Wait,
                BlockersArg::Cancel => BlockerPolicy::Cancel,
            },
            others: match self.other_runner {
                OthersArg::Wait => Others::Wait,
                OthersArg::Leave => Others::Leave,
            },
        }
    }
}
