//! What an answer's headers tell about limits and about when to come back.

use chrono::{DateTime, TimeDelta, Utc};

use crate::id::{OrganizationId, WorkspaceId};

/// A point in time.
pub type Timestamp = DateTime<Utc>;

/// What a rate limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Requests a minute.
    Requests,
    /// Input tokens a minute, cache reads uncounted.
    InputTokens,
    /// Output tokens a minute.
    OutputTokens,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 3] = [Self::Requests, Self::InputTokens, Self::OutputTokens];

    /// The value of a `dimension` or `reason` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
        }
    }

    /// The headers with its limit, with what remains, and with when it is full again.
    const fn headers(self) -> [&'static str; 3] {
        match self {
            Self::Requests => [
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-requests-reset",
            ],
            Self::InputTokens => [
                "anthropic-ratelimit-input-tokens-limit",
                "anthropic-ratelimit-input-tokens-remaining",
                "anthropic-ratelimit-input-tokens-reset",
            ],
            Self::OutputTokens => [
                "anthropic-ratelimit-output-tokens-limit",
                "anthropic-ratelimit-output-tokens-remaining",
                "anthropic-ratelimit-output-tokens-reset",
            ],
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Requests => "requests per",
            Self::InputTokens => "input tokens per",
            Self::OutputTokens => "output tokens per",
        }
    }
}

/// One rate limit as the headers of an answer give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReading {
    /// What it counts.
    pub dimension: Dimension,
    /// How much a minute.
    pub limit: u64,
    /// How much is left.
    pub remaining: u64,
    /// When it is full again.
    pub reset: Option<Timestamp>,
}

/// What the headers of an answer tell of who answered, and of its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The organisation behind the profile.
    pub organization: Option<OrganizationId>,
    /// The workspace of the profile.
    pub workspace: Option<WorkspaceId>,
    /// The limits, where the answer carries them.
    pub limits: Vec<LimitReading>,
}

/// The longest wait believed when it comes as a number of seconds; a date is believed as it is.
pub const RETRY_AFTER_CAP: TimeDelta = TimeDelta::seconds(3600);

/// The shortest wait after a limit: "retry-after: 0" has been seen, and would be a busy loop.
const RETRY_AFTER_FLOOR: TimeDelta = TimeDelta::seconds(1);

/// What an answer tells of when to come back, and of its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    retry_after: Option<Timestamp>,
    unified_rejected: bool,
    unified_reset: Option<Timestamp>,
    /// The limits, where the answer carries them.
    pub limits: Vec<LimitReading>,
}

impl Hints {
    /// Reads the headers of an answer that arrived at `now`.
    #[must_use]
    pub fn read<'a>(now: Timestamp, header: impl Fn(&str) -> Option<&'a str>) -> Self {
        let limits = Dimension::ALL.into_iter().filter_map(|dimension| {
            let [limit, remaining, reset] = dimension.headers();
            Some(LimitReading {
                dimension,
                limit: header(limit)?.trim().parse().ok()?,
                remaining: header(remaining)?.trim().parse().ok()?,
                reset: header(reset).and_then(rfc3339),
            })
        });
        let mut limits: Vec<_> = limits.collect();
        if limits.is_empty() {
            limits.extend(poe_limit(now, &header));
        }
        Self {
            retry_after: retry_after(now, &header),
            unified_rejected: header("anthropic-ratelimit-unified-status") == Some("rejected"),
            unified_reset: header("anthropic-ratelimit-unified-reset")
                .and_then(|text| DateTime::from_timestamp(text.trim().parse().ok()?, 0)),
            limits,
        }
    }

    /// When a rate limit ends, as far as the server says; never before a second from `now`.
    #[must_use]
    pub fn until(&self, now: Timestamp, message: &str) -> Option<Timestamp> {
        let plan_window = self.unified_reset.filter(|_| self.unified_rejected);
        let exhausted = self.limits.iter().filter(|limit| limit.remaining == 0);
        let until = plan_window
            .max(self.retry_after)
            .or_else(|| exhausted.filter_map(|limit| limit.reset).max())
            .or_else(|| stated_date(message))?;
        Some(until.max(now + RETRY_AFTER_FLOOR))
    }

    /// Which limit was hit: the one that the message names, else one that has nothing left.
    #[must_use]
    pub fn dimension(&self, message: &str) -> Option<Dimension> {
        Dimension::ALL
            .into_iter()
            .rev() // "output tokens per" and "input tokens per" before the plainer "requests per"
            .find(|dimension| message.contains(dimension.words()))
            .or_else(|| {
                self.limits.iter().find(|limit| limit.remaining == 0).map(|limit| limit.dimension)
            })
    }
}

/// Poe's one limit. Where Anthropic tells a date, it tells seconds.
fn poe_limit<'a>(
    now: Timestamp,
    header: &impl Fn(&str) -> Option<&'a str>,
) -> Option<LimitReading> {
    let reset = header("x-ratelimit-reset-requests");
    Some(LimitReading {
        dimension: Dimension::Requests,
        limit: header("x-ratelimit-limit-requests")?.trim().parse().ok()?,
        remaining: header("x-ratelimit-remaining-requests")?.trim().parse().ok()?,
        reset: reset.and_then(|text| from_now(now, text, MILLIS_PER_SECOND)),
    })
}

const MILLIS_PER_SECOND: f64 = 1000.0;

fn retry_after<'a>(now: Timestamp, header: &impl Fn(&str) -> Option<&'a str>) -> Option<Timestamp> {
    let number = |name: &str, unit: f64| from_now(now, header(name)?, unit);
    number("retry-after-ms", 1.0).or_else(|| number("retry-after", MILLIS_PER_SECOND)).or_else(
        || {
            let date = DateTime::parse_from_rfc2822(header("retry-after")?.trim()).ok()?;
            Some(date.with_timezone(&Utc))
        },
    )
}

