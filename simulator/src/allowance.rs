//! What an organisation may use of a limit class, and the headers that say so.

use std::time::Duration;

use crate::bucket::Bucket;
use crate::clock::{Clock, SimTime};
use crate::growth::Growth;
use crate::scenario::Rates;

/// A thing that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dimension {
    Requests,
    InputTokens,
    OutputTokens,
    /// How fast use may grow; no header tells of it.
    Growth,
}

impl Dimension {
    /// What there are buckets for.
    const ALL: [Self; 3] = [Self::Requests, Self::InputTokens, Self::OutputTokens];

    /// As error messages call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::Growth => "growth",
        }
    }

    const fn header_infix(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input-tokens",
            Self::OutputTokens => "output-tokens",
            Self::Growth => "growth",
        }
    }
}

/// Why a request was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) dimension: Dimension,
    pub(crate) limit: u64,
    /// Simulated time until the request would be admitted.
    pub(crate) wait: Duration,
}

/// What an organisation, or a workspace, may use of one limit class; `None` is unlimited.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    buckets: [Option<Bucket>; 3],
    growth: Option<Growth>,
}

impl Allowance {
    pub(crate) fn full(rates: &Rates, now: SimTime) -> Self {
        let bucket = |limit: Option<u64>| limit.map(|limit| Bucket::full(limit, now));
        let of_requests = |limit| Bucket::of_seconds(rates.burst_seconds, limit, now);
        let buckets = [
            rates.requests_per_minute.map(of_requests),
            bucket(rates.input_tokens_per_minute),
            bucket(rates.output_tokens_per_minute),
        ];
        Self { buckets, growth: rates.acceleration.map(|limit| Growth::new(limit, now)) }
    }

    /// Whether a request would be refused now, and for what: the limit that binds longest. Output
    /// is charged as it is produced, so here it only must not be overdrawn.
    ///
    /// # Errors
    /// If it would be.
    pub(crate) fn check(&mut self, now: SimTime, input_tokens: u64) -> Result<(), Refusal> {
        self.refill(now);
        let refusals =
            Dimension::ALL.into_iter().zip(&self.buckets).filter_map(|(dimension, bucket)| {
                let bucket = bucket.as_ref()?;
                let wait = match dimension {
                    Dimension::Requests => bucket.wait_for(1),
                    Dimension::InputTokens => bucket.wait_for(input_tokens),
                    Dimension::OutputTokens | Dimension::Growth => bucket.wait_for_any(),
                }?;
                Some(Refusal { dimension, limit: bucket.limit(), wait })
            });
        let grown = self.growth.as_ref().and_then(|growth| growth.refusal(now, input_tokens));
        refusals.chain(grown).max_by_key(|refusal| refusal.wait).map_or(Ok(()), Err)
    }

    /// Charges a request and its input.
    pub(crate) fn charge(&mut self, input_tokens: u64) {
        self.take(Dimension::Requests, 1);
        self.take(Dimension::InputTokens, input_tokens);
        if let Some(growth) = &mut self.growth {
            growth.current += input_tokens;
        }
    }

    /// Charges output as it is produced.
    pub(crate) fn produced(&mut self, now: SimTime, output_tokens: u64) {
        self.refill(now);
        self.take(Dimension::OutputTokens, output_tokens);
    }

    /// The rate limit headers, as of the last refill.
    pub(crate) fn headers(&self, clock: &Clock) -> Vec<(String, String)> {
        let mut headers = Vec::with_capacity(12);
        let mut put = |infix: &str, limit: u64, remaining: u64, full_after: Duration| {
            let name = |what| format!("anthropic-ratelimit-{infix}-{what}");
            headers.push((name("limit"), limit.to_string()));
            headers.push((name("remaining"), remaining.to_string()));
            headers.push((name("reset"), clock.stamp_after(full_after)));
        };
        for (dimension, bucket) in Dimension::ALL.into_iter().zip(&self.buckets) {
            let Some(bucket) = bucket else { continue };
            let infix = dimension.header_infix();
            put(infix, bucket.limit(), stated(dimension, bucket), bucket.until_full());
        }
        if let [_, Some(input), Some(output)] = &self.buckets {
            // Both together; the reset is the earlier of the two, as in recorded answers.
            put(
                "tokens",
                input.limit() + output.limit(),
                stated(Dimension::InputTokens, input) + stated(Dimension::OutputTokens, output),
                input.until_full().min(output.until_full()),
            );
        }
        headers
    }

