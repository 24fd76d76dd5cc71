//! Rate limits by limit class: the scenario's, and an account's before them.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer};

/// The limits in force for one (organisation, limit class); `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(crate) requests_per_minute: Option<u64>,
    pub(crate) input_tokens_per_minute: Option<u64>,
    pub(crate) output_tokens_per_minute: Option<u64>,
}

/// What a batch of a thousand tasks over three accounts runs into, so that it shows what it does.
const DEFAULT: Rates = Rates {
    requests_per_minute: Some(300),
    input_tokens_per_minute: Some(40_000),
    output_tokens_per_minute: Some(80_000),
};

/// Limits as written: what is absent is inherited, `null` is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Limits {
    #[serde(deserialize_with = "given")]
    requests_per_minute: Option<Option<NonZeroU64>>,
    #[serde(deserialize_with = "given")]
    input_tokens_per_minute: Option<Option<NonZeroU64>>,
    #[serde(deserialize_with = "given")]
    output_tokens_per_minute: Option<Option<NonZeroU64>>,
    pub(crate) by_limit_class: BTreeMap<String, ClassLimits>,
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
        for limits in [self, account] {
            let class = limits.by_limit_class.get(limit_class);
            limits.general().lay_over(&mut rates);
            class.copied().unwrap_or_default().lay_over(&mut rates);
        }
        rates
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

/// Tells `null` from absent: a present key is `Some`, whatever its value.
#[expect(clippy::option_option, reason = "absent inherits, null lifts the limit")]
fn given<'de, D>(deserializer: D) -> Result<Option<Option<NonZeroU64>>, D::Error>
where
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
