//! How many calls may be under way where nothing better is known.

/// Calls at once to begin with: what a minute's limits of the lowest tiers bear, and enough for
/// a dozen doublings to reach what the highest do.
const FIRST: f64 = 16.0;

/// The most that it grows to: more calls than one process has connections for.
const WIDEST: f64 = 65_536.0;

/// The part of what is left after a refusal that is regained with every round, or one call if
/// that is more: half is regained in about ten rounds.
const REGAIN: f64 = 1.0 / 16.0;

/// A window on calls under way: one more for each success up to the first refusal, so that it
/// doubles with every round; from then on some more with every round.
#[derive(Clone, Debug)]
pub(super) struct Window {
    size: f64,
    /// Where doubling ends.
    turn: f64,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self { size: FIRST, turn: WIDEST }
    }

    pub(super) fn is_full(&self, in_flight: u32) -> bool {
        f64::from(in_flight) + 1.0 > self.size
    }

    /// A call succeeded; this says something only if about as many as may were under way.
    pub(super) fn grow(&mut self, in_flight: u32) {
        if f64::from(in_flight) * 2.0 >= self.size {
            let step =
                if self.size < self.turn { 1.0 } else { (self.turn * REGAIN).max(1.0) / self.size };
            self.size = (self.size + step).min(WIDEST);
        }
    }

    /// A call was refused while so many were under way, and nothing else tells how many may be. A
    /// window that few calls were in is not narrowed to those at once.
    pub(super) fn halve(&mut self, in_flight: u32) {
        let half = f64::from(in_flight) / 2.0;
        self.size = half.max(self.size / 4.0).clamp(1.0, self.size);
        self.turn = self.size;
    }

    /// A call was refused while so many others were under way: no more than those.
    pub(super) fn stop_at(&mut self, others: u32) {
        self.size = f64::from(others).clamp(1.0, WIDEST);
        self.turn = self.size;
    }

    /// Another one of those others was refused after all.
    pub(super) fn lose_one(&mut self) {
        self.size = (self.size - 1.0).max(1.0);
        self.turn = self.size;
    }

    /// Of two windows on the same limit, the narrower.
    pub(super) const fn merge(self, other: Self) -> Self {
        Self { size: self.size.min(other.size), turn: self.turn.min(other.turn) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_with_every_round_until_a_refusal_and_then_grows_slowly_from_half() {
        let mut window = Window::new();
        for calls in [16, 32, 64] {
            assert!(!window.is_full(calls - 1) && window.is_full(calls));
            for _ in 0..calls {
                window.grow(calls);
            }
        }
        window.halve(128);
        assert!(!window.is_full(63) && window.is_full(64));
        for _ in 0..64 {
            window.grow(64);
        }
        assert!(!window.is_full(66) && window.is_full(68), "a sixteenth more");
    }

    #[test]
    fn successes_of_a_window_that_is_not_used_prove_nothing() {
        let mut window = Window::new();
        for _ in 0..1000 {
            window.grow(2);
        }
        assert!(window.is_full(16));
    }

    #[test]
    fn it_never_closes() {
        let mut window = Window::new();
        window.halve(0);
        window.lose_one();
        assert!(!window.is_full(0));
        window.grow(1);
        assert!(!window.is_full(1));
    }
}