    fn refill(&mut self, now: SimTime) {
        for bucket in self.buckets.iter_mut().flatten() {
            bucket.refill(now);
        }
        if let Some(growth) = &mut self.growth {
            growth.roll(now);
        }
    }

    fn take(&mut self, dimension: Dimension, tokens: u64) {
        if let Some(Some(bucket)) = self.buckets.get_mut(dimension as usize) {
            bucket.take(tokens);
        }
    }
}

/// What a `remaining` header says: tokens are rounded to the nearest thousand.
fn stated(dimension: Dimension, bucket: &Bucket) -> u64 {
    match dimension {
        Dimension::Requests => bucket.remaining(),
        Dimension::InputTokens | Dimension::OutputTokens | Dimension::Growth => {
            (bucket.remaining() + 500) / 1000 * 1000
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(requests: Option<u64>, input: Option<u64>, output: Option<u64>) -> Allowance {
        let rates = Rates {
            requests_per_minute: requests,
            input_tokens_per_minute: input,
            output_tokens_per_minute: output,
            burst_seconds: 60,
            acceleration: None,
        };
        Allowance::full(&rates, SimTime(0))
    }

    fn admit(allowance: &mut Allowance, input_tokens: u64) -> Result<(), Refusal> {
        allowance.check(SimTime(0), input_tokens).inspect(|()| allowance.charge(input_tokens))
    }

    #[test]
    fn a_refused_request_is_charged_nothing() {
        let mut allowance = allowance(Some(2), Some(100), None);
        let refusal = admit(&mut allowance, 101).unwrap_err();
        assert_eq!(refusal.dimension, Dimension::InputTokens);
        assert_eq!(admit(&mut allowance, 100), Ok(()));
        assert_eq!(admit(&mut allowance, 0), Ok(()), "the refused one took no request");
        assert!(admit(&mut allowance, 0).is_err());
    }

    #[test]
    fn the_dimension_with_the_longest_wait_is_the_one_that_is_named() {
        let mut allowance = allowance(Some(60), Some(60_000), Some(600));
        for _ in 0..60 {
            admit(&mut allowance, 500).unwrap();
        }
        let refusal = admit(&mut allowance, 50_000).unwrap_err();
        assert_eq!((refusal.dimension, refusal.limit), (Dimension::InputTokens, 60_000));
        assert_eq!(refusal.wait, Duration::from_secs(20));
    }

    #[test]
    fn output_counts_when_produced_and_only_an_overdrawn_bucket_refuses() {
        let mut allowance = allowance(None, None, Some(600));
        allowance.produced(SimTime(0), 599);
        assert_eq!(admit(&mut allowance, 1_000_000), Ok(()));
        allowance.produced(SimTime(0), 101);
        let refusal = admit(&mut allowance, 1).unwrap_err();
        assert_eq!(refusal.dimension, Dimension::OutputTokens);
        assert!(refusal.wait > Duration::from_secs(10) && refusal.wait < Duration::from_secs(11));
    }

    #[tokio::test(start_paused = true)]
    async fn headers_round_tokens_to_thousands_and_leave_out_what_is_unlimited() {
        let clock = Clock::new(1000);
        let mut limited = allowance(Some(50), Some(30_000), Some(8_000));
        admit(&mut limited, 1_600).unwrap();
        let headers = limited.headers(&clock);
        let value = |name: &str| {
            let name = format!("anthropic-ratelimit-{name}");
            headers.iter().find(|(known, _)| *known == name).unwrap().1.clone()
        };
        assert_eq!(value("requests-remaining"), "49");
        assert_eq!(
            (value("input-tokens-limit"), value("input-tokens-remaining")),
            ("30000".into(), "28000".into())
        );
        assert_eq!(
            (value("tokens-limit"), value("tokens-remaining")),
            ("38000".into(), "36000".into())
        );
        assert_eq!(value("input-tokens-reset"), clock.stamp_after(Duration::from_millis(3200)));
        assert_eq!(value("tokens-reset"), value("output-tokens-reset"), "the earlier one");
        assert_ne!(value("tokens-reset"), value("input-tokens-reset"));
        assert_eq!(value("output-tokens-reset").len(), "2026-02-25T20:02:37Z".len());
        assert!(allowance(None, None, None).headers(&clock).is_empty());
    }
}
