//! Requests of mixed lengths.

/// Numbers that look random and are always the same.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    /// From zero up to one (splitmix64).
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    /// Log-normal about `median`, within bounds.
    fn length(&mut self, median: f64, (low, high): (f64, f64)) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        (median * normal.exp()).clamp(low, high).round()
    }
}

/// What a request is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) agent: usize,
    pub(crate) bytes: u64,
    pub(crate) input: f64,
    pub(crate) output: f64,
    /// Tokens a second.
    pub(crate) speed: f64,
    /// Seconds to the first token.
    pub(crate) first: f64,
}

impl Work {
    /// The third agent reads a part of its prompts from a cache.
    pub(crate) fn draw(draw: &mut Draw) -> Self {
        let agent = (draw.unit() * 3.0) as usize;
        let prompt = draw.length(5000.0, (500.0, 50_000.0));
        let bytes = (prompt * draw.between(3.2, 4.8)) as u64;
        let fresh = if agent == 2 { draw.between(0.1, 0.5) } else { 1.0 };
        Self {
            agent,
            bytes,
            input: (prompt * fresh).round(),
            output: draw.length(600.0, (50.0, 8000.0)),
            speed: draw.between(50.0, 80.0),
            first: draw.between(0.4, 1.6),
        }
    }
}
