//! Inputs of the benchmarks: schemas and projects of any size from a fixed seed, checked first; and the
//! [record] of what they measured.

pub mod record;

use std::{fmt::Write as _, fs, io};

use camino::Utf8Path;
use newcol_core::{
    db::{DatabaseUrl, DbError, OpenOptions, Session},
    schema::SchemaFile,
};

/// A small generator (SplitMix64): the same inputs on every machine and with every release.
#[derive(Debug)]
pub struct Seed(u64);

impl Seed {
    /// Starts at a fixed place.
    pub fn fixed() -> Self {
        Self(0x6e65_7763_6f6c)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// Returns a `schema.rs` as print-schema writes it: 5 to 15 columns a table, a foreign key for
/// every second one.
///
/// # Panics
///
/// When it is not what was asked for.
pub fn schema(tables: u64) -> String {
    const TYPES: &[&str] =
        &["Int4", "Int8", "Text", "Varchar", "Bool", "Timestamptz", "Jsonb", "Uuid", "Numeric"];
    let mut seed = Seed::fixed();
    let mut text = "// @generated automatically by Diesel CLI.\n\n".to_owned();
    let mut joins = String::new();
    for table in 0..tables {
        let _ =
            writeln!(text, "diesel::table! {{\n    table_{table:04} (id) {{\n        id -> Int8,");
        for column in 0..4 + seed.below(11) {
            let ty = TYPES[usize::try_from(seed.below(9)).unwrap_or_default()];
            if ty == "Varchar" {
                text.push_str("        #[max_length = 255]\n");
            }
            let ty = if seed.below(2) == 0 { ty.to_owned() } else { format!("Nullable<{ty}>") };
            let _ = writeln!(text, "        column_{column:02} -> {ty},");
        }
        if table > 0 && table % 2 == 0 {
            let parent = table - 1;
            let _ = writeln!(text, "        parent_id -> Int8,");
            let _ = writeln!(
                joins,
                "diesel::joinable!(table_{table:04} -> table_{parent:04} (parent_id));"
            );
        }
        text.push_str("    }\n}\n\n");
    }
    text.push_str(&joins);
    text.push_str("\ndiesel::allow_tables_to_appear_in_same_query!(\n");
    for table in 0..tables {
        let _ = writeln!(text, "    table_{table:04},");
    }
    text.push_str(");\n");
    let read = SchemaFile::parse(&text).expect("the generator writes what Diesel reads");
    assert_eq!(u64::try_from(read.tables.len()), Ok(tables), "one `table!` for each");
    assert_eq!(read.joinables.len(), usize::try_from((tables.max(1) - 1) / 2).unwrap_or_default());
    text
}

/// Writes a project with that schema and one migration for each table.
///
/// # Errors
///
/// When a file cannot be written.
pub fn project(root: &Utf8Path, tables: u64) -> io::Result<()> {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(path, text)
    };
    write(
        "Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         diesel = { version = \"2.3\", default-features = false, features = [\"postgres\"] }\n",
    )?;
    write("diesel.toml", "[print_schema]\nfile = \"src/schema.rs\"\n")?;
    write("src/lib.rs", "pub mod schema;\n")?;
    write("src/schema.rs", &schema(tables))?;
    for table in 0..tables {
        let dir = format!("migrations/2025-01-01-{table:06}-0000_table_{table:04}");
        let body = "    -- a line of a migration, of which real ones have many\n".repeat(20);
        let up = format!("CREATE TABLE table_{table:04} (\n{body}    id bigint PRIMARY KEY\n);\n");
        write(&format!("{dir}/up.sql"), &up)?;
        write(&format!("{dir}/down.sql"), &format!("DROP TABLE table_{table:04};\n"))?;
    }
    Ok(())
}

/// Sets a private PostgreSQL server of the testkit, which is tuned for tests, to what a server in
/// production has: every commit is synced, and pages are logged whole after a checkpoint.
pub fn as_in_production(url: &str) -> Result<(), DbError> {
    let url = DatabaseUrl::parse(url)?;
    let mut session = Session::open(&url, &OpenOptions::write())?;
    for setting in ["fsync = on", "full_page_writes = on", "max_wal_size = '4GB'"] {
        session.batch(&format!("ALTER SYSTEM SET {setting}"))?;
    }
    session.query("SELECT pg_reload_conf()").map(drop)
}
