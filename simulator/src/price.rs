//! What a call costs. On purpose not the program's own pricing: two sums that agree because they
//! share a bug mean nothing.

use crate::books::Tokens;
use crate::catalogue::Model;

/// What multiplies every token price of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) us_only: bool,
    pub(crate) fast: bool,
    pub(crate) batch: bool,
}

/// The price of a call in nanodollars, each class rounded once, halves up.
#[expect(clippy::cast_possible_truncation, reason = "multipliers are small and have two decimals")]
pub(crate) fn price(model: &Model, tokens: &Tokens, terms: Terms) -> i64 {
    let prompt = tokens.input + tokens.cache_read + tokens.cache_write_5m + tokens.cache_write_1h;
    let band = model.prompt_bands.iter().rev().find(|band| prompt > band.above_prompt_tokens);
    let rates = band.map_or(&model.rates, |band| &band.rates);
    let geo: i128 = if terms.us_only { 110 } else { 100 };
    let fast = model.fast_multiplier.filter(|_| terms.fast).unwrap_or(1.0);
    let batch: i128 = if terms.batch { 50 } else { 100 };
    let factor = geo * (fast * 100.0).round() as i128 * batch;
    [
        (tokens.input, rates.input),
        (tokens.output, rates.output),
        (tokens.cache_read, rates.cache_read),
        (tokens.cache_write_5m, rates.cache_write_5m),
        (tokens.cache_write_1h, rates.cache_write_1h),
    ]
    .into_iter()
    .map(|(count, rate)| {
        let exact = i128::from(count) * i128::from(rate) * factor;
        let unit = 1_000_000 * 100 * 100 * 100;
        i64::try_from((exact + unit / 2).div_euclid(unit)).unwrap_or(i64::MAX)
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::find;

    fn cost(model: &str, tokens: Tokens, terms: Terms) -> i64 {
        price(find(model).unwrap(), &tokens, terms)
    }

    #[test]
    fn each_class_has_its_own_price() {
        let tokens = Tokens {
            input: 50,
            output: 503,
            cache_read: 1800,
            cache_write_5m: 148,
            cache_write_1h: 100,
        };
        // 50x4 + 503x20 + 1800x0.2 + 148x5 + 100x8 microdollars.
        assert_eq!(cost("claude-opus-5-5", tokens, Terms::default()), 12_160_000);
    }

    #[test]
    fn a_long_prompt_makes_the_whole_call_dearer() {
        let at = Tokens { input: 60_000, cache_read: 40_000, output: 10, ..Tokens::default() };
        let above = Tokens { input: 60_001, ..at };
        assert_eq!(cost("claude-haiku-5-5", at, Terms::default()), 6_405_000);
        assert_eq!(cost("claude-haiku-5-5", above, Terms::default()), 60_001 * 500 + 2_025_000);
    }

    #[test]
    fn halves_of_a_nanodollar_go_up_in_each_class() {
        // 12.5 nanodollars a token: 1 -> 13 for each of the two classes, not 25 for both.
        let tokens = Tokens { cache_read: 1, cache_write_5m: 0, ..Tokens::default() };
        assert_eq!(cost("claude-3-haiku-20240307", tokens, Terms::default()), 25);
        let tokens = Tokens { cache_write_5m: 1, ..tokens };
        assert_eq!(cost("claude-3-haiku-20240307", tokens, Terms::default()), 25 + 313);
    }

    #[test]
    fn us_inference_fast_mode_and_batches_multiply() {
        let tokens = Tokens { input: 1000, ..Tokens::default() };
        let both = Terms { us_only: true, fast: true, batch: false };
        assert_eq!(cost("claude-opus-4-8", tokens, both), 11_000_000);
        assert_eq!(cost("claude-opus-4-6", tokens, both), 5_500_000, "4.6 has no fast mode");
        let batch = Terms { us_only: true, fast: false, batch: true };
        assert_eq!(cost("claude-opus-4-6", tokens, batch), 2_750_000);
    }
}
