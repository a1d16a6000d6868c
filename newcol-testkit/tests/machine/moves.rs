//! What may happen next, and in which mixture.

use proptest::{collection::vec, prelude::*};

/// Whose code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// It does not know the column.
    Old,
    /// It writes the column; where that replaces another one, it does not know that one any more.
    New,
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    Rollback,
}

/// What happens next; a move that is not possible then does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    Insert(Who, u64),
    Update(Who, u64),
    Delete(Who, u64),
    /// All that the writer does from now on is one transaction.
    Begin(Who),
    /// The transaction ends.
    End(Who, End),
    /// The writer's session is killed, with the transaction that may be open, and made anew.
    Kill(Who),
    /// So many batches of the real job, of a row each.
    Fill(u8),
    /// A job that dies when its batch is about to be committed.
    FillThatDies,
    /// A job whose session is killed then; it goes on by itself.
    FillThatIsKilled,
    /// A job during which the server crashes then; it goes on by itself.
    FillThroughACrash,
    /// The next migration or job, old code leaving where a gate waits for that.
    Forward,
    /// A migration whose session ends before it commits.
    ForwardThatDies,
    /// The last one is taken back.
    Back,
    /// The server ends at once and starts again.
    Crash,
}

fn writes() -> impl Strategy<Value = Move> {
    let who = prop_oneof![Just(Who::Old), Just(Who::New)];
    let ends = prop_oneof![3 => Just(End::Commit), 1 => Just(End::Rollback)];
    let row = || 0..6_u64;
    prop_oneof![
        6 => (who.clone(), row()).prop_map(|(who, row)| Move::Insert(who, row)),
        4 => (who.clone(), row()).prop_map(|(who, row)| Move::Update(who, row)),
        2 => (who.clone(), row()).prop_map(|(who, row)| Move::Delete(who, row)),
        2 => who.clone().prop_map(Move::Begin),
        2 => (who.clone(), ends).prop_map(|(who, end)| Move::End(who, end)),
        1 => who.prop_map(Move::Kill),
    ]
}

fn stages() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => (1..6_u8).prop_map(Move::Fill),
        1 => Just(Move::FillThatDies),
        1 => Just(Move::FillThatIsKilled),
        6 => Just(Move::Forward),
        1 => Just(Move::ForwardThatDies),
        2 => Just(Move::Back),
    ]
}

/// Histories on a server that lives.
pub(crate) fn moves() -> BoxedStrategy<Vec<Move>> {
    vec(prop_oneof![5 => writes(), 3 => stages()], 1..40).boxed()
}

/// Histories on a server that crashes now and then.
pub(crate) fn moves_with_crashes() -> BoxedStrategy<Vec<Move>> {
    let crashes = prop_oneof![2 => Just(Move::Crash), 1 => Just(Move::FillThroughACrash)];
    vec(prop_oneof![10 => writes(), 6 => stages(), 1 => crashes], 10..40).boxed()
}
