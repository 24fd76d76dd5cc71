//! Why a client key's request is refused, and whether to come back.

use std::time::Duration;

use thiserror::Error;

use crate::limits::Timestamp;
use crate::price::Nanodollars;

/// When to come back for what is freed by the end of another request: nobody knows when that is,
/// and asking once a second costs nothing.
const SOON: Duration = Duration::from_secs(1);

/// The limit that a request does not fit in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Breach {
    /// Too many requests in a minute.
    #[error("this key may make {limit} requests a minute: try again in {}", seconds(*.retry_after))]
    Requests {
        /// Requests a minute.
        limit: u32,
        /// When there is room for one again.
        retry_after: Duration,
    },
    /// Too many tokens in a minute.
    #[error("this key may use {limit} tokens a minute: try again in {}", seconds(*.retry_after))]
    Tokens {
        /// Tokens a minute.
        limit: u64,
        /// When there is room for this request.
        retry_after: Duration,
    },
    /// Too many requests at once.
    #[error("this key may have {limit} requests under way at once: try again when one has ended")]
    Concurrency {
        /// Requests at once.
        limit: u32,
    },
    /// More money than is left of the day's.
    #[error("{}", .budget.told("a day", &format!("the day ends at {}", time(*.resets_at))))]
    Day {
        /// What does not fit.
        budget: Shortfall,
        /// The next midnight, UTC.
        resets_at: Timestamp,
    },
    /// More money than is left at all.
    #[error("{}", .0.told("in all", "this budget is not renewed"))]
    Total(Shortfall),
    /// A model without a known price cannot be paid out of a budget.
    #[error(
        "this key has a budget, and the model has no known price: ask for another model, or have \
         its price added to settings.prices"
    )]
    Unpriced,
}

/// A budget, and a request that does not fit in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// The budget.
    pub limit: Nanodollars,
    /// What is spent of it.
    pub spent: Nanodollars,
    /// What the requests under way may still cost.
    pub reserved: Nanodollars,
    /// What this request may cost.
    pub wanted: Nanodollars,
}

impl Breach {
    /// Which limit it is, in a word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Requests { .. } => "requests",
            Self::Tokens { .. } => "tokens",
            Self::Concurrency { .. } => "concurrency",
            Self::Day { .. } => "day",
            Self::Total(_) => "total",
            Self::Unpriced => "unpriced",
        }
    }

    /// Whether the same request may be let in soon. Money that is spent does not come back; money
    /// that is only reserved may.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Requests { .. } | Self::Tokens { .. } | Self::Concurrency { .. } => true,
            Self::Day { budget, .. } | Self::Total(budget) => budget.is_only_reserved(),
            Self::Unpriced => false,
        }
    }

    /// How long from `now` it is refused at least, where time helps at all.
    #[must_use]
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        match self {
            Self::Requests { retry_after, .. } | Self::Tokens { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::Concurrency { .. } => Some(SOON),
            Self::Day { budget, .. } | Self::Total(budget) if budget.is_only_reserved() => {
                Some(SOON)
            }
            Self::Day { budget, .. } if budget.wanted > budget.limit => None,
            Self::Day { resets_at, .. } => Some((*resets_at - now).to_std().unwrap_or_default()),
            Self::Total(_) | Self::Unpriced => None,
        }
    }
}

impl Shortfall {
    /// The shortfall, if `wanted` is more than is left.
    pub(super) fn find(
        limit: Nanodollars,
        spent: Nanodollars,
        reserved: Nanodollars,
        wanted: Nanodollars,
    ) -> Option<Self> {
        // Exactly, where a sum of money would stop at the largest amount.
        let sum: i128 = [spent, reserved, wanted].iter().map(|part| i128::from(part.0)).sum();
        (sum > limit.0.into()).then_some(Self { limit, spent, reserved, wanted })
    }

    /// Whether nothing but the requests under way is in its way.
    fn is_only_reserved(&self) -> bool {
        self.spent + self.wanted <= self.limit
    }

    fn told(&self, period: &str, renewal: &str) -> String {
        let Self { limit, spent, reserved, wanted } = self;
        let under_way = if *reserved > Nanodollars::default() {
            format!(" and reserved ${reserved} for requests under way")
        } else {
            String::new()
        };
        let advice = if wanted > limit {
            "ask for a lower max_tokens, as that is more than all of it"
        } else if self.is_only_reserved() {
            "try again when one of the others has ended"
        } else {
            "ask for a lower max_tokens, or for a larger budget"
        };
        format!(
            "this key has spent ${spent} of its ${limit} {period}{under_way}, and {renewal}; this \
             request may cost up to ${wanted}: {advice}"
        )
    }
}

fn seconds(wait: Duration) -> String {
    format!("{} s", wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

fn time(at: Timestamp) -> impl std::fmt::Display {
    at.format("%Y-%m-%dT%H:%M:%SZ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOLLAR: i64 = 1_000_000_000;

    fn shortfall(spent: i64, reserved: i64, wanted: i64) -> Shortfall {
        let [spent, reserved, wanted] =
            [spent, reserved, wanted].map(|it| Nanodollars(it * DOLLAR));
        Shortfall::find(Nanodollars(20 * DOLLAR), spent, reserved, wanted).unwrap()
    }

    fn now() -> Timestamp {
        "2026-01-14T23:59:00Z".parse().unwrap()
    }

    fn day(budget: Shortfall) -> Breach {
        Breach::Day { budget, resets_at: "2026-01-15T00:00:00Z".parse().unwrap() }
    }

    #[test]
    fn a_request_fits_in_a_budget_to_the_last_nanodollar() {
        let find = |wanted| {
            Shortfall::find(Nanodollars(10), Nanodollars(5), Nanodollars(2), Nanodollars(wanted))
        };
        assert_eq!(find(3), None);
        assert!(find(4).is_some());
    }

    #[test]
    fn a_retry_can_help_where_something_comes_back_and_is_told_when() {
        let soon = Some(SOON);
        for (breach, kind, may_retry, retry_after) in [
            (Breach::Requests { limit: 5, retry_after: SOON }, "requests", true, soon),
            (Breach::Tokens { limit: 5, retry_after: SOON }, "tokens", true, soon),
            (Breach::Concurrency { limit: 5 }, "concurrency", true, soon),
            (day(shortfall(10, 5, 6)), "day", true, soon),
            (day(shortfall(19, 5, 2)), "day", false, Some(Duration::from_secs(60))),
            (day(shortfall(0, 0, 21)), "day", false, None),
            (Breach::Total(shortfall(10, 5, 6)), "total", true, soon),
            (Breach::Total(shortfall(20, 0, 1)), "total", false, None),
            (Breach::Unpriced, "unpriced", false, None),
        ] {
            let told = (breach.kind(), breach.may_retry(), breach.retry_after(now()));
            assert_eq!(told, (kind, may_retry, retry_after), "{breach:?}");
        }
    }

    #[test]
    fn a_breach_says_which_limit_it_is_and_what_to_do() {
        let retry_after = Duration::from_millis(1_200);
        let told = [
            Breach::Requests { limit: 500, retry_after },
            Breach::Tokens { limit: 9_000, retry_after },
            Breach::Concurrency { limit: 8 },
            day(shortfall(19, 0, 2)),
            day(shortfall(0, 0, 21)),
            Breach::Total(shortfall(10, 5, 6)),
            Breach::Unpriced,
        ]
        .map(|breach| breach.to_string());
        insta::assert_snapshot!(told.join("\n"));
    }
}
