//! How a session is set up for the property, and how a column is shown as text.

use diesel::{Connection, connection::SimpleConnection};
use newcol_core::backend::Product;

use super::{Column, RoundtripError};
use crate::values::Shown;

/// A zone whose clocks change, unlike that of most servers and of Diesel's own sessions.
const ZONE: &str = "America/New_York";

/// Sets what holds for the whole property; on PostgreSQL each transaction sets its own.
pub(super) fn prepare<C: Connection>(conn: &mut C, product: Product) -> Result<(), RoundtripError> {
    match product {
        Product::Postgres | Product::Sqlite => Ok(()),
        Product::Mysql | Product::Mariadb => {
            let settings = "SET @newcol_zone = @@SESSION.time_zone, \
                            @newcol_mode = @@SESSION.sql_mode, \
                            SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',NO_ZERO_DATE,NO_ZERO_IN_DATE')";
            run(conn, settings)?;
            // A server without tables of zones knows offsets.
            let zoned = conn.batch_execute(&format!("SET SESSION time_zone = '{ZONE}'"));
            if zoned.is_err() { run(conn, "SET SESSION time_zone = '-05:00'") } else { Ok(()) }
        }
    }
}

/// Gives the session back as it was.
pub(super) fn restore<C: Connection>(conn: &mut C, product: Product) -> Result<(), RoundtripError> {
    match product {
        Product::Postgres | Product::Sqlite => Ok(()),
        Product::Mysql | Product::Mariadb => {
            run(conn, "SET SESSION time_zone = @newcol_zone, SESSION sql_mode = @newcol_mode")
        }
    }
}

/// Returns what each transaction sets.
pub(super) fn local(product: Product) -> Option<String> {
    match product {
        Product::Postgres => Some(format!("SET LOCAL TIME ZONE '{ZONE}'")),
        Product::Mysql | Product::Mariadb | Product::Sqlite => None,
    }
}

/// Returns the question for key and text of every row.
pub(super) fn texts(column: &Column<'_>) -> String {
    let name = column.name;
    let product = column.ty.product;
    let text = match (product, Shown::of(&column.ty)) {
        (Product::Postgres, _) => format!("{name}::text"),
        // 64 bits: `FLOAT` is shown with six digits.
        (Product::Mysql | Product::Mariadb, Shown::Float) => {
            format!("CAST(CAST({name} AS DOUBLE) AS CHAR)")
        }
        (Product::Mysql | Product::Mariadb, Shown::Bytes) => format!("HEX({name})"),
        (Product::Mysql | Product::Mariadb, Shown::Shape) => format!("ST_AsText({name})"),
        (Product::Mysql | Product::Mariadb, Shown::Text) => format!("CAST({name} AS CHAR)"),
        // Length too: a text is shown up to U+0000.
        (Product::Sqlite, _) => {
            format!("typeof({name}) || ' ' || quote({name}) || ' ' || length(CAST({name} AS BLOB))")
        }
    };
    let number =
        if product == Product::Mysql || product == Product::Mariadb { "SIGNED" } else { "BIGINT" };
    let (table, id) = (column.table, column.id);
    format!("SELECT CAST({id} AS {number}) AS id, {text} AS value FROM {table}")
}

fn run<C: SimpleConnection>(conn: &mut C, sql: &str) -> Result<(), RoundtripError> {
    conn.batch_execute(sql)
        .map_err(|source| RoundtripError::Database { action: "set up the session", source })
}
