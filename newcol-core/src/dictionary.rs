//! The data dictionary of a project: what each finished column is for, in one Markdown file.
//!
//! An entry is a heading with the column's path and all below it up to the next heading of that level.
//! Entries stand in the order of their paths; what people wrote around them stays as it is. Pure:
//! [`with_entry`] writes one, [`without_entry`] takes one away, [`lack`] says what a text is missing of it.

use crate::{
    contract::{Contract, DefaultLife, OldRows, PerBackend, Uniqueness},
    ident::ColumnPath,
};

/// How a file begins that was not there.
const OPENING: &str = "# Columns\n\nWhat each column is for, since when, and how its old rows got their \
    value. `cargo newcol finish`\nwrites the entries; what is written around them stays.\n";

/// A column that is finished.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its decisions.
    pub contract: &'a Contract,
    /// The migrations that brought it, one for each directory.
    pub since: &'a [String],
    /// Who answers questions about it.
    pub owner: Option<&'a str>,
    /// The day, as `2026-11-23`.
    pub finished: &'a str,
}

/// Returns the file with an entry, which replaces that of the same column.
pub fn with_entry(text: Option<&str>, entry: &Entry<'_>) -> String {
    let text = text.unwrap_or(OPENING);
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let path = entry.contract.path();
    let new = entry.text().replace('\n', line_end);
    let entries = entries(text);
    if let Some((_, range)) = entries.iter().find(|(known, _)| known == path) {
        let rest = &text[range.end..];
        let gap = if rest.is_empty() { "" } else { line_end };
        return [&text[..range.start], &new, gap, rest].concat();
    }
    let behind = entries.iter().find(|(known, _)| known.to_string() > path.to_string());
    match behind {
        Some((_, range)) => [&text[..range.start], &new, line_end, &text[range.start..]].concat(),
        None => {
            let kept = text.trim_end();
            let gap = if kept.is_empty() { String::new() } else { line_end.repeat(2) };
            [kept, &gap, &new].concat()
        }
    }
}

/// Returns the file without the entry of a column that was taken back; `None` where the file was only
/// there for it.
pub fn without_entry(text: &str, path: &ColumnPath) -> Option<String> {
    let entries = entries(text);
    let Some((_, range)) = entries.iter().find(|(known, _)| known == path) else {
        return Some(text.to_owned());
    };
    let (before, behind) = (&text[..range.start], &text[range.end..]);
    if behind.is_empty() {
        let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let kept = before.trim_end();
        let is_ours = kept.is_empty() || kept.replace('\r', "") == OPENING.trim_end();
        return (!is_ours).then(|| [kept, line_end].concat());
    }
    Some([before, behind].concat())
}

/// What a dictionary lacks of a finished column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// All of its entry.
    Entry,
    /// A line of it.
    Line {
        /// The line, from 1, on which its entry begins.
        at: usize,
        /// The line as it should be.
        line: String,
    },
}

/// Finds the first thing that a dictionary lacks of a column. Who answers for it and when it was
/// finished is not in the contract, and not looked at; nor is what people added.
pub fn lack(text: Option<&str>, entry: &Entry<'_>) -> Option<Lack> {
    let text = text.unwrap_or_default();
    let path = entry.contract.path();
    let Some((_, range)) = entries(text).into_iter().find(|(known, _)| known == path) else {
        return Some(Lack::Entry);
    };
    let at = text[..range.start].matches('\n').count() + 1;
    let there: Vec<&str> = text[range].lines().map(str::trim_end).collect();
    let wanted = Entry { owner: None, finished: "", ..*entry }.text();
    let mut wanted = wanted.lines().filter(|line| !line.starts_with("| finished |"));
    let missing = wanted.find(|line| !there.contains(line))?;
    Some(Lack::Line { at, line: missing.to_owned() })
}

/// Returns what a Markdown text says of columns: the path and the bytes of each entry.
fn entries(text: &str) -> Vec<(ColumnPath, std::ops::Range<usize>)> {
    let mut entries: Vec<(ColumnPath, std::ops::Range<usize>)> = Vec::new();
    let (mut offset, mut fenced, mut open) = (0, false, false);
    for line in text.split_inclusive('\n') {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        if !fenced && !is_fence && (line.starts_with("## ") || line.starts_with("# ")) {
            if open && let Some((_, range)) = entries.last_mut() {
                range.end = offset;
            }
            let name = line.strip_prefix("## ").map(|rest| rest.trim().trim_matches('`'));
            let path = name.and_then(|name| name.parse::<ColumnPath>().ok());
            open = path.is_some();
            if let Some(path) = path {
                entries.push((path, offset..text.len()));
            }
        }
        offset += line.len();
    }
    entries
}

