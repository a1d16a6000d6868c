//! Every folder of `fixtures/plan` is a case, and every file in it belongs to one of its tests.

use camino::Utf8Path;

#[test]
fn every_file_belongs_to_a_test() {
    let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/plan");
    let mut stale = Vec::new();
    for case in root.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path()) {
        if !case.is_dir() {
            continue;
        }
        let files = case.read_dir_utf8().unwrap();
        let files: Vec<String> = files.map(|entry| entry.unwrap().file_name().to_owned()).collect();
        let has = |name: &str| files.iter().any(|file| file == name);
        if !has("contract.toml") {
            stale.push(format!("{case} has no contract.toml"));
        }
        for file in &files {
            let (stem, kind) = file.split_once('.').unwrap_or((file, ""));
            let engine = stem.split('-').next().unwrap_or_default();
            let known = match (engine, kind) {
                ("contract" | "diesel", "toml") | ("schema", "patch") | ("changes", "txt") => true,
                ("mariadb", "plan.txt" | "server.txt") => has("mysql.sql"),
                (
                    "postgres" | "mysql" | "sqlite",
                    "sql" | "old.sql" | "schema.rs" | "plan.txt" | "server.txt" | "data.txt"
                    | "print-schema.txt",
                ) => has(&format!("{stem}.sql")),
                _ => false,
            };
            if !known {
                stale.push(format!("{case}/{file} belongs to no test"));
            }
        }
    }
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}
