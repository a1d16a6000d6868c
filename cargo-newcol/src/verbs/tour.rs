//! `cargo newcol tour`: one column's life on a sample project, with everything shown.
//!
//! Every command is this very program, run as a user runs it; every stage is applied by Diesel's
//! own migration library to a throwaway database. Nothing outside of a temporary directory and
//! that database is touched.

mod database;
mod sample;
mod step;
mod story;

use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use newcol_core::backend::Backend;
use newcol_testkit::Tool;
use tempfile::TempDir;

use self::{database::Database, step::Step};
use crate::{
    context::{Context, env},
    error::{CliError, Exit},
    interrupt,
    output::Output,
};

/// Take a column through its life on a sample project, and show everything
///
/// Makes a small Diesel project in a temporary directory and adds a required column whose old rows
/// are computed: each command, each file it writes, each statement, and the database before and
/// after. SQLite needs nothing; `--engine postgres` and `--engine mysql` use a throwaway server.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo newcol tour\n  \
    cargo newcol tour --engine postgres\n  \
    cargo newcol tour --keep\n\n\
    A throwaway server is started from PostgreSQL or MariaDB programs on this machine, or given by\n\
    NEWCOL_TEST_POSTGRES_URL or NEWCOL_TEST_MYSQL_URL; its other databases are left alone.")]
pub(crate) struct TourArgs {
    /// Leave the project and its database behind, and say where
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(ctx: &Context, out: &mut Output, args: &TourArgs) -> Result<Exit, CliError> {
    let backend = ctx.global().engine.unwrap_or(Backend::Sqlite);
    let dir = tempfile::Builder::new()
        .prefix("newcol-tour-")
        .tempdir()
        .map_err(|e| CliError::of(Exit::Failed, &e).at("the temporary directory"))?;
    let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).map_err(|path| {
        CliError::failed("the temporary directory has no readable name").at(path.display())
    })?;
    let database = Database::make(backend, &root)?;
    let mut tour = Tour { out, root, database, steps: 0, migrations: 0 };
    let told = story::tell(&mut tour);
    let Tour { out, root, database, .. } = tour;
    if args.keep {
        keep(out, dir, &root, database);
    }
    told.map(|()| Exit::Done)
}

/// Leaves everything in place, also after a failure: that is when it is wanted most.
fn keep(out: &mut Output, dir: TempDir, root: &Utf8Path, database: Database) {
    drop(dir.keep());
    out.status(&format!("kept: the project in {root}"));
    if let Some(note) = database.keep() {
        out.status(&format!("kept: the database: {note}"));
    } else {
        out.status(&format!("kept: the database in {root}/{}", database::FILE));
    }
}

/// A tour under way.
struct Tour<'a> {
    out: &'a mut Output,
    root: Utf8PathBuf,
    database: Database,
    steps: usize,
    /// How many migrations were applied.
    migrations: usize,
}

impl Tour<'_> {
    /// Shows a step, unless the user has asked to stop.
    fn show(&mut self, step: Step) -> Result<(), CliError> {
        if interrupt::requested() {
            return Err(interrupted());
        }
        self.steps += 1;
        step.show(self.out, self.steps);
        Ok(())
    }

    /// Runs this program in the project, and adds what it said and wrote to a step.
    fn newcol(&self, step: Step, args: &[&str]) -> Result<Step, CliError> {
        let exe = std::env::current_exe()
            .ok()
            .and_then(|path| Utf8PathBuf::from_path_buf(path).ok())
            .ok_or_else(|| CliError::failed("this program does not know its own path"))?;
        let before = sample::files(&self.root)?;
        let real = args.iter().map(|arg| match *arg {
            URL => self.database.url(),
            other => other,
        });
        let mut tool = Tool::new(exe).arg("newcol").args(real).current_dir(&self.root);
        // Without the detour through rustup's proxies, if Cargo runs us.
        if let Some(cargo) = env("CARGO") {
            tool = tool.env("CARGO", cargo);
        }
        let said = tool.run().map_err(|error| CliError::of(Exit::Failed, &error))?;
        if interrupt::requested() {
            return Err(interrupted());
        }
        let code = said.code().unwrap_or(-1);
        let step = step.command(shell_line(args), &said.stdout, &said.stderr, code);
        Ok(step.files(sample::changes(&before, &sample::files(&self.root)?)))
    }

    /// Applies what is pending, and adds migrations, statements and the changed schema to a step.
    fn migrate(&mut self, step: Step) -> Result<Step, CliError> {
        let before = self.database.schema()?;
        let ran = self.database.migrate(&self.root.join("migrations"))?;
        self.migrations += ran.len();
        let mut migrations = Vec::new();
        for version in ran {
            migrations.extend(sample::migration(&self.root, &version)?);
        }
        Ok(step.migrations(migrations).schema(&before, &self.database.schema()?))
    }
}

/// Stands for the database's URL in a shown command; the shell would put it in.
const URL: &str = "$DATABASE_URL";

fn interrupted() -> CliError {
    CliError::failed("interrupted")
}

/// Returns a command line as one types it.
fn shell_line(args: &[&str]) -> String {
    let mut line = "cargo newcol".to_owned();
    for arg in args {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=".contains(c);
        line.push(' ');
        if *arg == URL {
            line.push_str("\"$DATABASE_URL\"");
        } else if arg.chars().all(plain) {
            line.push_str(arg);
        } else if arg.contains('\'') {
            // Backslashes, dollars and backticks do not occur in the tour's own arguments.
            line.extend(["\"", arg, "\""]);
        } else {
            line.extend(["'", arg, "'"]);
        }
    }
    line
}

/// Wraps an error of the file system in the sample project.
fn file_error(path: &Utf8Path) -> impl FnOnce(io::Error) -> CliError {
    move |error| CliError::of(Exit::Failed, &error).at(path)
}

/// Reads a file of the sample project.
fn read(path: &Utf8Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(file_error(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_one_types_them() {
        let args = ["add", "users.locale", "--type", "varchar(16)", "--fill", "coalesce(a, 'b')"];
        assert_eq!(
            shell_line(&args),
            "cargo newcol add users.locale --type 'varchar(16)' --fill \"coalesce(a, 'b')\""
        );
        assert_eq!(shell_line(&["plan", URL]), "cargo newcol plan \"$DATABASE_URL\"");
    }
}
