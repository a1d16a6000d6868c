//! What the tour tells, in order.

use newcol_core::backend::Backend;

use super::{Tour, URL, sample, step::Step};
use crate::error::CliError;

/// The wish: users get a locale, computed from what their rows hold already.
const COLUMN: &str = "users.locale";
const FILL: &str =
    "CASE country WHEN 'AT' THEN 'de' WHEN 'DE' THEN 'de' WHEN 'FR' THEN 'fr' ELSE 'en' END";
const WHY: &str = "E-mails go out in the reader's language";

pub(super) fn tell(tour: &mut Tour<'_>) -> Result<(), CliError> {
    the_project(tour)?;
    expand(tour)?;
    old_and_new_programs(tour)?;
    the_release(tour)?;
    backfill(tour)?;
    let mut vouching = Vouching::NotYet;
    while next(tour, &mut vouching)? {}
    the_end(tour)
}

fn the_project(tour: &mut Tour<'_>) -> Result<(), CliError> {
    let backend = tour.database.backend();
    sample::write(&tour.root, backend, tour.database.url())?;
    let files = sample::files(&tour.root)?;
    let shown = ["Cargo.toml", "src/schema.rs"];
    let mut listed = sample::changes(&sample::Files::new(), &files);
    listed.retain(|change| shown.contains(&change.path.as_str()));
    let step = Step::new("A project, as it was before")
        .note(format!(
            "A small Diesel project on {} in {}: users, their posts (deleted with their user), \
             a few rows, and a program that is running.",
            tour.database.server(),
            tour.root
        ))
        .note(format!(
            "It holds {}.",
            files.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ))
        .files(listed);
    let step = tour.migrate(step)?;
    tour.migrations = 0;
    for sql in [
        "INSERT INTO users (email, country) VALUES ('anna@example.org', 'DE'), \
         ('ben@example.org', 'FR'), ('chiara@example.org', 'IT')",
        "INSERT INTO posts (user_id, title) VALUES (1, 'Hello'), (1, 'Again'), (2, 'Bonjour')",
    ] {
        tour.database.execute(sql)?;
    }
    let step = rows(tour, step, &["id", "email", "country"])?;
    tour.show(step)?;

    let step = Step::new("Does anything in it bite?");
    let step = tour.newcol(step, &["doctor"])?;
    tour.show(step)
}

fn expand(tour: &mut Tour<'_>) -> Result<(), CliError> {
    let step = Step::new("The wish, and its first stage: expand").note(
        "Every user gets a locale: required, computed from the country for the rows that are \
         there, and, while old programs still run, for the rows they insert.",
    );
    let args = [
        "add",
        COLUMN,
        "--type",
        "varchar(16)",
        "--required",
        "--fill",
        FILL,
        "--old-writers",
        "trigger",
        "--index",
        "--why",
        WHY,
        // The sample project is shown, not built.
        "--no-tests",
    ];
    let step = tour.newcol(step, &args)?;
    must(&step)?;
    tour.show(step)?;

    let step = Step::new("The whole plan").note(
        "The other stages lie in no file yet: Diesel runs every pending migration at once, so \
         each is released when its time has come.",
    );
    let step = tour.newcol(step, &["plan", COLUMN, "--database-url", URL])?;
    must(&step)?;
    let step = step.outline().closing(
        "Left out here: steps, statements, locks and undo of each stage; they follow as they run.",
    );
    tour.show(step)?;

    let together = match tour.database.backend() {
        Backend::Postgres | Backend::Sqlite => {
            "The column and the trigger arrive in one transaction: there is no moment in which a \
             row of an old program could be missed."
        }
        Backend::Mysql => {
            "MySQL commits each statement, so the trigger has a migration of its own; until it is \
             there, a row of an old program is left empty, as those from before are."
        }
    };
    let step = Step::new("Apply expand")
        .note(format!("As `diesel migration run` does, through the same library. {together}"));
    let step = tour.migrate(step)?;
    let step = rows(tour, step, &COLUMNS)?;
    tour.show(step)
}

fn old_and_new_programs(tour: &mut Tour<'_>) -> Result<(), CliError> {
    let old = "INSERT INTO users (email, country) VALUES ('dora@example.org', 'AT')";
    let new = "INSERT INTO users (email, country, locale) VALUES ('emil@example.org', 'US', 'pt')";
    let step = Step::new("Old and new programs write side by side").note(
        "A program built before the column knows nothing of it; the trigger computes the value \
         for its row. A new program says what it wants, and the trigger leaves that alone.",
    );
    tour.database.execute(old)?;
    tour.database.execute(new)?;
    let step = step.statement(old, None).statement(new, None);
    let step = rows(tour, step, &COLUMNS)?;
    tour.show(step)
}

fn the_release(tour: &mut Tour<'_>) -> Result<(), CliError> {
    let step = Step::new("What in the code will break?").note(
        "The audit reads the project's code and SQL: what will stop compiling, what will fail, and \
         what will silently go wrong, each with the stage before which it matters.",
    );
    let step = tour.newcol(step, &["audit", COLUMN])?;
    if step.exit_code() != 100 {
        return Err(unexpected(&step));
    }
    tour.show(step)?;

    let before = sample::files(&tour.root)?;
    sample::learn(&tour.root)?;
    let step = Step::new("The release that knows the column")
        .note("Its inserts say the locale; once the old release is gone, no row needs the trigger.")
        .files(sample::changes(&before, &sample::files(&tour.root)?));
    tour.show(step)
}

