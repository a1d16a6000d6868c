//! A `schema.rs` that is not what `diesel print-schema` prints.

use super::line;
use crate::doctor::{Check, Printing, Report, Severity, Sources};

pub(in crate::doctor) static DRIFT: Check =
    Check { id: "schema-drift", severity: Severity::Warning, run: drift };

pub(in crate::doctor) static FAILED: Check = Check {
    id: "print-schema-fails",
    severity: Severity::Error,
    run: |sources, report| {
        for printed in &sources.printed {
            if let Printing::Failed(why) = &printed.printing {
                let why = format!("`diesel print-schema` fails: {why}");
                report.add(&printed.schema, None, why, "run it by hand to see all it says");
            }
        }
    },
};

pub(in crate::doctor) static UNCHECKED: Check = Check {
    id: "drift-not-checked",
    severity: Severity::Note,
    run: |sources, report| {
        for printed in &sources.printed {
            if let Printing::NotRun(why) = &printed.printing {
                let message = format!("not compared with `diesel print-schema`: {why}");
                report.add(&printed.schema, None, message, "");
            }
        }
    },
};

fn drift(sources: &Sources, report: &mut Report<'_>) {
    for printed in &sources.printed {
        let Printing::Text(text) = &printed.printing else { continue };
        let Some(schema) = sources.schemas.iter().find(|s| s.path == printed.schema) else {
            continue;
        };
        if schema.text == *text {
            continue;
        }
        let mut there = schema.text.lines();
        let mut fresh = text.lines();
        let mut number = 1;
        let (mine, theirs) = loop {
            match (there.next(), fresh.next()) {
                (Some(a), Some(b)) if a == b => number += 1,
                (a, b) => break (a, b),
            }
        };
        let show =
            |line: Option<&str>| line.map_or("nothing".to_owned(), |l| format!("`{}`", l.trim()));
        let message = if mine.is_none() && theirs.is_none() {
            "differs from what `diesel print-schema` prints in its line ends".to_owned()
        } else {
            format!(
                "differs from what `diesel print-schema` prints: line {number} is {}, it prints {}",
                show(mine),
                show(theirs)
            )
        };
        let last = schema.text.lines().count().max(1);
        report.add(
            &schema.path,
            Some(line(&schema.text, number.min(last))),
            message,
            "run `diesel print-schema` and commit what changes, or keep it with `patch_file`",
        );
    }
}