impl Entry<'_> {
    fn text(&self) -> String {
        let answers = self.contract.answers();
        let mut text = format!(
            "## `{}`\n\n{}\n\n| | |\n|---|---|\n",
            self.contract.path(),
            answers.why.trim()
        );
        let mut row = |name: &str, value: String| {
            let value = value.replace('|', "\\|").replace(['\n', '\r'], " ");
            text.extend(["| ", name, " | ", &value, " |\n"]);
        };
        let required = if self.contract.required() { "required" } else { "may be NULL" };
        row("type", format!("{}, {required}", per_backend(&answers.ty, ToString::to_string)));
        if !answers.generated.is_empty() {
            row("generated", per_backend(&answers.generated, ToString::to_string));
        }
        if let Some(default) = &answers.default
            && default.life == DefaultLife::Kept
        {
            row("default", per_backend(&default.value, ToString::to_string));
        }
        if !answers.check.is_empty() {
            row("check", per_backend(&answers.check, ToString::to_string));
        }
        if let Some(references) = &answers.references {
            let on_delete =
                references.on_delete.map(|action| format!(", on delete {}", action.name()));
            let target = format!("`{}.{}`", references.table, references.column);
            row("references", target + &on_delete.unwrap_or_default());
        }
        if let Some(index) = &answers.index {
            row("index", index_text(index));
        }
        if let Some(replaces) = &answers.replaces {
            row("replaced", format!("`{}`", replaces.column));
        }
        row("old rows", self.old_rows());
        for version in self.since {
            row("since", format!("`{version}`"));
        }
        if let Some(owner) = self.owner {
            row("owner", owner.to_owned());
        }
        row("finished", self.finished.to_owned());
        text
    }

    fn old_rows(&self) -> String {
        let answers = self.contract.answers();
        match (&answers.old_rows, &answers.default) {
            (OldRows::Sql(fill), _) => per_backend(fill, ToString::to_string),
            (OldRows::Rust(path), _) => format!("computed by `{path}`"),
            (OldRows::Unfilled, Some(default)) => {
                format!("the default: {}", per_backend(&default.value, ToString::to_string))
            }
            (OldRows::Unfilled, None) if !answers.generated.is_empty() => "generated".to_owned(),
            (OldRows::Unfilled, None) => "NULL".to_owned(),
        }
    }
}

fn index_text(index: &crate::contract::IndexWish) -> String {
    let mut words = Vec::new();
    match index.uniqueness {
        Uniqueness::Plain => {}
        Uniqueness::Unique => words.push("unique".to_owned()),
        Uniqueness::Constraint => words.push("unique constraint".to_owned()),
    }
    words.extend(index.name.as_ref().map(|name| format!("`{name}`")));
    words.extend(index.method.as_ref().map(|method| format!("by `{method}`")));
    if !index.predicate.is_empty() {
        words.push(format!("where {}", per_backend(&index.predicate, ToString::to_string)));
    }
    if !index.include.is_empty() {
        let names: Vec<String> = index.include.iter().map(|name| format!("`{name}`")).collect();
        words.push(format!("with {}", names.join(", ")));
    }
    if words.is_empty() { "yes".to_owned() } else { words.join(" ") }
}

