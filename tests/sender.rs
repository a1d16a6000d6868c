//! An application that sends what its arguments say to the database of `DATABASE_URL`, for tests that
//! watch what is sent.

#![expect(clippy::print_stderr, reason = "its talk is what a test reads")]
#![expect(missing_docs, reason = "what `table!` makes is public")]

use std::{error::Error, process::ExitCode};

use diesel::{connection::SimpleConnection as _, prelude::*};
use diesel_async::{
    AsyncMysqlConnection, AsyncPgConnection, async_connection_wrapper::AsyncConnectionWrapper,
};

diesel::table! {
    users (id) {
        id -> Integer,
        name -> Text,
        settings -> Nullable<Text>,
    }
}

type Postgres = AsyncConnectionWrapper<AsyncPgConnection>;
type Mysql = AsyncConnectionWrapper<AsyncMysqlConnection>;

/// Longer than what is kept of a statement.
const HUGE: usize = 2 << 20;

/// Sends what one argument says; what the server refuses is said and passed over.
macro_rules! send {
    ($conn:expr, $what:expr, $text:expr) => {{
        let sent = match $what {
            "load" => users::table
                .filter(users::id.eq(1))
                .select((users::id, users::name))
                .load::<(i32, String)>($conn)
                .map(drop),
            "insert" => diesel::insert_into(users::table)
                .values((users::id.eq($text.parse::<i32>()?), users::name.eq("a")))
                .execute($conn)
                .map(drop),
            "query" => diesel::sql_query($text).execute($conn).map(drop),
            "batch" => $conn.batch_execute($text),
            "nul" => $conn.batch_execute("SELECT 'a\0b' FROM users"),
            "huge" => {
                let text = format!("SELECT '{}' FROM users", "x".repeat(HUGE));
                $conn.batch_execute(&text)
            }
            other => return Err(format!("what is `{other}`?").into()),
        };
        if let Err(error) = sent {
            eprintln!("{error}");
        }
    }};
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let url = std::env::vars().find(|(name, _)| name == "DATABASE_URL").map(|(_, url)| url);
    let mut url = url.ok_or("DATABASE_URL is not set")?;
    for arg in std::env::args().skip(1) {
        let (what, text) = arg.split_once(':').unwrap_or((&arg, ""));
        match what {
            "install" => newcol_testkit::capture::install()?,
            "exit" => return Ok(ExitCode::from(text.parse::<u8>()?)),
            // Another database of the same server, as tests make their own.
            "database" => {
                let at = url.rfind('/').ok_or("no database in the URL")?;
                url.replace_range(at + 1.., text);
            }
            _ if url.starts_with("postgres") => {
                send!(&mut Postgres::establish(&url)?, what, text);
            }
            _ if url.starts_with("mysql") => send!(&mut Mysql::establish(&url)?, what, text),
            _ => send!(&mut SqliteConnection::establish(&url)?, what, text),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(70)
    })
}
