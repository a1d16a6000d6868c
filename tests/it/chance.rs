//! Chance that can be repeated: a seed decides all.

/// Numbers from a seed (SplitMix64).
pub(crate) struct Chance(u64);

/// Returns the seed that is given, or one of this process, and says how to have it again.
#[expect(clippy::disallowed_methods, reason = "the seed that a failed test printed")]
pub(crate) fn seed() -> u64 {
    let given = std::env::var("NEWCOL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("repeat with NEWCOL_SEED={seed}");
    seed
}

impl Chance {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 to one less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Says yes once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
