//! `cargo newcol explain`: the words of the tool, in a paragraph each.

use clap::Args;
use newcol_core::audit::rules::{RULES, Rule};
use serde::Serialize;

use crate::{
    context::Context,
    error::{CliError, Exit},
    output::Output,
};

/// Explain a word of the tool: a stage, a gate, an exit code, a rule of the audit
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol explain\n  \
    cargo newcol explain constrain\n  \
    cargo newcol explain NC009")]
pub(crate) struct ExplainArgs {
    /// What to explain, a rule by its number or its name; a list of all topics where none is given
    topic: Option<String>,
}

struct Topic {
    name: &'static str,
    text: &'static str,
}

/// A topic in the JSON output; the list of topics has no texts.
#[derive(Debug, Serialize)]
struct TopicJson<'a> {
    topic: &'a str,
    text: Option<&'a str>,
}

const TOPICS: &[Topic] = &[
    Topic {
        name: "contract",
        text: "The contract is a committed TOML file, newcol/<table>.<column>.toml beside diesel.toml. It holds every decision about one column: why it exists, its type, whether it is required, what old rows get, who fills it for programs that do not know it, index and constraints. The stages are derived from it; edit it while no stage is released.\n\nThe last stage is called contract too: it removes the scaffolding.",
    },
    Topic {
        name: "expand",
        text: "The first stage: the column appears, and in the same transaction what serves programs that do not know it (a default or a trigger). Nothing that a running program does can fail through it. Where one constant fits every row, the column is complete after it.",
    },
    Topic {
        name: "backfill",
        text: "Between expand and constrain, a job fills the rows that were there before, in batches. It is no migration: a migration would hold locks for as long as the table is large, and could not be resumed. Migrations after it fill up to 10 000 forgotten rows themselves, so that development databases need no job; beyond that they stop with an error.",
    },
    Topic {
        name: "index",
        text: "The index is built after the fill, once, without blocking writers (CREATE INDEX CONCURRENTLY on PostgreSQL, ALGORITHM=INPLACE, LOCK=NONE on MySQL and MariaDB; SQLite has one writer, which waits). Building it earlier would make every filled row pay for it.",
    },
    Topic {
        name: "constrain",
        text: "What must hold for every row is enforced: NOT NULL, foreign key, check. On PostgreSQL each is added for new rows first and proven for old ones in a migration of its own, so that nobody waits for the proof. SQLite rebuilds the table, outside of Diesel's transaction and with foreign keys off, so that no child row is deleted. Released when the fill is complete and, where nobody serves old programs, when those are gone.",
    },
    Topic {
        name: "audit",
        text: "The audit reads the project's Rust and SQL and says which places the column touches: where it stops compiling, where a statement fails, where a value is silently wrong or lost; and before which stage's release each must be dealt with. A place is acknowledged with a reason, `// newcol:allow(NC009): reason` on its line or above it, or all of them in a committed baseline, newcol/baseline.json. `next` refuses to release a stage while a finding that fails or loses values is due and not acknowledged.",
    },
    Topic {
        name: "gates",
        text: "A gate is what must be true before a stage is released: the stage before it is applied, no row is empty, no running program is older than the column. `next` asks the database given with --database-url and refuses while a gate is shut (exit code 3). What no database can tell, you confirm with --confirm-release and a reason.",
    },
    Topic {
        name: "old-writers",
        text: "Programs built before the column existed keep inserting rows without it until the last one is replaced. `default` lets the column's default serve them, `trigger` computes the fill for each of their rows, `nobody` leaves NULL: they must be gone before the column is constrained.",
    },
];

pub(crate) fn run(_: &Context, out: &mut Output, args: &ExplainArgs) -> Result<Exit, CliError> {
    let Some(wanted) = &args.topic else {
        let names: Vec<&str> = TOPICS.iter().map(|t| t.name).chain(["exit-codes"]).collect();
        for name in names {
            out.json("newcol-topic", &TopicJson { topic: name, text: None });
            out.say(name);
        }
        for rule in RULES {
            out.json("newcol-topic", &TopicJson { topic: rule.id, text: None });
            out.say(&format!("{} {}", rule.id, rule.name));
        }
        return Ok(Exit::Done);
    };
    if wanted == "exit-codes" {
        let lines = Exit::ALL.map(|(exit, text)| format!("{:>3}  {text}", exit.code()));
        show(out, wanted, &lines.join("\n"));
        return Ok(Exit::Done);
    }
    if let Some(rule) = Rule::find(wanted) {
        show(out, rule.id, rule.text.trim_end());
        return Ok(Exit::Done);
    }
    let Some(topic) = TOPICS.iter().find(|t| t.name == *wanted) else {
        return Err(CliError::usage(format!("there is no topic `{wanted}`"))
            .at("[TOPIC]")
            .hint("`cargo newcol explain` lists them"));
    };
    show(out, topic.name, topic.text);
    Ok(Exit::Done)
}

fn show(out: &mut Output, topic: &str, text: &str) {
    out.json("newcol-topic", &TopicJson { topic, text: Some(text) });
    out.say(text);
}
