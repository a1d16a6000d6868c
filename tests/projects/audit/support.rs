//! Runs cases, each on a copy of the database, and prints what became of them.

use diesel::prelude::*;

/// A case: `Ok(true)` where all is as its author believed.
pub type Case = (&'static str, fn(&mut SqliteConnection) -> QueryResult<bool>);

pub fn run(cases: &[Case]) {
    let database = std::env::args().nth(1).expect("the database");
    for (name, case) in cases {
        let copy = format!("{database}.{name}");
        std::fs::copy(&database, &copy).expect("a copy");
        let mut connection = SqliteConnection::establish(&copy).expect("a connection");
        match case(&mut connection) {
            Ok(true) => println!("{name} right"),
            Ok(false) => println!("{name} wrong"),
            Err(error) => println!("{name} failed {}", error.to_string().replace('\n', " ")),
        }
    }
}

#[macro_export]
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        fn main() {
            support::run(&[$((stringify!($name), $name::run)),*]);
        }
    };
}
