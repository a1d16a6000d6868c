pub(super) fn full(conn: &mut Conn, all: &[NewUser]) -> QueryResult<usize> {
    let mut done = 0;
    for rows in all.chunks(21_845) { //~ NC016
        done += diesel::insert_into(users::table).values(rows).execute(conn)?;
    }
    Ok(done)
}

pub(super) fn roomy(conn: &mut Conn, all: &[NewUser]) -> QueryResult<usize> {
    let mut done = 0;
    for rows in all.chunks(16_383) {
        done += diesel::insert_into(users::table).values(rows).execute(conn)?;
    }
    Ok(done)
}
