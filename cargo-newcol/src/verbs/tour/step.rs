//! One step of the tour as data, for people and as JSON.

use newcol_core::{db::Row, render::patch::Change};
use serde::Serialize;

use crate::output::Output;

/// Lines of prose are broken here.
const WIDTH: usize = 96;

/// Steps and statements of a plan are indented by at least so much.
const STATEMENTS: usize = 5;

#[derive(Debug, Default, Serialize)]
pub(super) struct Step {
    number: usize,
    title: String,
    notes: Vec<String>,
    command: Option<Command>,
    files: Vec<File>,
    migrations: Vec<Migration>,
    statements: Vec<Statement>,
    schema: Vec<String>,
    tables: Vec<Table>,
    #[serde(skip)]
    closing: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Command {
    line: String,
    stdout: String,
    stderr: String,
    exit_code: i32,
    /// Whether people see only the outline of a plan.
    #[serde(skip)]
    brief: bool,
}

#[derive(Debug, Serialize)]
struct File {
    path: String,
    diff: String,
    #[serde(skip)]
    after: Option<String>,
}

/// A migration that was applied.
#[derive(Debug, Serialize)]
pub(super) struct Migration {
    pub(super) name: String,
    pub(super) in_transaction: bool,
    pub(super) sql: String,
}

/// A statement of the application.
#[derive(Debug, Serialize)]
struct Statement {
    sql: String,
    /// What the server said where it refused.
    refused: Option<String>,
}

/// Rows, as the application would read them.
#[derive(Debug, Serialize)]
struct Table {
    name: String,
    columns: Vec<String>,
    rows: Vec<Row>,
}

impl Step {
    pub(super) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// Changes the title of a step whose outcome names it.
    pub(super) fn titled(mut self, title: &str) -> Self {
        self.title = title.to_owned();
        self
    }

    /// Returns the stage whose migrations the command wrote.
    pub(super) fn stage(&self) -> Option<&'static str> {
        let owner = |file: &File| newcol_core::render::migrations::owner(file.after.as_ref()?);
        self.files.iter().find_map(owner).map(|(_, kind)| kind.name())
    }

    /// Adds a paragraph before everything else.
    pub(super) fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Adds a line at the end, as it is.
    pub(super) fn closing(mut self, line: impl Into<String>) -> Self {
        self.closing.push(line.into());
        self
    }

    pub(super) fn command(
        mut self,
        line: String,
        stdout: &str,
        stderr: &str,
        exit_code: i32,
    ) -> Self {
        let (stdout, stderr) = (stdout.to_owned(), stderr.to_owned());
        self.command = Some(Command { line, stdout, stderr, exit_code, brief: false });
        self
    }

    /// Leaves out, for people, what follows stage by stage: the steps and statements of a plan.
    pub(super) fn outline(mut self) -> Self {
        if let Some(command) = &mut self.command {
            command.brief = true;
        }
        self
    }

    /// The exit code of the command, 0 where none was run.
    pub(super) fn exit_code(&self) -> i32 {
        self.command.as_ref().map_or(0, |command| command.exit_code)
    }

    /// All the command said.
    pub(super) fn said(&self) -> String {
        self.command.as_ref().map_or_else(String::new, |c| format!("{}{}", c.stdout, c.stderr))
    }

    pub(super) fn files(mut self, changes: Vec<Change>) -> Self {
        let file =
            |c: &Change| File { path: c.path.to_string(), diff: c.diff(), after: c.after.clone() };
        self.files.extend(changes.iter().map(file));
        self
    }

    pub(super) fn migrations(mut self, migrations: Vec<Migration>) -> Self {
        self.migrations = migrations;
        self
    }

    pub(super) fn statement(mut self, sql: &str, refused: Option<String>) -> Self {
        self.statements.push(Statement { sql: sql.to_owned(), refused });
        self
    }

    /// Adds how the schema changed; all of it where there was none.
    pub(super) fn schema(mut self, before: &[String], after: &[String]) -> Self {
        let gone = before.iter().filter(|l| !after.contains(l)).map(|l| format!("- {l}"));
        let come = after.iter().filter(|l| !before.contains(l)).map(|l| format!("+ {l}"));
        let mut lines: Vec<String> = gone.chain(come).collect();
        // Old and new form of one object stand side by side.
        lines.sort_by(|a, b| a[2..].cmp(&b[2..]).then(b.cmp(a)));
        self.schema = lines;
        self
    }

    pub(super) fn table(mut self, name: &str, columns: &[&str], rows: Vec<Row>) -> Self {
        let columns = columns.iter().map(|c| (*c).to_owned()).collect();
        self.tables.push(Table { name: name.to_owned(), columns, rows });
        self
    }

