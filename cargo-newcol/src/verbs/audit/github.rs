//! Reports as workflow commands of GitHub Actions, which shows them beside the code.

use std::fmt::Write as _;

use newcol_core::audit::{Class, Where};

use super::{Audited, region::Region};

/// Returns one command per finding that is not acknowledged, and per mistake in an acknowledgement.
pub(super) fn commands(audited: &Audited<'_>) -> String {
    let mut text = String::new();
    let open = audited.report.findings.iter().filter(|judged| judged.acknowledged.is_none());
    for found in open.map(|judged| &judged.finding) {
        let command = match found.class {
            Class::Compile | Class::Runtime | Class::Silent => "error",
            Class::Unknown => "warning",
        };
        let title = format!("{}[{}]: {}", found.class.name(), found.rule.id, found.rule.name);
        let due = found.due.name();
        let mut message = format!("{}\nto be dealt with before `{due}` is released", found.message);
        if let Some(help) = &found.help {
            let _ = write!(message, "\nhelp: {help}");
        }
        match &found.place {
            Where::File { path, at } => {
                let region = Region::of(audited.text(path), &at.range);
                let place = place(audited.prefix.join(path).as_str(), region);
                let _ = writeln!(
                    text,
                    "::{command} {place},title={}::{}",
                    property(&title),
                    data(&message)
                );
            }
            place @ (Where::Database(_) | Where::Package(_) | Where::Statement { .. }) => {
                let message = format!("{place}: {message}");
                let _ =
                    writeln!(text, "::{command} title={}::{}", property(&title), data(&message));
            }
        }
    }
    for remark in &audited.report.remarks {
        let region = Region::of(audited.text(&remark.path), &remark.at.range);
        let place = place(audited.prefix.join(&remark.path).as_str(), region);
        let message = format!("{}\nhelp: {}", remark.message, remark.help);
        let _ = writeln!(text, "::warning {place},title=newcol%3Aallow::{}", data(&message));
    }
    text
}

/// Columns are for places within a line: GitHub refuses them on others.
fn place(path: &str, region: Region) -> String {
    let Region { line, column, end_line, end_column } = region;
    let place = format!("file={},line={line},endLine={end_line}", property(path));
    match end_line == line {
        true => format!("{place},col={column},endColumn={end_column}"),
        false => place,
    }
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_property_or_a_command_is_escaped() {
        assert_eq!(data("50%: a,\r\nb::c"), "50%25: a,%0D%0Ab::c");
        assert_eq!(property("50%: a,\r\nb::c"), "50%25%3A a%2C%0D%0Ab%3A%3Ac");
    }

    #[test]
    fn several_lines_have_no_columns() {
        let region = Region { line: 1, column: 2, end_line: 3, end_column: 4 };
        assert_eq!(place("a,b.rs", region), "file=a%2Cb.rs,line=1,endLine=3");
        let region = Region { end_line: 1, ..region };
        assert_eq!(place("a.rs", region), "file=a.rs,line=1,endLine=1,col=2,endColumn=4");
    }
}
