//! The tables of `docs/engines` are what the planner says, without a server's help but for SQLite, whose
//! plans need the table's stored definition.

use std::fmt::Write as _;

use newcol_core::{
    backend::{Backend, Product, Server},
    contract::read::read,
    db::{DatabaseUrl, OpenOptions, Session, facts::read_table},
    ident::Ident,
    plan::{
        Plan, StageKind,
        effect::{Hold, effect},
        explain,
        facts::{ColumnFacts, TableFacts, Volatility},
    },
};
use newcol_testkit::{ScratchDb, Want};

use super::{blesses, page::Page, root};

/// A wish in words, and as a contract.
struct Wish {
    words: &'static str,
    contract: &'static str,
}

const WISHES: &[Wish] = &[
    Wish { words: "optional", contract: "required = false" },
    Wish { words: "optional, indexed", contract: "required = false\n[index]\nunique = false" },
    Wish {
        words: "required, one constant for old rows, which stays the default",
        contract: "required = true\n[default]\nvalue = \"'en'\"\nkeep = true",
    },
    Wish {
        words: "required, one constant for old rows, no default in the end",
        contract: "required = true\n[default]\nvalue = \"'en'\"\nkeep = false",
    },
    Wish {
        words: "required, the default is another for each row (`gen_random_uuid()`, `uuid()`)",
        contract: "required = true\n[default]\nvalue = \"{random}\"\nkeep = true",
    },
    Wish {
        words: "required, old rows computed from their row",
        contract: "required = true\n[old_rows]\nfill = \"coalesce(name, 'en')\"",
    },
    Wish {
        words: "required, old rows computed by application code",
        contract: "required = true\n[old_rows]\nrust = \"app::locale_of\"\n[old_writers]\nby = \"nobody\"",
    },
    Wish {
        words: "optional, old rows computed",
        contract: "required = false\n[old_rows]\nfill = \"coalesce(name, 'en')\"",
    },
    Wish {
        words: "optional, a foreign key",
        contract: "required = false\n[references]\ntable = \"teams\"\ncolumn = \"id\"",
    },
    Wish {
        words: "optional, a check",
        contract: "required = false\n[check]\nexpr = \"locale <> ''\"",
    },
    Wish { words: "optional, unique", contract: "required = false\n[index]\nunique = true" },
    Wish {
        words: "computed whenever it is read (generated)",
        contract: "required = false\n[generated]\nas = \"lower(name)\"",
    },
    Wish {
        words: "in place of another column",
        contract: "required = true\n[old_rows]\nfill = \"lower(name)\"\n\
                   [replaces]\ncolumn = \"name\"\nback = \"locale\"",
    },
];

/// Plans a wish; a refusal is what the planner says of it.
fn cell(wish: &Wish, facts: &TableFacts) -> String {
    let ty = match facts.server.backend() {
        _ if wish.contract.contains("references") => "integer",
        Backend::Sqlite => "text",
        _ => "varchar(40)",
    };
    let random = match facts.server.backend() {
        Backend::Postgres => "gen_random_uuid()::text",
        Backend::Mysql => "(uuid())",
        Backend::Sqlite => "(hex(randomblob(16)))",
    };
    let text = format!(
        "format = 1\ntable = \"users\"\ncolumn = \"locale\"\nwhy = \"x\"\ntype = \"{ty}\"\n{}\n",
        wish.contract.replace("{random}", random)
    );
    let contract = read(&text).unwrap_or_else(|list| panic!("{text}\n{list:?}")).contract;
    let mut facts = facts.clone();
    if facts.server.backend() == Backend::Postgres && wish.words.contains("another for each row") {
        facts.default_volatility = Some(Volatility::Volatile);
    }
    match Plan::build(&contract, &facts) {
        Ok(plan) => format!("{} | {}", stages(&plan), long(&plan)),
        Err(error) => {
            let mut why = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                let _ = write!(why, ": {cause}");
                source = cause.source();
            }
            let instead = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("refused | {why}{instead}")
        }
    }
}

fn stages(plan: &Plan) -> String {
    let names: Vec<&str> = plan.stages.iter().map(|stage| stage.kind.name()).collect();
    names.join(", ")
}