    pub(super) fn show(mut self, out: &mut Output, number: usize) {
        self.number = number;
        out.json("newcol-tour-step", &self);
        let title = format!("{number}. {}", self.title);
        let rule = "─".repeat(WIDTH.saturating_sub(title.chars().count() + 1));
        out.say("");
        out.heading(&title, &rule);
        for note in &self.notes {
            out.say("");
            for line in wrapped(note) {
                out.say(&line);
            }
        }
        if let Some(command) = &self.command {
            command.show(out);
        }
        for file in &self.files {
            file.show(out);
        }
        for migration in &self.migrations {
            migration.show(out);
        }
        for statement in &self.statements {
            statement.show(out);
        }
        if !self.schema.is_empty() {
            let heading =
                if self.schema.iter().all(|l| l.starts_with('+')) { "now has" } else { "changed" };
            out.say("");
            out.heading("database", &format!("the schema {heading}"));
            for line in &self.schema {
                clipped(out, &line.replace("\\n", " "));
            }
        }
        for table in &self.tables {
            table.show(out);
        }
        if !self.closing.is_empty() {
            out.say("");
        }
        for line in &self.closing {
            out.say(line);
        }
    }
}

impl Command {
    fn show(&self, out: &mut Output) {
        out.say("");
        for (at, line) in broken(&self.line, WIDTH - 6).iter().enumerate() {
            match at {
                0 => out.heading("$", line),
                _ => out.say(&format!("      {line}")),
            }
        }
        for line in self.stdout.lines().chain(self.stderr.lines()) {
            if !self.brief || line.is_empty() || indent(line) < STATEMENTS {
                clipped(out, line);
            }
        }
        if self.exit_code != 0 {
            out.say(&format!("    (exit code {})", self.exit_code));
        }
    }
}

impl File {
    /// What runs is shown when it runs.
    fn show(&self, out: &mut Output) {
        let runs = self.path.starts_with("migrations/") && self.path.ends_with("/up.sql");
        out.say("");
        if runs {
            out.heading("file", &format!("{} (runs below)", self.path));
            return;
        }
        out.heading("file", &self.path);
        let head = |line: &&str| {
            !(line.starts_with("---") || line.starts_with("+++") || line.starts_with("@@"))
        };
        for line in self.diff.trim_end().lines().filter(head) {
            clipped(out, line);
        }
    }
}

impl Migration {
    fn show(&self, out: &mut Output) {
        let how = if self.in_transaction { "in one transaction" } else { "without a transaction" };
        out.say("");
        out.heading("applied", &format!("{}, {how}", self.name));
        for line in self.sql.lines().filter(|line| !line.trim().is_empty()) {
            clipped(out, line);
        }
    }
}

impl Statement {
    fn show(&self, out: &mut Output) {
        out.say("");
        out.heading("sql>", &self.sql);
        if let Some(refused) = &self.refused {
            clipped(out, &format!("refused: {refused}"));
        }
    }
}

impl Table {
    fn show(&self, out: &mut Output) {
        let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|at| {
                let cells = rows.iter().filter_map(|row| row.get(at));
                cells.chain([&self.columns[at]]).map(|c| c.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let line = |cells: &[String]| {
            let padded: Vec<String> =
                cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            format!("    {}", padded.join("  ").trim_end())
        };
        out.say("");
        out.heading("rows", &format!("of {}", self.name));
        out.say(&line(&self.columns));
        let ruler: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        out.say(&line(&ruler));
        for row in &rows {
            out.say(&line(row));
        }
    }
}

/// Writes a line of a program or file, indented and broken where a terminal would break it badly.
fn clipped(out: &mut Output, line: &str) {
    for (at, part) in broken(line, WIDTH - 4).iter().enumerate() {
        let margin = if at == 0 { "    " } else { "      " };
        out.say(format!("{margin}{part}").trim_end());
    }
}

fn indent(line: &str) -> usize {
    line.chars().take_while(|c| *c == ' ').count()
}

/// Breaks prose into lines.
fn wrapped(text: &str) -> Vec<String> {
    broken(text, WIDTH)
}

/// Breaks a line before words that would not fit; keeps its indentation.
fn broken(text: &str, width: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    // The sign of a diff belongs to the indentation of its line.
    let lead = |(at, c): &(usize, char)| *c == ' ' || *at == 0 && (*c == '+' || *c == '-');
    let first: String = text.char_indices().take_while(lead).map(|(_, c)| c).collect();
    let indent = " ".repeat(first.len());
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text[first.len()..].split(' ').filter(|word| !word.is_empty()) {
        let room = width.saturating_sub(indent.len());
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            let lead = if lines.is_empty() { &first } else { &indent };
            lines.push(format!("{lead}{line}"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(format!("{indent}{line}"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_before_words_and_keep_their_words() {
        let cases = [
            ("short", &["short"][..]),
            ("  one two three four", &["  one two", "  three", "  four"]),
            ("+  one two three", &["+  one", "   two", "   three"]),
            ("unbreakableword", &["unbreakableword"]),
            ("+", &["+"]),
        ];
        for (text, wanted) in cases {
            assert_eq!(broken(text, 9), wanted, "{text}");
        }
    }

    #[test]
    fn schemas_are_compared_line_by_line() {
        let lines = |list: &[&str]| list.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        let step = Step::new("x").schema(
            &lines(&["a", "column c", "gone"]),
            &lines(&["a", "column c not null", "come"]),
        );
        assert_eq!(step.schema, ["- column c", "+ column c not null", "+ come", "- gone"]);
    }
}
