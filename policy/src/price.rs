//! Money as integers: prices per model, and what a call costs.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::model::{Catalogue, ModelInfo};
use crate::usage::{BillingClass, Terms, Usage};

/// Money: a billionth of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanodollars(pub i64);

impl Nanodollars {
    /// Dollars for display and for metrics; the only place where money becomes a float.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact up to nine million dollars")]
    pub fn as_dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Add for Nanodollars {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Nanodollars {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Nanodollars {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Add::add)
    }
}

/// Writes dollars as a plain decimal with at most nine places: `0.004217`.
impl fmt::Display for Nanodollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) =
            (self.0.unsigned_abs() / 1_000_000_000, self.0.unsigned_abs() % 1_000_000_000);
        if part == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{part:09}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// Why a text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be an amount in dollars such as 20 or 0.25, with at most nine decimals")]
pub struct AmountError;

/// Reads dollars as a plain decimal, digit for digit: `0.004217`.
impl FromStr for Nanodollars {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_number =
            |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || part.len() > 9 {
            return Err(AmountError);
        }
        format!("{whole}{part:0<9}").parse().map(Self).map_err(|_| AmountError)
    }
}

/// Serialises as a JSON number in plain decimal notation, digit for digit.
impl Serialize for Nanodollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::value::RawValue::from_string(self.to_string())
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

/// A price: nanodollars for a million tokens. One US dollar a million tokens is 10^9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub i64);

impl Rate {
    /// The rate for a price in dollars a million tokens, as price lists give it.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "list prices are far below 2^53 nanodollars"
    )]
    pub fn from_dollars(usd_per_million: f64) -> Self {
        Self((usd_per_million * 1e9).round() as i64)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self::from_dollars)
    }
}

/// The price of each token class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rates {
    /// Of [`BillingClass::Input`].
    pub input: Rate,
    /// Of [`BillingClass::Output`].
    pub output: Rate,
    /// Of [`BillingClass::CacheWrite5m`].
    #[serde(rename = "cacheWrite5m")]
    pub cache_write_5m: Rate,
    /// Of [`BillingClass::CacheWrite1h`].
    #[serde(rename = "cacheWrite1h")]
    pub cache_write_1h: Rate,
    /// Of [`BillingClass::CacheRead`].
    pub cache_read: Rate,
}

impl Rates {
    const fn of(&self, class: BillingClass) -> Rate {
        match class {
            BillingClass::Input => self.input,
            BillingClass::Output => self.output,
            BillingClass::CacheRead => self.cache_read,
            BillingClass::CacheWrite5m => self.cache_write_5m,
            BillingClass::CacheWrite1h => self.cache_write_1h,
            BillingClass::WebSearch => WEB_SEARCH,
        }
    }
}

/// Ten dollars a thousand searches, for a million of them.
const WEB_SEARCH: Rate = Rate(10_000_000_000_000);

/// What one call cost, class by class, in the order of [`BillingClass::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost([Nanodollars; 6]);

impl Cost {
    /// The cost of one class.
    #[must_use]
    pub fn of(&self, class: BillingClass) -> Nanodollars {
        self.0[class as usize]
    }

    /// The cost of the call.
    #[must_use]
    pub fn total(&self) -> Nanodollars {
        self.0.iter().copied().sum()
    }
}

/// A price given in the configuration; what it leaves out follows the model's own ratios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PriceOverride {
    /// Input.
    pub input: Rate,
    /// Output.
    pub output: Rate,
    /// Cache reads.
    pub cache_read: Option<Rate>,
    /// Cache writes for five minutes.
    pub cache_write_5m: Option<Rate>,
    /// Cache writes for an hour.
    pub cache_write_1h: Option<Rate>,
}

impl PriceOverride {
    fn rates(&self, listed: Option<&ModelInfo>) -> Rates {
        // The API's own multipliers, where there is no list price to take the ratio from.
        let [read, short, long] = listed.map_or([(1, 10), (5, 4), (2, 1)], |info| {
            let base = info.rates.input.0;
            [info.rates.cache_read, info.rates.cache_write_5m, info.rates.cache_write_1h]
                .map(|rate| (rate.0, base))
        });
        let scaled = |(num, den): (i64, i64)| {
            Rate(round_div(i128::from(self.input.0) * i128::from(num), i128::from(den.max(1))))
        };
        Rates {
            input: self.input,
            output: self.output,
            cache_read: self.cache_read.unwrap_or_else(|| scaled(read)),
            cache_write_5m: self.cache_write_5m.unwrap_or_else(|| scaled(short)),
            cache_write_1h: self.cache_write_1h.unwrap_or_else(|| scaled(long)),
        }
    }
}

/// The prices in force: the catalogue's, and the configuration's before them.
#[derive(Clone, Debug, Default)]
pub struct PriceList {
    overrides: BTreeMap<String, Rates>,
}

impl PriceList {
    /// Prices with `overrides` by model name (aliases included) before the catalogue's.
    #[must_use]
    pub fn new(overrides: impl IntoIterator<Item = (String, PriceOverride)>) -> Self {
        let catalogue = Catalogue::get();
        let overrides = overrides.into_iter().map(|(name, price)| {
            let listed = catalogue.find(&name);
            (listed.map_or(name, |info| info.id.clone()), price.rates(listed))
        });
        Self { overrides: overrides.collect() }
    }

