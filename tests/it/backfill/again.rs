//! A run that ended is run again: it looks at the rows, whatever it had found before.

use newcol_core::{
    contract::{Contract, read},
    db::{DatabaseUrl, OpenOptions, Session},
    execute::backfill::{Answer, Backfill, BackfillError, Outcome},
};
use newcol_testkit::ScratchDb;

use crate::expanded::expand;

const CONTRACT: &str = "format = 1\ntable = 'users'\ncolumn = 'shout'\nwhy = 'a test'\n\
    type = 'varchar(60)'\nrequired = true\n[old_rows]\nfill = 'upper(name)'\n\
    [old_writers]\nby = 'nobody'\n";

struct Users {
    _db: ScratchDb,
    url: DatabaseUrl,
    contract: Contract,
    session: Session,
}

impl Users {
    fn new() -> Self {
        let db = ScratchDb::sqlite().unwrap();
        let url = DatabaseUrl::parse(db.url()).unwrap();
        let mut session = Session::open(&url, &OpenOptions::create()).unwrap();
        session.batch("CREATE TABLE users (id integer PRIMARY KEY, name text)").unwrap();
        session.batch("INSERT INTO users (name) VALUES ('ada'), (NULL), ('bob')").unwrap();
        let contract = read::read(CONTRACT).unwrap().contract;
        drop(expand(&mut session, &contract));
        Self { _db: db, url, contract, session }
    }

    fn run(&self) -> Result<Outcome, BackfillError> {
        Backfill::new(&self.contract, &self.url, OpenOptions::write()).run(&|_| Answer::Go)
    }

    fn filled(&self) -> u64 {
        match self.run().unwrap() {
            Outcome::Done(receipt) => receipt.filled,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn rows_that_were_corrected_are_filled() {
    let mut users = Users::new();
    for _ in 0..2 {
        let ended = users.run().unwrap();
        assert!(matches!(ended, Outcome::Unfillable { rows: 1, .. }), "{ended:?}");
    }
    users.session.batch("UPDATE users SET name = 'eve' WHERE name IS NULL").unwrap();
    assert_eq!(users.filled(), 3);
}

#[test]
fn rows_that_came_later_are_filled_however_often() {
    let mut users = Users::new();
    users.session.batch("DELETE FROM users WHERE name IS NULL").unwrap();
    assert_eq!(users.filled(), 2);
    for came in 1..=25 {
        users.session.batch("INSERT INTO users (name) VALUES ('late')").unwrap();
        assert_eq!(users.filled(), 2 + came);
    }
}
