//! The columns that a query yields, and where among them the new one comes by `*`.

use std::ops::Range;

/// One column of a row, or a stretch of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A column that is there today; `None` if it has no name of its own.
    Column(Option<String>),
    /// The new column, once it is there.
    New {
        /// The `*` that brings it; empty for a column of the table itself.
        star: Range<usize>,
        /// Whether it comes with the row of a trigger.
        row: bool,
    },
    /// Columns that we do not know.
    Many,
}

/// The columns of a relation or of a query, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Output(pub(super) Vec<Piece>);

/// Whether a relation has a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Has {
    Yes,
    No,
    Perhaps,
}

impl Output {
    pub(super) fn unknown() -> Self {
        Self(vec![Piece::Many])
    }

    pub(super) fn of_names(names: &[String]) -> Self {
        Self(names.iter().map(|name| Piece::Column(Some(name.clone()))).collect())
    }

    /// Reports whether it has a column of this name today.
    pub(super) fn has(&self, name: &str) -> Has {
        if self.0.iter().any(|piece| matches!(piece, Piece::Column(Some(n)) if n == name)) {
            Has::Yes
        } else if self.0.contains(&Piece::Many) {
            Has::Perhaps
        } else {
            Has::No
        }
    }

    /// Returns the first `*` that brings the new column, and whether it is the row of a trigger.
    pub(super) fn first_new(&self) -> Option<(Range<usize>, bool)> {
        self.0.iter().find_map(|piece| match piece {
            Piece::New { star, row } => Some((star.clone(), *row)),
            Piece::Column(_) | Piece::Many => None,
        })
    }

    pub(super) fn gains(&self) -> bool {
        self.first_new().is_some()
    }

    /// Returns how many columns come.
    pub(super) fn news(&self) -> usize {
        self.0.iter().filter(|piece| matches!(piece, Piece::New { .. })).count()
    }

    /// Returns how many columns there are today, if they are known.
    pub(super) fn count(&self) -> Option<usize> {
        (!self.0.contains(&Piece::Many)).then(|| self.0.len() - self.news())
    }

    /// Returns how many columns there will be, if they are known.
    pub(super) fn count_then(&self) -> Option<usize> {
        self.count().map(|count| count + self.news())
    }

    /// Reports whether a column has the new one's name and comes `before` or after it.
    pub(super) fn twice(&self, column: &str) -> Option<Twice> {
        let new = self.0.iter().position(|piece| matches!(piece, Piece::New { .. }))?;
        let old = |piece: &Piece| matches!(piece, Piece::Column(Some(name)) if name == column);
        let old = self.0.iter().position(old)?;
        Some(if new < old { Twice::NewFirst } else { Twice::NewLast })
    }

    /// Reports whether columns of today stand after the new one, and so move.
    pub(super) fn moves(&self) -> bool {
        let new = self.0.iter().position(|piece| matches!(piece, Piece::New { .. }));
        new.is_some_and(|new| self.0[new..].iter().any(|p| !matches!(p, Piece::New { .. })))
    }

    /// Returns it as what a `*` brings.
    pub(super) fn starred(&self, at: &Range<usize>) -> Self {
        let piece = |piece: &Piece| match piece {
            Piece::New { row, .. } => Piece::New { star: at.clone(), row: *row },
            other => other.clone(),
        };
        Self(self.0.iter().map(piece).collect())
    }

    /// Returns it with other names for its first columns.
    pub(super) fn renamed(&self, names: Vec<String>) -> Self {
        let mut pieces = self.0.clone();
        if pieces.contains(&Piece::Many) {
            return Self::of_names(&names);
        }
        let olds = pieces.iter_mut().filter(|piece| matches!(piece, Piece::Column(_)));
        for (piece, name) in olds.zip(names) {
            *piece = Piece::Column(Some(name));
        }
        Self(pieces)
    }

    /// Returns it without columns that a join has merged into another's.
    pub(super) fn without(mut self, names: &[String]) -> Self {
        self.0.retain(|piece| !matches!(piece, Piece::Column(Some(name)) if names.contains(name)));
        self
    }
}

/// Which of two columns with one name comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twice {
    NewFirst,
    NewLast,
}
