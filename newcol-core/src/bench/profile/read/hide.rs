//! What becomes of a value of the data.

use std::hash::{BuildHasher as _, RandomState};

use super::{super::Common, Secrecy};

/// Keeps values out of a profile.
#[derive(Debug)]
pub(super) struct Hide {
    secrecy: Secrecy,
    /// Has a random key of 128 bits, which nobody can ask it for: it is gone with this value.
    key: RandomState,
}

impl Hide {
    pub(super) fn new(secrecy: Secrecy) -> Self {
        Self { secrecy, key: RandomState::new() }
    }

    pub(super) fn common(&self, frequency: f64, value: &str) -> Common {
        Common {
            frequency,
            hash: format!("{:016x}", self.key.hash_one(value)),
            value: self.shown(value),
        }
    }

    pub(super) fn shown(&self, value: &str) -> Option<String> {
        match self.secrecy {
            Secrecy::NoValues => None,
            Secrecy::WithValues => Some(value.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_tells_equal_values_of_one_file_and_nothing_of_another() {
        let (one, other) = (Hide::new(Secrecy::NoValues), Hide::new(Secrecy::NoValues));
        let hash = |hide: &Hide, value| hide.common(0.5, value).hash;
        assert_eq!(hash(&one, "a"), hash(&one, "a"));
        assert_ne!(hash(&one, "a"), hash(&one, "b"));
        assert_ne!(hash(&one, "a"), hash(&other, "a"));
        assert_eq!(one.common(0.5, "a").value, None);
    }
}
