//! The programs, what their column is, and how they are built.

use std::{collections::BTreeMap, fs, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::{
    contract::{Contract, read},
    plan::StageKind,
};
use newcol_testkit::{Project, command::Tool};

use crate::desk::target;

/// A program of `tests/projects/audit`.
pub(super) struct Program {
    /// Package and file.
    pub(super) package: &'static str,
    pub(super) file: &'static str,
    /// The contract, without its first lines.
    wish: &'static str,
    /// The column in `schema.rs` when the program is written; none where it comes later.
    pub(super) written: Option<&'static str>,
    /// The column in the `schema.rs` with which it is compiled again, and the stage that brings it.
    pub(super) then: Option<(&'static str, StageKind)>,
    /// The column in the `schema.rs` that is audited with it.
    pub(super) audited: Option<&'static str>,
    /// Whether it runs where `expand` is still to come.
    pub(super) ahead: bool,
    /// Whether the compiler names the very lines; elsewhere it names those that use them.
    pub(super) exact: bool,
}

/// Where a program goes that the audit has mended.
pub(super) const MENDED: &str = "rows/src/mended.rs";

const OPTIONAL: &str = "required = false";
const FILLED: &str = "required = false\n[old_rows]\nfill = 'lower(name)'";
const REQUIRED: &str =
    "required = true\n[old_rows]\nfill = 'lower(name)'\n[old_writers]\nby = 'nobody'";
const DEFAULT: &str = "required = false\n[default]\nvalue = \"'D'\"\nkeep = true";
const REPLACES: &str =
    "required = false\n[old_rows]\nfill = 'email'\n[replaces]\ncolumn = 'email'\nback = 'nick'";

const NULLABLE: &str = "nick -> Nullable<Text>,";
const NOT_NULL: &str = "nick -> Text,";

pub(super) const PROGRAMS: &[Program] = &[
    Program::compiled("rows", "load", OPTIONAL),
    Program::compiled("rows", "globs", OPTIONAL),
    Program::compiled("rows", "both", OPTIONAL),
    Program { exact: false, ..Program::compiled("shadow", "main", FILLED) },
    Program { then: None, ..Program::compiled("writes", "main", REQUIRED) },
    Program { then: None, ..Program::compiled("replaces", "main", REPLACES) },
    Program { then: None, ..Program::knowing("known", "main", (DEFAULT, NULLABLE)) },
    Program {
        then: Some((NOT_NULL, StageKind::Constrain)),
        ..Program::knowing("required", "load", (REQUIRED, NULLABLE))
    },
    Program { then: None, ..Program::knowing("early", "main", (REQUIRED, NOT_NULL)) },
    Program {
        audited: Some(NULLABLE),
        then: Some((NULLABLE, StageKind::Expand)),
        ..Program::knowing("early", "load", (REQUIRED, NOT_NULL))
    },
    Program { then: None, ahead: true, ..Program::knowing("ahead", "main", (OPTIONAL, NULLABLE)) },
];

impl Program {
    const fn compiled(package: &'static str, file: &'static str, wish: &'static str) -> Self {
        let then = Some((NULLABLE, StageKind::Expand));
        Self { package, file, wish, written: None, then, audited: None, ahead: false, exact: true }
    }

    const fn knowing(
        package: &'static str,
        file: &'static str,
        (wish, column): (&'static str, &'static str),
    ) -> Self {
        let (written, audited) = (Some(column), Some(column));
        Self { written, audited, exact: false, ..Self::compiled(package, file, wish) }
    }

    pub(super) fn contract(&self) -> Contract {
        let text = format!(
            "format = 1\ntable = 'users'\ncolumn = 'nick'\nwhy = 'a test'\ntype = 'text'\n{}",
            self.wish
        );
        read::read(&text).unwrap().contract
    }

    pub(super) fn path(&self) -> Utf8PathBuf {
        format!("{}/src/{}.rs", self.package, self.file).into()
    }

    pub(super) fn text(&self) -> String {
        fs::read_to_string(folder().join(self.package).join(format!("{}.rs", self.file))).unwrap()
    }

    /// Reports whether it is run, and not only compiled.
    pub(super) fn runs(&self) -> bool {
        self.file == "main"
    }
}

/// Tables as the programs know them; `name` has a default so that rows of defaults are possible.
pub(super) const TABLES: &[&str] = &[
    "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL DEFAULT 'x', \
     email TEXT, team INTEGER NOT NULL DEFAULT 1)",
    "CREATE TABLE posts (id INTEGER NOT NULL PRIMARY KEY, user_id INTEGER NOT NULL, title TEXT NOT NULL)",
    "INSERT INTO users (id, name, email, team) VALUES (1, 'Ann', 'e', 1), (2, 'Bob', NULL, 1)",
];

/// Returns the `schema.rs`, with a line for the column or without.
pub(super) fn schema(column: Option<&str>) -> String {
    let table = |name: &str, columns: &str| {
        format!(
            "diesel::table! {{\n    {name} (id) {{\n        id -> Integer,\n        {columns}\n    }}\n}}\n\n"
        )
    };
    let users =
        format!("name -> Text, email -> Nullable<Text>, team -> Integer, {}", column.unwrap_or(""));
    [
        table("users", &users),
        table("posts", "user_id -> Integer, title -> Text,"),
        table("archive", "name -> Text, email -> Nullable<Text>, team -> Integer,"),
        table("pets", "nick -> Text,"),
        "diesel::joinable!(posts -> users (user_id));\n".to_owned(),
        "diesel::allow_tables_to_appear_in_same_query!(users, posts, archive, pets);\n".to_owned(),
    ]
    .concat()
}

fn workspace() -> &'static Utf8Path {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn folder() -> Utf8PathBuf {
    workspace().join("tests/projects/audit")
}

/// The programs as packages of one workspace.
pub(super) struct Workspace {
    project: Project,
}

/// What the compiler said.
#[derive(Default)]
pub(super) struct Built {
    /// Lines with errors, by file.
    pub(super) errors: BTreeMap<Utf8PathBuf, Vec<(usize, String)>>,
    /// Programs that were built, by package.
    pub(super) programs: BTreeMap<String, Utf8PathBuf>,
}

impl Workspace {
    pub(super) fn new() -> Self {
        let packages: BTreeMap<&str, Vec<&Program>> =
            PROGRAMS.iter().fold(BTreeMap::new(), |mut packages, program| {
                packages.entry(program.package).or_insert_with(Vec::new).push(program);
                packages
            });
        let members: Vec<String> = packages.keys().map(|name| format!("\"{name}\"")).collect();
        let manifest = format!(
            "[workspace]\nresolver = \"3\"\nmembers = [{}]\n\n[profile.dev]\ndebug = false\n",
            members.join(", ")
        );
        let lock = fs::read_to_string(workspace().join("Cargo.lock")).unwrap();
        let mut project = Project::builder().file("Cargo.toml", manifest).file("Cargo.lock", lock);
        let support = fs::read_to_string(folder().join("support.rs")).unwrap();
        for (package, programs) in packages {
            let bins = programs.iter().map(|program| {
                let file = program.file;
                format!("[[bin]]\nname = \"audit-{package}-{file}\"\npath = \"src/{file}.rs\"\n\n")
            });
            let mended = MENDED.strip_prefix(package).and_then(|rest| rest.strip_prefix('/'));
            let mended =
                mended.map(|file| format!("[[bin]]\nname = \"mended\"\npath = \"{file}\"\n\n"));
            let bins = bins.chain(mended);
            let manifest = format!(
                "[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n\
                 {}[dependencies]\n\
                 diesel = {{ version = \"2.3\", default-features = false, features = [\"sqlite\", \"32-column-tables\", \"returning_clauses_for_sqlite_3_35\"] }}\n\
                 libsqlite3-sys = {{ version = \"*\", features = [\"bundled\"] }}\n\
                 serde = {{ version = \"1\", features = [\"derive\"] }}\nserde_json = \"1\"\n",
                bins.collect::<String>()
            );
            project = project.file(format!("{package}/Cargo.toml"), manifest);
            project = project.file(format!("{package}/src/support.rs"), support.clone());
            for program in programs {
                project = project.file(program.path(), program.text());
                project = project.file(format!("{package}/src/schema.rs"), schema(program.written));
            }
        }
        let project = project.file(MENDED, "fn main() {}\n").build().unwrap();
        Self { project }
    }

    /// Gives the programs that have another `schema.rs` later that one, and takes the program that
    /// the audit has mended among them.
    pub(super) fn later(&self, mended: &str) {
        self.project.write(MENDED, mended).unwrap();
        for program in PROGRAMS {
            if let Some((column, _)) = program.then {
                let path = format!("{}/src/schema.rs", program.package);
                self.project.write(path, &schema(Some(column))).unwrap();
            }
        }
    }

    /// Builds all, as far as it can be built; `name` tells the builds apart.
    pub(super) fn build(&self, name: &str) -> Built {
        let cargo = Tool::new(env!("CARGO"))
            .args(["build", "--workspace", "--offline", "--keep-going", "--message-format=json"])
            .env("CARGO_TARGET_DIR", target())
            .env("CARGO_TERM_COLOR", "never")
            .current_dir(self.project.root())
            .limit(Duration::from_secs(3600));
        let output = cargo.run().unwrap();
        let mut built = Built::default();
        for line in output.stdout.lines() {
            let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            match message["reason"].as_str() {
                Some("compiler-message") => built.note(&message["message"], self.project.root()),
                Some("compiler-artifact") => {
                    built.keep(&message, &self.project.root().join(name));
                }
                _ => {}
            }
        }
        assert!(!built.programs.is_empty() || !built.errors.is_empty(), "{}", output.stderr);
        built
    }

    /// Returns a place for databases.
    pub(super) fn root(&self) -> &Utf8Path {
        self.project.root()
    }
}

impl Built {
    fn note(&mut self, message: &serde_json::Value, root: &Utf8Path) {
        if message["level"] != "error" {
            return;
        }
        for span in message["spans"].as_array().into_iter().flatten() {
            if span["is_primary"] != true {
                continue;
            }
            // Out of macros, to the line that somebody wrote.
            let mut span = span;
            while span["expansion"].is_object() {
                span = &span["expansion"]["span"];
            }
            let (Some(file), Some(line)) =
                (span["file_name"].as_str(), span["line_start"].as_u64())
            else {
                continue;
            };
            let file = Utf8Path::new(file);
            let file = file.strip_prefix(root).unwrap_or(file).to_owned();
            let text = message["message"].as_str().unwrap_or_default().to_owned();
            self.errors.entry(file).or_default().push((line as usize, text));
        }
    }

    /// Keeps a program where the next build does not write.
    fn keep(&mut self, message: &serde_json::Value, dir: &Utf8Path) {
        let Some(program) = message["executable"].as_str() else { return };
        let name = message["target"]["name"].as_str().unwrap_or_default();
        let copy = dir.join(name);
        fs::create_dir_all(dir).unwrap();
        fs::copy(program, &copy).unwrap();
        self.programs.insert(name.to_owned(), copy);
    }
}
