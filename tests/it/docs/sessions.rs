//! Sessions in documents are recorded: each `console` block of a page that begins with
//! `<!-- docs-test letters -->` is run, in order, in a small project with a PostgreSQL database.
//!
//! `<!-- docs-test sql … -->` and `<!-- docs-test sh … -->` are run in between and shown to nobody.

use newcol_core::db::DatabaseUrl;
use newcol_testkit::{
    Project, ScratchDb, Want,
    command::{Tool, diesel_cli},
    redact::redact,
};

use super::{blesses, page::Page, pages, root};
use crate::desk;

const UP: &str = "CREATE TABLE users (\n    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    \
                  email TEXT NOT NULL UNIQUE,\n    country TEXT NOT NULL\n);\n";

const SCHEMA: &str = "\
// @generated automatically by Diesel CLI.

diesel::table! {
    users (id) {
        id -> Int8,
        email -> Text,
        country -> Text,
    }
}
";

const LIB: &str = "\
pub mod schema;

use diesel::prelude::*;

#[derive(Queryable, Selectable)]
#[diesel(table_name = schema::users)]
pub struct User {
    pub id: i64,
    pub email: String,
    pub country: String,
}

#[derive(Insertable)]
#[diesel(table_name = schema::users)]
pub struct NewUser<'a> {
    pub email: &'a str,
    pub country: &'a str,
}
";

struct Letters {
    project: Project,
    db: ScratchDb,
}

impl Letters {
    fn new() -> Option<Self> {
        let db = ScratchDb::require(Want::postgres())?;
        let project = Project::builder()
            .file("Cargo.toml", desk::manifest("letters", &["postgres_backend"]))
            .file("src/lib.rs", LIB)
            .schema(SCHEMA)
            .migration("create_users", UP, "DROP TABLE users;\n")
            .build()
            .unwrap();
        let letters = Self { project, db };
        drop(letters.sh("diesel migration run"));
        Some(letters)
    }

    /// Runs a command of a session and returns all it said, as a reader would see it.
    fn sh(&self, command: &str) -> String {
        let script =
            format!("cargo() {{ shift; \"$NEWCOL\" newcol \"$@\"; }}\nexec 2>&1\n{command}");
        let run = Tool::new("bash")
            .args(["-c", &script])
            .current_dir(self.project.root())
            .env("NEWCOL", env!("CARGO_BIN_EXE_newcol-under-test"))
            .env("DATABASE_URL", self.db.url())
            .env("PATH", path())
            .run()
            .unwrap();
        let here = DatabaseUrl::parse(self.db.url()).unwrap().describe();
        let text = run.stdout.replace(&here, "PostgreSQL database app on db");
        let root = format!("{}/", self.project.root());
        let text = text.replace(self.db.url(), "postgres://db/app").replace(&root, "");
        // What a server counts is its own affair, and a watch of a fast migration sees little.
        let lines = text.split_inclusive('\n').filter(|line| !line.starts_with("no baseline for"));
        lines.collect::<String>().replace(", 0 sessions seen waiting", "")
    }
}

/// The search path with the diesel CLI in front.
fn path() -> String {
    let diesel = diesel_cli().unwrap().command();
    let dir = camino::Utf8Path::new(diesel.get_program().to_str().unwrap()).parent().unwrap();
    let path = std::env::vars().find(|(name, _)| name == "PATH").unwrap().1;
    format!("{dir}:{path}")
}

/// Cuts a block into commands, each with what it is said to print.
fn commands(block: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    let mut is_open = false;
    for line in block.split_inclusive('\n') {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command.to_owned(), String::new()));
        } else if is_open {
            commands.last_mut().unwrap().0.push_str(line);
        } else {
            commands.last_mut().expect("a session begins with `$ `").1.push_str(line);
            continue;
        }
        let command = &commands.last().unwrap().0;
        let quotes = command.replace("'\\''", "").matches('\'').count() % 2 == 1;
        is_open = quotes || command.ends_with("\\\n");
    }
    commands
}

/// Runs the page from its top to its end; returns it as it should be.
fn record(page: &Page, letters: &Letters) -> String {
    let mut text = String::new();
    let mut behind = 0;
    for block in page.blocks() {
        let inside = page.inside(&block);
        text.push_str(&page.text[behind..block.inside.start]);
        behind = block.inside.end;
        match (block.is_directive, block.kind.as_str()) {
            (false, "console") => {
                for (command, shown) in commands(inside) {
                    let said = letters.sh(&command);
                    // What is the same but for times and versions stays as it was recorded.
                    let said = if redact(&said) == redact(&shown) { shown } else { said };
                    text.extend(["$ ", &command, &said]);
                }
            }
            (true, "sql") => {
                letters.db.run(&[inside]).unwrap();
                text.push_str(inside);
            }
            (true, "sh") => {
                let said = letters.sh(inside);
                assert!(said.is_empty(), "{}:{}: {said}", page.path, block.line);
                text.push_str(inside);
            }
            (true, other) if other != "letters" => panic!("{}: {other}", page.path),
            _ => text.push_str(inside),
        }
    }
    text + &page.text[behind..]
}

#[test]
fn sessions_are_as_recorded() {
    let mut played = 0;
    for page in pages() {
        if !page.blocks().iter().any(|block| block.is_directive && block.kind == "letters") {
            continue;
        }
        let Some(letters) = Letters::new() else { return };
        let recorded = record(&page, &letters);
        played += 1;
        if blesses() && recorded != page.text {
            std::fs::write(&page.path, &recorded).unwrap();
            continue;
        }
        let name = page.path.strip_prefix(root()).unwrap();
        similar_asserts(name.as_str(), &page.text, &recorded);
    }
    assert!(played >= 2, "no page was played");
}

#[track_caller]
fn similar_asserts(name: &str, there: &str, recorded: &str) {
    let diff = similar::TextDiff::from_lines(there, recorded);
    let diff = diff.unified_diff().header(name, "as it is now").to_string();
    assert!(diff.is_empty(), "{diff}\nNEWCOL_BLESS=1 cargo test -p newcol-tests docs");
}
