//! Compiles the tests anew when an embedded migration comes, goes or changes: the macro does not
//! tell Cargo what it read.

fn main() {
    println!("cargo:rerun-if-changed=it/apply/migrations");
    println!("cargo:rerun-if-changed=it/sqlite_rebuild/migrations");
}
