//! What a call may cost at most, known before it is sent.

use crate::price::{Cost, PriceList};
use crate::usage::{Terms, Usage};

/// What is known of a request before it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// Length of the request's body, in bytes.
    pub body_bytes: u64,
    /// The most it may write, in tokens.
    pub max_tokens: u64,
    /// Whether it asks for a cache write, the dearest way to read a token.
    pub writes_cache: bool,
    /// The terms it asks for.
    pub terms: Terms,
}

/// Tokens that upstream adds of its own, such as the hidden system prompt of tool use: 804 at
/// the most.
const HIDDEN_TOKENS: u64 = 1000;

/// Bytes of JSON for a token, at the least: English has four and more, dense digits and
/// non-Latin scripts two to three in UTF-8.
pub const BYTES_PER_TOKEN: u64 = 2;

/// An upper bound on what a call can cost; `None` for a model without a known price.
#[must_use]
pub fn reservation(prices: &PriceList, model: &str, estimate: &Estimate) -> Option<Cost> {
    let prompt = estimate.body_bytes.div_ceil(BYTES_PER_TOKEN).saturating_add(HIDDEN_TOKENS);
    let read = if estimate.writes_cache {
        Usage { cache_write_1h: prompt, ..Usage::default() }
    } else {
        Usage { input: prompt, ..Usage::default() }
    };
    let usage = Usage { output: estimate.max_tokens, ..read };
    prices.cost(model, &usage, estimate.terms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reserved(estimate: Estimate) -> Cost {
        reservation(&PriceList::default(), "claude-haiku-5-5", &estimate).unwrap()
    }

    proptest! {
        #[test]
        fn a_reservation_bounds_every_usage_it_was_made_for(
            body_bytes in 0..2_000_000_u64,
            max_tokens in 1..128_000_u64,
            shares in prop::array::uniform4(0..100_u64),
            written in 0..=100_u64,
        ) {
            let prompt = body_bytes / BYTES_PER_TOKEN;
            let sum = shares.iter().sum::<u64>().max(1);
            let part = |at: usize| prompt * shares[at] / sum;
            let usage = Usage {
                input: part(0),
                cache_read: part(1),
                cache_write_5m: part(2),
                cache_write_1h: part(3),
                output: max_tokens * written / 100,
                web_searches: 0,
            };
            let cost = PriceList::default().cost("claude-haiku-5-5", &usage, Terms::default());
            let terms = Terms::default();
            let bound = reserved(Estimate { body_bytes, max_tokens, writes_cache: true, terms });
            prop_assert!(cost.unwrap().total() <= bound.total());
        }
    }

    #[test]
    fn an_unknown_model_has_no_bound() {
        let estimate =
            Estimate { body_bytes: 1, max_tokens: 1, writes_cache: false, terms: Terms::default() };
        assert_eq!(reservation(&PriceList::default(), "mystery", &estimate), None);
    }
}
