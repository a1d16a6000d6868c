use super::*;
use crate::ident::ColumnPath;

fn catalog() -> Catalog {
    let path: ColumnPath = "users.locale".parse().unwrap();
    let mut catalog = Catalog::plain(&path, &["id", "name", "locale"]);
    let view = |query: &str| Named::View(View { query: Some(query.to_owned()) });
    catalog.add("public", "people", view(" SELECT users.id, users.name FROM users;"));
    catalog.add("public", "speakers", view(" SELECT u.id, u.locale AS tongue FROM users u;"));
    catalog.add("public", "english", view("SELECT id FROM users WHERE locale = 'en'::text;"));
    catalog.add("public", "users_2026", Named::Part);
    catalog.add("public", "countries", Named::Other { has_column: true });
    catalog.functions.insert("touch".to_owned());
    catalog.triggered.insert("orders".to_owned());
    catalog
}

#[track_caller]
fn check(proof: Proof, cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, wanted)| (text, wanted, said(text, proof)))
        .filter(|(_, wanted, found)| *wanted != found)
        .map(|(text, wanted, found)| format!("{text}\n  is {wanted}, found {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn said(text: &str, proof: Proof) -> String {
    let found = involve(Some(text), proof, &catalog());
    let uses: Vec<String> = found.uses.iter().map(|role| format!("{role:?}")).collect();
    format!(
        "{} by {}",
        if uses.is_empty() { "Control".to_owned() } else { uses.join("+") },
        found.layer
    )
}

#[test]
fn uses_are_where_the_names_lead() {
    check(
        Proof::Open,
        &[
            ("SELECT id FROM users WHERE locale = $1", "Filter by text"),
            ("SELECT u.locale FROM users u WHERE id = $1", "Projected by text"),
            (
                "SELECT \"users\".\"id\", \"users\".\"locale\" FROM \"users\" LIMIT $1",
                "Projected by text",
            ),
            ("SELECT * FROM users", "Star by text"),
            ("TABLE users", "Star by text"),
            ("SELECT u FROM users u", "Star by text"),
            ("SELECT (u).name FROM users u", "Control by text"),
            ("SELECT row_to_json(u) FROM users u", "Star by text"),
            ("SELECT count(*) FROM users", "Control by text"),
            ("SELECT id FROM users ORDER BY locale DESC", "Order by text"),
            ("SELECT locale, count(*) FROM users GROUP BY 1", "Order+Projected by text"),
            ("SELECT DISTINCT locale FROM users", "Order+Projected by text"),
            ("SELECT max(locale) FROM users", "Order+Projected by text"),
            ("SELECT 1 FROM users u JOIN countries c ON c.locale = u.locale", "Join by text"),
            ("SELECT 1 FROM users u JOIN countries c USING (locale)", "Join by text"),
            ("SELECT 1 FROM users NATURAL JOIN countries", "Join by text"),
            ("SELECT c.locale FROM users u JOIN countries c ON c.id = u.id", "Control by text"),
            ("SELECT locale FROM countries WHERE id IN (SELECT id FROM users)", "Control by text"),
            (
                "SELECT 1 FROM countries c WHERE c.locale IN (SELECT locale FROM users)",
                "Filter by text",
            ),
            (
                "WITH w AS (SELECT locale AS l FROM users) SELECT 1 FROM w WHERE l = $1",
                "Filter by text",
            ),
            ("SELECT id FROM (SELECT id, locale FROM users) s", "Control by text"),
            (
                "SELECT 1 FROM orders o WHERE EXISTS (SELECT 1 FROM users WHERE id = o.id AND locale = $1)",
                "Filter by text",
            ),
            ("INSERT INTO users (id, name) VALUES ($1, $2)", "Writes by text"),
            ("INSERT INTO users VALUES ($1, $2)", "Writes by text"),
            ("INSERT INTO users VALUES ($1, $2, $3)", "Inserted+Writes by text"),
            (
                "INSERT INTO users (id, locale) VALUES ($1, $2) RETURNING *",
                "Inserted+Star+Writes by text",
            ),
            ("INSERT INTO users SELECT * FROM staging", "Unknown by catalog"),
            (
                "INSERT INTO users (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET locale = excluded.locale",
                "Assigned+Projected+Writes by text",
            ),
            ("UPDATE users SET name = $1 WHERE id = $2", "Writes by text"),
            ("UPDATE users SET locale = $1 WHERE locale = $2", "Filter+Assigned+Writes by text"),
            ("DELETE FROM users WHERE id = $1 RETURNING id, locale", "Projected+Writes by text"),
            ("WITH d AS (DELETE FROM users RETURNING id) SELECT count(*) FROM d", "Writes by text"),
            ("SELECT id FROM people", "Control by catalog"),
            ("SELECT * FROM people", "Control by catalog"),
            ("SELECT id FROM speakers WHERE tongue = $1", "Filter by catalog"),
            ("SELECT * FROM speakers", "Star by catalog"),
            ("SELECT id FROM english", "Filter by catalog"),
            ("SELECT id FROM users_2026 WHERE locale = $1", "Filter by catalog"),
            ("SELECT touch($1)", "Unknown by catalog"),
            ("INSERT INTO orders (id) VALUES ($1)", "Unknown by catalog"),
            ("SELECT name FROM orders", "Control by text"),
            ("COPY users FROM STDIN", "Star+Writes by text"),
            ("COPY users (id, name) TO STDOUT", "Control by text"),
            ("COPY (SELECT id FROM users WHERE locale IS NOT NULL) TO STDOUT", "Filter by text"),
            ("CREATE INDEX i ON users (locale)", "Unknown by text"),
            ("SELECT date $1, id FROM users WHERE locale = $2", "Filter by text"),
            ("SELECT id FROM users WHERE locale IN ($1 /*, ... */)", "Filter by text"),
            ("SELECT id, FROM users )(", "Unknown by nothing"),
            ("SELECT id FROM audit.users WHERE locale = $1", "Control by text"),
        ],
    );
}

#[test]
fn a_number_of_old_refutes_the_text_but_not_what_trees_leave_open() {
    check(
        Proof::Before,
        &[
            ("select * from users where id=$1", "Control by number"),
            ("SELECT locale FROM users", "Control by number"),
            ("INSERT INTO users (id, name) VALUES ($1, $2) RETURNING *", "Writes by number"),
            ("INSERT INTO users SELECT * FROM staging", "Writes by number"),
            ("UPDATE users SET name = $1", "Writes by number"),
            ("SELECT row_to_json(u) FROM users u", "Star by text"),
            ("SELECT id FROM english", "Filter by catalog"),
            ("SELECT id FROM people", "Control by number"),
            ("SELECT touch($1)", "Unknown by catalog"),
            ("COPY users TO STDOUT", "Star by text"),
            ("SELECT 1", "Control by number"),
        ],
    );
    assert_eq!(involve(None, Proof::Before, &catalog()).role(), Role::Unknown);
}

#[test]
fn search_paths_decide_between_schemas() {
    let mut catalog = catalog();
    catalog.add("audit", "users", Named::Other { has_column: true });
    let role = |catalog: &Catalog| {
        involve(Some("SELECT id FROM users WHERE locale = $1"), Proof::Open, catalog).role()
    };
    assert_eq!(role(&catalog), Role::Filter);
    catalog.search_paths = vec![vec!["audit".to_owned(), "public".to_owned()]];
    assert_eq!(role(&catalog), Role::Control);
    catalog.search_paths.push(vec!["public".to_owned()]);
    assert_eq!(role(&catalog), Role::Unknown);
}

#[test]
fn lists_that_were_widened_are_one_query() {
    for (old, new) in [
        (
            "SELECT id, name FROM users WHERE id = $1",
            "select \"users\".\"id\", name, locale from users where id = $2",
        ),
        ("SELECT u.id FROM users u", "SELECT u.id, u.locale FROM users AS u"),
        (
            "INSERT INTO users (id, name) VALUES ($1, $2), ($3, $4)",
            "INSERT INTO users (id, name, locale) VALUES ($1, $2, $3)",
        ),
        (
            "INSERT INTO users (id) VALUES ($1) RETURNING id, name",
            "INSERT INTO users (id, locale) VALUES ($1, DEFAULT) RETURNING id, name, locale",
        ),
        (
            "UPDATE users SET name = $1 WHERE id = $2",
            "UPDATE users SET name = $1, locale = $2 WHERE id = $3",
        ),
        ("SELECT id FROM users WHERE id IN ($1, $2, $3)", "SELECT id FROM users WHERE id IN ($1)"),
    ] {
        let (old_print, new_print) = (fingerprint(old, &catalog()), fingerprint(new, &catalog()));
        assert!(old_print.is_some(), "{old}");
        if new.contains("\"users\".\"id\"") {
            assert_ne!(old_print, new_print, "qualified names are other queries");
        } else {
            assert_eq!(old_print, new_print, "{old} | {new}");
        }
    }
    let print = |text: &str| fingerprint(text, &catalog()).unwrap();
    assert_ne!(print("SELECT id FROM users"), print("SELECT id FROM users WHERE locale = $1"));
    assert_ne!(print("SELECT id FROM posts"), print("SELECT id, locale FROM posts"));
}