    /// What `usage` of `model` costs, rounded once for each class, half a nanodollar up;
    /// `None` if the model has no known price: unpriced, never free.
    #[must_use]
    pub fn cost(&self, model: &str, usage: &Usage, terms: Terms) -> Option<Cost> {
        let info = Catalogue::get().find(model);
        let rates = match self.overrides.get(info.map_or(model, |info| &info.id)) {
            Some(rates) => *rates,
            None => info?.rates_at(usage.prompt()),
        };
        let (mut num, mut den) = (1_i128, 1_i128);
        if terms.batch {
            den *= 2;
        }
        if terms.us_only {
            (num, den) = (num * 11, den * 10);
        }
        if let (true, Some(fast)) = (terms.fast, info.and_then(|info| info.fast_percent)) {
            (num, den) = (num * i128::from(fast), den * 100);
        }
        Some(Cost(BillingClass::ALL.map(|class| {
            // Searches have one price whatever the terms.
            let (num, den) = if class == BillingClass::WebSearch { (1, 1) } else { (num, den) };
            let exact = i128::from(usage.of(class)) * i128::from(rates.of(class).0) * num;
            Nanodollars(round_div(exact, 1_000_000 * den))
        })))
    }
}

/// Division rounded to nearest, halves up, saturating; for `den > 0` and `num >= 0`.
fn round_div(num: i128, den: i128) -> i64 {
    i64::try_from((num * 2 + den) / (den * 2)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(model: &str, usage: Usage, terms: Terms) -> i64 {
        PriceList::default().cost(model, &usage, terms).unwrap().total().0
    }

    #[test]
    fn a_call_is_priced_in_its_five_classes_and_searches() {
        let usage = Usage {
            input: 50,
            output: 503,
            cache_read: 1800,
            cache_write_5m: 148,
            cache_write_1h: 100,
            web_searches: 1,
        };
        // 50x4 + 503x20 + 1800x0.2 + 148x5 + 100x8 = 12,160 microdollars, and a cent.
        assert_eq!(cost("claude-opus-5-5", usage, Terms::default()), 12_160_000 + 10_000_000);
    }

    #[test]
    fn terms_multiply_tokens_but_not_searches() {
        let usage = Usage { input: 1000, web_searches: 1, ..Usage::default() };
        let batch = Terms { batch: true, ..Terms::default() };
        assert_eq!(cost("claude-opus-4-8", usage, batch), 2_500_000 + 10_000_000);
        let us_fast = Terms { us_only: true, fast: true, ..Terms::default() };
        assert_eq!(cost("claude-opus-4-8", usage, us_fast), 11_000_000 + 10_000_000);
        // Fast mode is silently standard on a model that has none.
        let fast = Terms { fast: true, ..Terms::default() };
        assert_eq!(cost("claude-opus-4-6", usage, fast), 5_000_000 + 10_000_000);
    }

    #[test]
    fn a_prompt_above_the_band_is_dearer_as_a_whole_output_too() {
        let at = Usage { input: 60_000, cache_read: 40_000, output: 10, ..Usage::default() };
        let above = Usage { input: 60_001, ..at };
        assert_eq!(cost("claude-haiku-5-5", at, Terms::default()), 6_000_000 + 400_000 + 5_000);
        assert_eq!(
            cost("claude-haiku-5-5", above, Terms::default()),
            60_001 * 500 + 2_000_000 + 25_000
        );
    }

    #[test]
    fn each_class_is_rounded_once_and_half_a_nanodollar_goes_up() {
        let prices = PriceList::new([(
            "mine".into(),
            PriceOverride {
                input: Rate(500_000),
                output: Rate(1_500_000),
                cache_read: Some(Rate(0)),
                cache_write_5m: None,
                cache_write_1h: None,
            },
        )]);
        let usage = Usage { input: 1, output: 1, ..Usage::default() };
        let cost = prices.cost("mine", &usage, Terms::default()).unwrap();
        assert_eq!(cost.of(BillingClass::Input), Nanodollars(1));
        assert_eq!(cost.of(BillingClass::Output), Nanodollars(2));
    }

    #[test]
    fn an_unknown_model_is_unpriced_not_free() {
        assert_eq!(
            PriceList::default().cost("claude-fable-5-2", &Usage::default(), Terms::default()),
            None
        );
    }

    #[test]
    fn an_override_by_alias_holds_for_the_model_and_keeps_its_cache_ratio() {
        let price = PriceOverride {
            input: Rate::from_dollars(2.0),
            output: Rate::from_dollars(10.0),
            cache_read: None,
            cache_write_5m: None,
            cache_write_1h: None,
        };
        let prices = PriceList::new([("claude-opus-5.5".into(), price)]);
        let usage = Usage { cache_read: 1_000_000, ..Usage::default() };
        let cost = prices.cost("claude-opus-5-5", &usage, Terms::default()).unwrap();
        assert_eq!(cost.total(), Nanodollars(100_000_000), "0.05x, not 0.1x");
    }

    #[test]
    fn money_is_written_as_a_plain_decimal() {
        let text = |nano| serde_json::to_string(&Nanodollars(nano)).unwrap();
        assert_eq!(text(4_217_000), "0.004217");
        assert_eq!(text(1), "0.000000001");
        assert_eq!(text(0), "0");
        assert_eq!(text(12_000_000_000), "12");
        assert_eq!(text(-1_500_000_000), "-1.5");
    }

    #[test]
    fn money_is_read_as_it_is_written() {
        for nano in [0, 1, 4_217_000, 20_100_000_000, 12_000_000_000, i64::MAX] {
            assert_eq!(Nanodollars(nano).to_string().parse(), Ok(Nanodollars(nano)));
        }
        assert_eq!("007.50".parse(), Ok(Nanodollars(7_500_000_000)));
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "$1",
            " 1",
            "1.0000000001",
            "9223372037",
        ] {
            assert_eq!(text.parse::<Nanodollars>(), Err(AmountError), "{text}");
        }
    }
}