fn backfill(tour: &mut Tour<'_>) -> Result<(), CliError> {
    let step = Step::new("Backfill").note(
        "The rows from before are still empty. A job fills them in small batches at a pace that \
         leaves the server to the application; killed anywhere, it goes on where it was. No other \
         column changes.",
    );
    let step = tour.newcol(step, &["backfill", COLUMN, "--database-url", URL, "--yes"])?;
    must(&step)?;
    let step = rows(tour, step, &COLUMNS)?;
    tour.show(step)
}

/// Whether the tour says what no database can tell: that every old program is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vouching {
    NotYet,
    Always,
}

/// Releases and applies the next stage, if there is one.
fn next(tour: &mut Tour<'_>, vouching: &mut Vouching) -> Result<bool, CliError> {
    let args = [
        "next",
        COLUMN,
        "--database-url",
        URL,
        "--confirm-release",
        "tour: every old program is replaced",
    ];
    let args = match *vouching {
        Vouching::NotYet => &args[..4],
        Vouching::Always => &args,
    };
    let step = tour.newcol(Step::new("A gate is shut"), args)?;
    if step.exit_code() == 3 && *vouching == Vouching::NotYet {
        let step = step.note(
            "The next stage breaks programs that do not know the column, and no database knows \
             which programs run. So it is refused (exit code 3) until somebody vouches for it; \
             the reason is kept in the contract.",
        );
        tour.show(step)?;
        *vouching = Vouching::Always;
        return Ok(true);
    }
    if step.exit_code() == 4 {
        return Ok(false);
    }
    must(&step)?;
    let Some(stage) = step.stage() else { return Err(unexpected(&step)) };
    let step = step.titled(&format!("Next: {stage}")).note(about(stage, tour.database.backend()));
    let step = tour.migrate(step)?;
    let step = rows(tour, step, &COLUMNS)?;
    tour.show(step)?;
    Ok(true)
}

fn about(stage: &str, backend: Backend) -> &'static str {
    match (stage, backend) {
        ("index", Backend::Postgres) => {
            "Built after the fill, so that no filled row pays for it, and without blocking anybody: \
             alone in its migration, outside of a transaction."
        }
        ("index", _) => "Built after the fill, so that no filled row pays for it.",
        ("constrain", Backend::Sqlite) => {
            "From here on every row must have a locale. SQLite cannot say so of a column that is \
             there already: the table is rebuilt, outside of Diesel's transaction and with foreign \
             keys off, because within it the rebuild would delete every post (ON DELETE CASCADE)."
        }
        ("constrain", Backend::Postgres) => {
            "From here on every row must have a locale: demanded of new rows first, proven for the \
             old ones without a lock that anybody waits for, then said of the column."
        }
        ("constrain", Backend::Mysql) => "From here on every row must have a locale.",
        ("contract", _) => {
            "The scaffolding goes: the last old program is gone, and with it the trigger."
        }
        _ => "The next stage of the plan.",
    }
}

fn the_end(tour: &mut Tour<'_>) -> Result<(), CliError> {
    let late = "INSERT INTO users (email, country) VALUES ('fred@example.org', 'FR')";
    let refused = tour.database.refusal(late);
    let step = Step::new("What is left: the column")
        .note(format!(
            "The way was {} migrations long, each released and applied when its time had come. No \
             trigger, no helper and no copy stays behind: a required column, its index, the \
             contract that documents it, and the record of the backfill. A program that still did not know it would now fail; that \
             is why this stage comes last. Every post is still there.",
            tour.migrations
        ))
        .statement(late, refused);
    let step = tour.newcol(step, &["status", COLUMN, "--database-url", URL])?;
    must(&step)?;
    let users = tour.database.query("SELECT count(*) FROM users WHERE locale IS NULL")?;
    let posts = tour.database.query("SELECT count(*) FROM posts")?;
    let step =
        step.table("users without a locale", &["count"], users).table("posts", &["count"], posts);
    tour.show(step)?;

    let step = Step::new("On your own project")
        .closing("  cargo newcol doctor                      what in the project bites")
        .closing("  cargo newcol add <table.column> ...      the wish; `--dry-run` shows and writes nothing")
        .closing("  cargo newcol rehearse <table.column>     proof on throwaway databases, before production")
        .closing("  cargo newcol apply <table.column> ...    or however you apply migrations")
        .closing("  (release the program that knows the column)")
        .closing("  cargo newcol backfill <table.column> ... the rows that were there before")
        .closing("  cargo newcol next <table.column> ...     one stage per release, until nothing is left")
        .closing("  cargo newcol finish <table.column> ...   the end: proven, and written down")
        .closing("  cargo newcol verify ...                  every night")
        .closing("")
        .closing("  `cargo newcol explain` explains the words; `cargo newcol tour --keep` leaves this project.");
    tour.show(step)
}

const COLUMNS: [&str; 4] = ["id", "email", "country", "locale"];

/// Adds the rows of both tables to a step.
fn rows(tour: &mut Tour<'_>, step: Step, columns: &[&str]) -> Result<Step, CliError> {
    let users =
        tour.database.query(&format!("SELECT {} FROM users ORDER BY id", columns.join(", ")))?;
    let posts = tour.database.query("SELECT id, user_id, title FROM posts ORDER BY id")?;
    Ok(step.table("users", columns, users).table("posts", &["id", "user_id", "title"], posts))
}

/// A command that the tour relies on must have worked.
fn must(step: &Step) -> Result<(), CliError> {
    if step.exit_code() == 0 { Ok(()) } else { Err(unexpected(step)) }
}

fn unexpected(step: &Step) -> CliError {
    let mut error =
        CliError::failed(format!("a command of the tour ended with {}", step.exit_code()))
            .hint("run `cargo newcol tour --keep` and report what is left behind");
    error.causes.extend(step.said().lines().map(str::to_owned));
    error
}
