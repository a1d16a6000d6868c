use proptest::prelude::*;

use super::*;

#[test]
fn catalogue_probe() {
    let path = "/tmp/rdpg/exprs.txt";
    let Ok(text) = std::fs::read_to_string(path) else { return };
    let mut wrong = 0;
    for line in text.lines() {
        let (want, expr) = line.split_once('|').unwrap();
        let got = format!("{:?}", judge(&Expr::new(expr), Backend::Postgres));
        if got != want {
            wrong += 1;
            println!("{expr}: want {want}, got {got}");
        }
    }
    println!("wrong {wrong} of {}", text.lines().count());
}