/// The time so many units from now, a unit in milliseconds.
fn from_now(now: Timestamp, text: &str, unit: f64) -> Option<Timestamp> {
    let wait: f64 = text.trim().parse().ok()?;
    if !wait.is_finite() || wait < 0.0 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, the cap follows")]
    let millis = (wait * unit).ceil() as i64;
    let wait = TimeDelta::try_milliseconds(millis).unwrap_or(RETRY_AFTER_CAP);
    Some(now + wait.min(RETRY_AFTER_CAP))
}

fn rfc3339(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text.trim()).ok().map(|date| date.with_timezone(&Utc))
}

/// The date in "You will regain access on 2026-09-01 at 00:00 UTC."; midnight without a time.
pub(crate) fn stated_date(message: &str) -> Option<Timestamp> {
    let mut words = message.split_whitespace().map(|word| word.trim_matches(['.', ',', ';']));
    let date = words.by_ref().find_map(|word| {
        chrono::NaiveDate::parse_from_str(word, "%Y-%m-%d").ok().filter(|_| word.len() == 10)
    })?;
    let time = words
        .find(|word| word.contains(':'))
        .and_then(|word| chrono::NaiveTime::parse_from_str(word, "%H:%M").ok())
        .unwrap_or_default();
    Some(date.and_time(time).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        rfc3339(text).unwrap()
    }

    fn hints(headers: &[(&str, &str)]) -> Hints {
        Hints::read(at("2026-11-22T10:00:00Z"), |name| {
            headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
        })
    }

    fn until(headers: &[(&str, &str)], message: &str) -> Option<Timestamp> {
        hints(headers).until(at("2026-11-22T10:00:00Z"), message)
    }

    #[test]
    fn every_way_to_say_when_is_understood() {
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, Option<&'a str>);
        let cases: [Case<'_>; 10] = [
            (&[("retry-after", "7")], "", Some("2026-11-22T10:00:07Z")),
            (
                &[("retry-after-ms", "1500"), ("retry-after", "9")],
                "",
                Some("2026-11-22T10:00:01.5Z"),
            ),
            (&[("retry-after", "Sun, 22 Nov 2026 18:00:00 GMT")], "", Some("2026-11-22T18:00:00Z")),
            (&[("retry-after", "604800")], "", Some("2026-11-22T11:00:00Z")),
            (&[("retry-after", "0")], "", Some("2026-11-22T10:00:01Z")),
            (&[("retry-after", "soon")], "", None),
            (
                &[],
                "You will regain access on 2026-12-01 at 00:00 UTC.",
                Some("2026-12-01T00:00:00Z"),
            ),
            (
                &[
                    ("anthropic-ratelimit-unified-status", "rejected"),
                    ("anthropic-ratelimit-unified-reset", "1795370400"),
                ],
                "",
                Some("2026-11-22T18:00:00Z"),
            ),
            (
                &[
                    ("anthropic-ratelimit-requests-limit", "50"),
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "2026-11-22T10:00:32Z"),
                ],
                "",
                Some("2026-11-22T10:00:32Z"),
            ),
            (&[("retry-after", "-5")], "no date 12:30 here", None),
        ];
        for (headers, message, expected) in cases {
            assert_eq!(until(headers, message), expected.map(at), "{headers:?} {message}");
        }
    }

    #[test]
    fn poe_s_limit_is_read_where_there_is_none_of_anthropic_s() {
        let poe = |remaining, reset| {
            [
                ("x-ratelimit-limit-requests", "500"),
                ("x-ratelimit-remaining-requests", remaining),
                ("x-ratelimit-reset-requests", reset),
            ]
        };
        let reading = |remaining, reset: Option<&str>| LimitReading {
            dimension: Dimension::Requests,
            limit: 500,
            remaining,
            reset: reset.map(at),
        };
        for (reset, expected) in [
            ("12", Some("2026-11-22T10:00:12Z")),
            ("0.25", Some("2026-11-22T10:00:00.25Z")),
            ("1e9", Some("2026-11-22T11:00:00Z")),
            ("soon", None),
            ("-1", None),
            ("NaN", None),
        ] {
            assert_eq!(hints(&poe("7", reset)).limits, [reading(7, expected)], "{reset}");
        }
        assert_eq!(until(&poe("0", "12"), ""), Some(at("2026-11-22T10:00:12Z")));
        assert_eq!(until(&poe("1", "12"), ""), None, "something is left: it tells no end");
        let with = |more: &[(&'static str, &'static str)]| [&poe("0", "12")[..], more].concat();
        assert_eq!(until(&with(&[("retry-after", "2")]), ""), Some(at("2026-11-22T10:00:02Z")));
        let both = with(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "9"),
        ]);
        let anthropic = LimitReading { limit: 50, ..reading(9, None) };
        assert_eq!(hints(&both).limits, [anthropic]);
    }

    #[test]
    fn the_limit_that_was_hit_is_told_from_the_message_or_from_what_is_used_up() {
        let none = hints(&[]);
        let text = "This request would exceed your organization's rate limit of 40,000 input tokens per minute";
        assert_eq!(none.dimension(text), Some(Dimension::InputTokens));
        assert_eq!(none.dimension("limit of 300 requests per minute"), Some(Dimension::Requests));
        assert_eq!(none.dimension("Rate limited"), None);
        let used_up = hints(&[
            ("anthropic-ratelimit-output-tokens-limit", "8000"),
            ("anthropic-ratelimit-output-tokens-remaining", "0"),
        ]);
        assert_eq!(used_up.dimension("Rate limited"), Some(Dimension::OutputTokens));
    }
}
