//! The end of a column's life: nothing but the column is left, and any leftover is named.

mod leftovers;
mod rows;

use newcol_testkit::{CommandOutput, Project, ScratchDb, Want, command::diesel_cli};

use crate::desk::{self, newcol};

/// A project with a database that has its first migrations.
struct App {
    project: Project,
    db: ScratchDb,
}

impl App {
    fn new(want: Want) -> Option<Self> {
        let db = ScratchDb::require(want)?;
        let project = desk::one_crate(want.backend.name()).build().unwrap();
        db.run(&["SELECT 1"]).unwrap();
        let app = Self { project, db };
        drop(app.run(&["apply", "--yes", "--all"]).success());
        app.db.run(&["CREATE TABLE teams (id INTEGER NOT NULL PRIMARY KEY)"]).unwrap();
        app.db
            .run(&[
                "INSERT INTO users (id, name, settings) VALUES (1, 'Ann', 'x'), (2, 'Bob', NULL)",
            ])
            .unwrap();
        std::fs::write(app.project.root().join("src/schema.rs"), app.printed(&app.db)).unwrap();
        Some(app)
    }

    /// Returns what Diesel says of a database.
    fn printed(&self, db: &ScratchDb) -> String {
        let diesel = diesel_cli().unwrap().args(["print-schema", "--database-url", db.url()]);
        diesel.current_dir(self.project.root()).run().unwrap().success().stdout
    }

    fn run(&self, args: &[&str]) -> CommandOutput {
        newcol(&self.project, &[args, &["--database-url", self.db.url()]].concat())
    }

    /// Takes a column from the wish through all its stages.
    fn live(&self, add: &[&str]) {
        drop(self.run(add).success());
        let column = add[1];
        drop(self.run(&["apply", column, "--yes"]).success());
        let has_job = newcol(&self.project, &["status", column]).stdout.contains("backfill");
        if has_job {
            drop(self.run(&["backfill", column, "--yes"]).success());
        }
        loop {
            let next = self.run(&["next", column, "--confirm-release", "all pods are new"]);
            if next.code() == Some(4) {
                break;
            }
            drop(next.success());
            drop(self.run(&["apply", column, "--yes"]).success());
        }
    }

    fn finish(&self, args: &[&str]) -> CommandOutput {
        self.run(&[&["finish", "users.locale", "--yes"], args].concat())
    }
}