/// Says what takes as long as the table is large, and who waits for it.
fn long(plan: &Plan) -> String {
    let mut said = Vec::new();
    for stage in &plan.stages {
        if stage.kind == StageKind::Backfill {
            said.push("`backfill`: a job, in small batches with rests".to_owned());
        }
        for step in stage.migrations.iter().flat_map(|migration| &migration.steps) {
            let effect = effect(step, &plan.facts);
            if effect.hold == Hold::Table || effect.rewrite {
                let what = explain::what(step, &plan.contract);
                let what = what.trim_end_matches('.');
                said.push(format!(
                    "`{}`: {what} ({})",
                    stage.kind.name(),
                    explain::blocks(&effect)
                ));
            }
        }
    }
    if said.is_empty() { "nothing".to_owned() } else { said.join("<br>") }
}

fn table(facts: &TableFacts) -> String {
    let mut text =
        "| the column | stages | what takes as long as the table is large |\n|---|---|---|\n"
            .to_owned();
    for wish in WISHES {
        let _ =
            writeln!(text, "| {} | {} |", wish.words, cell(wish, facts).replace("|| ", "\\|\\| "));
    }
    text
}

fn server(product: Product, major: u32, minor: u32) -> TableFacts {
    let server = Server { product, major, minor, patch: 0 };
    let column = |name: &str, ty: &str, nullable| ColumnFacts {
        name: Ident::new(name).unwrap(),
        sql_type: Some(ty.to_owned()),
        nullable,
        default: None,
        generated: false,
        comment: None,
    };
    let columns = vec![column("id", "bigint", false), column("name", "varchar(40)", true)];
    let primary_key = vec![Ident::new("id").unwrap()];
    TableFacts { server, columns, primary_key, ..TableFacts::unknown(server.backend()) }
}

/// Compares the text between the markers of a page, or writes it.
#[track_caller]
fn check(page: &str, name: &str, table: &str) {
    let path = root().join("docs/engines").join(page);
    let there = Page::read(path.clone()).text;
    let begin = format!("<!-- planned: {name} -->\n");
    let (before, rest) = there.split_once(&begin).unwrap_or_else(|| panic!("{path}: {begin}"));
    let (_, behind) = rest.split_once("<!-- end -->").unwrap();
    let now = format!("{before}{begin}{table}<!-- end -->{behind}");
    if blesses() {
        std::fs::write(&path, &now).unwrap();
    }
    let there = Page::read(path.clone()).text;
    assert!(there == now, "{path} is stale: NEWCOL_BLESS=1 cargo test -p newcol-tests docs");
}

#[test]
fn tables_are_what_the_planner_says() {
    check("postgresql.md", "13", &table(&server(Product::Postgres, 13, 0)));
    check("mariadb-mysql.md", "mysql", &table(&server(Product::Mysql, 8, 0)));
    check("mariadb-mysql.md", "mariadb", &table(&server(Product::Mariadb, 10, 6)));
    let Some(db) = ScratchDb::require(Want::sqlite()) else { return };
    db.run(&[
        "CREATE TABLE teams (id INTEGER NOT NULL PRIMARY KEY)",
        "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name TEXT)",
    ])
    .unwrap();
    let url = DatabaseUrl::parse(db.url()).unwrap();
    let mut session = Session::open(&url, &OpenOptions::create()).unwrap();
    let facts = read_table(&mut session, &"users".parse().unwrap()).unwrap();
    // Whatever SQLite is linked, the table is of the oldest.
    let server = Server::oldest(Backend::Sqlite);
    check("sqlite.md", "3.37", &table(&TableFacts { server, ..facts }));
}

/// PostgreSQL 18 can what 13 cannot, and nothing more of these: the page says so in words.
#[test]
fn what_newer_servers_can_is_what_the_page_says() {
    let (old, new) = (server(Product::Postgres, 13, 0), server(Product::Postgres, 18, 0));
    let changed: Vec<&str> = WISHES
        .iter()
        .filter(|wish| cell(wish, &old) != cell(wish, &new))
        .map(|wish| wish.words)
        .collect();
    assert_eq!(changed, ["computed whenever it is read (generated)"]);
}
