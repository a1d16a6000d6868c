//! Plans for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use newcol_core::{
    plan::{Plan, StageKind, effect::effect, explain, facts::Source},
    render::{self, migrations},
};

const HEADING: Style = AnsiColor::Green.on_default().bold();
const DIM: Style = Style::new().dimmed();

pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    let known = match plan.facts.source {
        Source::Schema => "as schema.rs shows it",
        Source::Replay => "as the project's migrations build it",
        Source::Server => "as the database has it",
    };
    let _ = writeln!(
        text,
        "{HEADING}{}{HEADING:#} on {}, the table {known}",
        plan.contract.path(),
        plan.facts.server
    );
    let _ = writeln!(text, "{}", plan.contract.answers().why.trim());
    for (at, stage) in plan.stages.iter().enumerate() {
        let _ = writeln!(text, "\n{HEADING}{}. {}{HEADING:#}", at + 1, stage.kind.name());
        for gate in &stage.gates {
            let _ = writeln!(text, "   when {}", explain::gate(*gate));
        }
        if stage.kind == StageKind::Backfill {
            let _ = writeln!(
                text,
                "   A job fills the rows that are there already, in batches; it is no migration.\n   cargo newcol backfill {} --database-url <URL>",
                plan.contract.path()
            );
        }
        for migration in &stage.migrations {
            let _ = writeln!(
                text,
                "   {DIM}{} ({}){DIM:#}",
                migrations::slug(plan, stage, migration),
                explain::transaction(migration.transaction)
            );
            for step in &migration.steps {
                let _ = writeln!(text, "     {}", explain::what(step, &plan.contract));
                let _ = writeln!(text, "     {}", explain::blocks(&effect(step, &plan.facts)));
                for statement in render::up(step, plan) {
                    for line in format!("{};", statement.sql).lines() {
                        let _ = writeln!(text, "       {line}");
                    }
                }
                let _ = writeln!(text, "     Undo: {}", explain::undo(step));
                for sql in render::down(step, plan) {
                    for line in format!("{sql};").lines() {
                        let _ = writeln!(text, "       {DIM}{line}{DIM:#}");
                    }
                }
            }
        }
    }
    if !plan.reasons.is_empty() {
        let _ = writeln!(text, "\n{HEADING}Why this plan{HEADING:#}");
        for reason in &plan.reasons {
            let _ = writeln!(text, " - {reason}");
        }
    }
    if !plan.warnings.is_empty() {
        let _ = writeln!(text, "\n{HEADING}Know before you start{HEADING:#}");
        for warning in &plan.warnings {
            let _ = writeln!(text, " - {warning}");
        }
    }
    text.trim_end().to_owned()
}