fn per_backend<T>(values: &PerBackend<T>, shown: impl Fn(&T) -> String) -> String {
    let one = |(backend, value): (Option<crate::backend::Backend>, &T)| match backend {
        None => format!("`{}`", shown(value)),
        Some(backend) => format!("`{}` on {}", shown(value), backend.name()),
    };
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::read::read;

    fn contract(path: &str, rest: &str) -> Contract {
        let (table, column) = path.split_once('.').unwrap();
        let text = format!(
            "format = 1\ntable = '{table}'\ncolumn = '{column}'\nwhy = 'Because of {path}'\n\
             type = 'varchar(16)'\n{rest}"
        );
        read(&text).unwrap().contract
    }

    fn entry<'a>(contract: &'a Contract, since: &'a [String]) -> Entry<'a> {
        Entry { contract, since, owner: Some("mail"), finished: "2026-11-23" }
    }

    #[test]
    fn a_file_that_was_not_there_begins_with_a_word_on_itself() {
        let contract = contract(
            "users.locale",
            "required = true\n[old_rows]\nfill = \"coalesce(a || 'x', 'en')\"\n[index]\nunique = true\n",
        );
        let since = ["2026-11-01-120000_users_locale_expand".to_owned()];
        insta::assert_snapshot!(with_entry(None, &entry(&contract, &since)), @r"
        # Columns

        What each column is for, since when, and how its old rows got their value. `cargo newcol finish`
        writes the entries; what is written around them stays.

        ## `users.locale`

        Because of users.locale

        | | |
        |---|---|
        | type | `varchar(16)`, required |
        | index | unique |
        | old rows | `coalesce(a \|\| 'x', 'en')` |
        | since | `2026-11-01-120000_users_locale_expand` |
        | owner | mail |
        | finished | 2026-11-23 |
        ");
    }

    #[test]
    fn an_entry_goes_and_leaves_the_rest_as_it_was() {
        let path = |text: &str| text.parse::<ColumnPath>().unwrap();
        let [first, second] =
            ["a.b", "users.locale"].map(|path| contract(path, "required = false\n"));
        let one = with_entry(None, &entry(&first, &[]));
        let both = with_entry(Some(&one), &entry(&second, &[]));
        assert_eq!(without_entry(&both, &path("users.locale")), Some(one.clone()));
        assert_eq!(without_entry(&one, &path("a.b")), None);
        assert_eq!(without_entry(&one, &path("c.d")), Some(one.clone()));
        let only = with_entry(None, &entry(&second, &[]));
        assert_eq!(without_entry(&both, &path("a.b")), Some(only));
        let ours = with_entry(Some("Ours.\r\n"), &entry(&first, &[]));
        assert_eq!(without_entry(&ours, &path("a.b")), Some("Ours.\r\n".to_owned()));
    }

    #[test]
    fn entries_stand_in_order_and_replace_themselves() {
        let paths = ["users.locale", "a.b", "users.age", "users.locale"];
        let mut text = Some("Ours.\n\n## How to read this\n\n```\n## x.y\n```\n".to_owned());
        for path in paths {
            let contract = contract(path, "required = false\n");
            text = Some(with_entry(text.as_deref(), &entry(&contract, &[])));
        }
        let text = text.unwrap();
        let headings: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(
            headings,
            ["## How to read this", "## x.y", "## `a.b`", "## `users.age`", "## `users.locale`"]
        );
        assert!(!text.contains("\n\n\n"), "{text}");
        assert!(text.ends_with("2026-11-23 |\n"), "{text}");
    }

    #[test]
    fn what_an_entry_lacks_is_found() {
        let contract = contract("users.locale", "required = false\n");
        let since = ["2026-11-01-120000_users_locale_expand".to_owned()];
        let entry = entry(&contract, &since);
        let text = with_entry(Some("# Columns\n"), &entry);
        assert_eq!(lack(None, &entry), Some(Lack::Entry));
        assert_eq!(lack(Some(&text), &entry), None);
        let more = text.replace("| owner | mail |", "| owner | us |\n| seen by | legal |");
        assert_eq!(lack(Some(&more), &entry), None);
        assert_eq!(lack(Some(&text.replace('\n', "\r\n")), &entry), None);
        for (line, other) in [
            ("Because of users.locale", "For fun"),
            ("| type | `varchar(16)`, may be NULL |", "| type | `text` |"),
            ("| since | `2026-11-01-120000_users_locale_expand` |", ""),
        ] {
            let expected = Lack::Line { at: 3, line: line.to_owned() };
            assert_eq!(lack(Some(&text.replace(line, other)), &entry), Some(expected));
        }
    }

    #[test]
    fn what_is_written_around_entries_stays() {
        let contract = contract("users.locale", "required = false\n");
        let before = "# Columns\n\n## `users.locale`\n\nold\n\n## Other\n\nkept\n";
        let after = with_entry(Some(before), &entry(&contract, &[]));
        assert!(after.starts_with("# Columns\n\n## `users.locale`\n\nBecause"), "{after}");
        assert!(after.ends_with("2026-11-23 |\n\n## Other\n\nkept\n"), "{after}");
        assert_eq!(with_entry(Some(&after), &entry(&contract, &[])), after);
    }
}
