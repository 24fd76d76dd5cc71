//! Rate limits by limit class: the scenario's, and an account's before them.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer};

use super::file::{Misplaced, known, within};
use crate::catalogue;

/// The limits in force for one (organisation, limit class); `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates {
    pub(crate) requests_per_minute: Option<u64>,
    pub(crate) input_tokens_per_minute: Option<u64>,
    pub(crate) output_tokens_per_minute: Option<u64>,
    /// Seconds' worth of requests that may come at once.
    pub(crate) burst_seconds: u64,
    pub(crate) acceleration: Option<Acceleration>,
}

/// How fast the use of input tokens may grow from one minute to the next.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Acceleration {
    /// Tokens a minute that are always fine.
    pub(crate) floor_tokens: u64,
    /// Times the tokens of the minute before.
    pub(crate) growth: f64,
}

/// A minute's worth: a limit of 50 a minute lets 50 come at once.
const BURST_SECONDS: u64 = 60;

/// What a batch of a thousand tasks over three accounts runs into, so that it shows what it does.
const DEFAULT: Rates = Rates {
    requests_per_minute: Some(300),
    input_tokens_per_minute: Some(40_000),
    output_tokens_per_minute: Some(80_000),
    burst_seconds: BURST_SECONDS,
    acceleration: None,
};

/// Far beyond every limit of the API; what is computed with it fits.
pub(super) const MOST: u64 = 1_000_000_000_000;

/// More than a day's worth at once is as good as no limit.
const MAX_BURST_SECONDS: u64 = 86_400;

/// As the lowest usage tier has it.
const COUNT_TOKENS_PER_MINUTE: u64 = 2_000;

/// No limits at all.
const UNLIMITED: Rates = Rates {
    requests_per_minute: None,
    input_tokens_per_minute: None,
    output_tokens_per_minute: None,
    ..DEFAULT
};

/// Limits as written: what is absent is inherited, `null` is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Limits {
    #[serde(deserialize_with = "given")]
    requests_per_minute: Option<Option<NonZeroU64>>,
    #[serde(deserialize_with = "given")]
    input_tokens_per_minute: Option<Option<NonZeroU64>>,
    #[serde(deserialize_with = "given")]
    output_tokens_per_minute: Option<Option<NonZeroU64>>,
    pub(crate) by_limit_class: BTreeMap<String, ClassLimits>,
    burst_seconds: Option<NonZeroU64>,
    #[serde(deserialize_with = "given")]
    acceleration: Option<Option<Acceleration>>,
    #[serde(deserialize_with = "given")]
    count_tokens_per_minute: Option<Option<NonZeroU64>>,
}

/// The limits of one class, as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ClassLimits {
    #[serde(deserialize_with = "given")]
    requests_per_minute: Option<Option<NonZeroU64>>,
    #[serde(deserialize_with = "given")]
    input_tokens_per_minute: Option<Option<NonZeroU64>>,
    #[serde(deserialize_with = "given")]
    output_tokens_per_minute: Option<Option<NonZeroU64>>,
}

impl Limits {
    /// The limits for a class, an account's own before these.
    pub(crate) fn rates(&self, account: &Self, limit_class: &str) -> Rates {
        let mut rates = DEFAULT;
        self.lay_over(&mut rates, limit_class);
        account.lay_over(&mut rates, limit_class);
        rates
    }

    /// These limits alone, for a class.
    pub(crate) fn own_rates(&self, limit_class: &str) -> Rates {
        let mut rates = UNLIMITED;
        self.lay_over(&mut rates, limit_class);
        rates
    }

    /// Token counts a minute, an account's own before these; `None` is unlimited.
    pub(crate) fn count_tokens(&self, account: &Self) -> Option<u64> {
        let given = account.count_tokens_per_minute.or(self.count_tokens_per_minute);
        given.map_or(Some(COUNT_TOKENS_PER_MINUTE), |limit| limit.map(NonZeroU64::get))
    }

    /// Checks what the shape alone does not say.
    pub(super) fn check(&self, path: &str) -> Result<(), Misplaced> {
        if let Some(Some(Acceleration { floor_tokens, growth })) = self.acceleration {
            at_most(&format!("{path}.acceleration.floorTokens"), floor_tokens, MOST)?;
            within(&format!("{path}.acceleration.growth"), growth, 1.0, f64::MAX)?;
        }
        let burst = self.burst_seconds.map_or(0, NonZeroU64::get);
        at_most(&format!("{path}.burstSeconds"), burst, MAX_BURST_SECONDS)?;
        let counts = self.count_tokens_per_minute.flatten().map_or(0, NonZeroU64::get);
        at_most(&format!("{path}.countTokensPerMinute"), counts, MOST)?;
        self.general().check(path)?;
        self.by_limit_class.iter().try_for_each(|(class, limits)| {
            let path = format!("{path}.byLimitClass.{class}");
            known(&path, class, &catalogue::limit_classes(), "limit class")?;
            limits.check(&path)
        })
    }

    fn lay_over(&self, rates: &mut Rates, limit_class: &str) {
        self.general().lay_over(rates);
        if let Some(class) = self.by_limit_class.get(limit_class) {
            class.lay_over(rates);
        }
        rates.burst_seconds = self.burst_seconds.map_or(rates.burst_seconds, NonZeroU64::get);
        rates.acceleration = self.acceleration.unwrap_or(rates.acceleration);
    }

    const fn general(&self) -> ClassLimits {
        ClassLimits {
            requests_per_minute: self.requests_per_minute,
            input_tokens_per_minute: self.input_tokens_per_minute,
            output_tokens_per_minute: self.output_tokens_per_minute,
        }
    }
}

impl ClassLimits {
    fn check(&self, path: &str) -> Result<(), Misplaced> {
        for (name, limit) in [
            ("requestsPerMinute", self.requests_per_minute),
            ("inputTokensPerMinute", self.input_tokens_per_minute),
            ("outputTokensPerMinute", self.output_tokens_per_minute),
        ] {
            let limit = limit.flatten().map_or(0, NonZeroU64::get);
            at_most(&format!("{path}.{name}"), limit, MOST)?;
        }
        Ok(())
    }

    fn lay_over(&self, rates: &mut Rates) {
        let lay = |under: &mut Option<u64>, over: Option<Option<NonZeroU64>>| {
            if let Some(over) = over {
                *under = over.map(NonZeroU64::get);
            }
        };
        lay(&mut rates.requests_per_minute, self.requests_per_minute);
        lay(&mut rates.input_tokens_per_minute, self.input_tokens_per_minute);
        lay(&mut rates.output_tokens_per_minute, self.output_tokens_per_minute);
    }
}

pub(super) fn at_most(path: &str, value: u64, most: u64) -> Result<(), Misplaced> {
    if value <= most {
        return Ok(());
    }
    Err((path.to_owned(), format!("{value} is more than {most}")))
}

/// Tells `null` from absent: a present key is `Some`, whatever its value.
#[expect(clippy::option_option, reason = "absent inherits, null lifts the limit")]
fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
