//! A workspace of many packages that name their structs alike.

use newcol_testkit::project::Project;

use crate::desk::{self, newcol};

/// Packages beside that of the schema; what each third one does is told by its number.
const PACKAGES: usize = 49;

const SCHEMA: &str =
    "diesel::table! {\n    users (id) {\n        id -> Integer,\n        name -> Text,\n    }\n}\n";

/// The derives of a package's struct, and how its rows are read: whole, by name, and column by column.
const KINDS: [(&str, &str); 3] = [
    ("Queryable", "users::table.load(c)"),
    ("Queryable, Selectable", "users::table.select(User::as_select()).load(c)"),
    ("Queryable", "users::table.select((users::id, users::name)).load(c)"),
];

fn name(package: usize) -> String {
    format!("part{package:02}")
}

/// Each package depends on the schema's and on the one before.
fn workspace() -> Project {
    let mut project = desk::schema_crate("postgres")
        .file("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"schema\", \"part*\"]\n")
        .schema(SCHEMA);
    for package in 0..PACKAGES {
        let (derives, query) = KINDS[package % KINDS.len()];
        let (dir, before) = (name(package), package.checked_sub(1).map(name));
        let before = before.map(|name| format!("{name} = {{ path = \"../{name}\" }}\n"));
        let manifest = format!(
            "{}schema = {{ path = \"../schema\" }}\n{}",
            desk::manifest(&dir, &["postgres_backend"]),
            before.unwrap_or_default()
        );
        let models = format!(
            "use diesel::prelude::*;\n\n#[derive({derives})]\n#[diesel(table_name = schema::users)]\n\
             pub struct User {{\n    pub id: i32,\n    pub name: String,\n}}\n"
        );
        let queries = format!(
            "use diesel::prelude::*;\nuse schema::users;\n\nuse crate::models::User;\n\n\
             pub fn all(c: &mut PgConnection) -> QueryResult<Vec<User>> {{\n    {query}\n}}\n"
        );
        project = project
            .file(format!("{dir}/Cargo.toml"), manifest)
            .file(format!("{dir}/src/lib.rs"), "pub mod models;\npub mod queries;\n")
            .file(format!("{dir}/src/models.rs"), models)
            .file(format!("{dir}/src/queries.rs"), queries);
    }
    project.build().unwrap()
}

#[test]
fn of_fifty_packages_those_are_named_whose_rows_change() {
    let project = workspace();
    let output = newcol(&project, &["audit", "users.locale", "--message-format", "json"]);
    let lines: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, findings) = lines.split_last().unwrap();
    let found: Vec<(String, &str)> = findings
        .iter()
        .map(|finding| {
            let place = &finding["place"];
            let at = format!("{}:{}", place["file_name"].as_str().unwrap(), place["line_start"]);
            (at, finding["rule"].as_str().unwrap())
        })
        .collect();
    let wanted = (0..PACKAGES).step_by(KINDS.len());
    let wanted: Vec<(String, &str)> =
        wanted.map(|package| (format!("{}/src/queries.rs:7", name(package)), "NC001")).collect();
    assert_eq!(found, wanted);
    for (finding, (at, _)) in findings.iter().zip(&wanted) {
        // The struct is that of the package, which derives no `Selectable` yet.
        let own = at.replace("queries.rs:7", "models.rs");
        assert!(finding["help"].as_str().unwrap().ends_with(&own), "{finding}");
        let spans = finding["fix"]["spans"].as_array().unwrap();
        let files: Vec<&str> =
            spans.iter().map(|span| span["file_name"].as_str().unwrap()).collect();
        assert_eq!(files, [own.split(':').next().unwrap(); 2], "{finding}");
    }
    assert_eq!((&summary["files"], &summary["compile"]), (&151.into(), &17.into()));
    let human = newcol(&project, &["audit", "users.locale"]);
    assert!(human.stdout.ends_with("\n17 places to act on (17 compile)\n"), "{human}");
}
