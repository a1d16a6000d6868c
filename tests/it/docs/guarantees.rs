//! Every test that the page of guarantees names is a test.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::{page::Page, root};

/// Every test function of the workspace, with the files that hold one of its name.
fn tests() -> BTreeMap<String, Vec<Utf8PathBuf>> {
    let mut tests: BTreeMap<String, Vec<Utf8PathBuf>> = BTreeMap::new();
    let mut dirs: Vec<Utf8PathBuf> = [
        "tests",
        "newcol-core/src",
        "newcol-testkit/src",
        "newcol-testkit/tests",
        "cargo-newcol/src",
    ]
    .map(|dir| root().join(dir))
    .to_vec();
    while let Some(dir) = dirs.pop() {
        for entry in dir.read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension() == Some("rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for name in names(&text) {
                    tests.entry(name).or_default().push(path.clone());
                }
            }
        }
    }
    tests
}

fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) {
            names.extend(rest.split('(').next().map(str::to_owned));
            is_test = false;
        }
    }
    names
}

#[test]
fn every_test_that_backs_a_guarantee_exists() {
    let page = Page::read(root().join("docs/guarantees.md"));
    let tests = tests();
    let named: Vec<&str> =
        page.text.split('`').skip(1).step_by(2).filter(|part| part.contains("::")).collect();
    assert!(named.len() >= 20, "the page names {} tests", named.len());
    for path in named {
        let mut parts: Vec<&str> = path.split("::").collect();
        let name = parts.pop().unwrap();
        let files = tests.get(name).map(Vec::as_slice).unwrap_or_default();
        let is_of_module = |file: &Utf8PathBuf| {
            let file = file.with_extension("");
            let has = |part: &&str| Utf8Path::new(&file).iter().any(|there| there == *part);
            parts.iter().all(has)
        };
        assert!(files.iter().any(is_of_module), "`{path}` is no test");
    }
    for law in 1..=9 {
        assert!(page.text.contains(&format!("\n| {law} |")), "law {law} is missing");
    }
}
