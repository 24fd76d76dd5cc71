//! How much of its rate limits is left to an organisation, so that no call is sent that would be
//! refused.
//!
//! The limits are mirrored as the token buckets that they are, and every answer's headers confine
//! the picture to what they can mean. Where there are no headers, a window on calls under way
//! does instead. Levels are floats: whole tokens below 2^53 are exact, and sums cannot overflow.

mod bucket;
mod output;
mod stock;
mod window;

use chrono::TimeDelta;

use super::{Throttle, Used};
use crate::limits::{Dimension, LimitReading, Timestamp};
use output::Output;
use stock::{Share, Stock};
use window::Window;

/// What a rate limit said to a call that it refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which one it is, as far as it is known.
    pub dimension: Option<Dimension>,
    /// When to come back, as far as it is known.
    pub until: Option<Timestamp>,
}

/// How a call ended, for its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Used(Used),
    /// A rate limit refused it; it counts as nothing.
    Refused(Refusal),
    /// Nobody knows what it counted as.
    Lost,
}

/// Whether one more call may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headroom {
    /// It may.
    Now,
    /// It may from then on, if nothing else happens.
    At(Timestamp, Throttle),
    /// It may when one that is under way has ended.
    Full(Throttle),
}

/// What a call has reserved; whoever holds its lease keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    at: Timestamp,
    request: Share,
    input: Share,
}

/// Token headers are rounded to the nearest thousand.
const ROUNDING: f64 = 500.0;

/// More tokens than any request or limit has: below it sums are exact.
const MOST: u64 = 1 << 40;

/// The longest time after which to look again, in seconds: as long as the longest retry-after
/// that is believed.
const LOOK_AGAIN: f64 = 3600.0;

/// How long a lesson from a refusal is heeded in full: long enough that what is learnt again and
/// again costs no two calls in a thousand.
const LESSON: TimeDelta = TimeDelta::minutes(30);

/// How long the window binds after a refusal that the headers' limits do not explain, such as
/// one of use that grew too fast.
const DISTRUST: TimeDelta = TimeDelta::minutes(5);

/// The headroom of one organisation for one class of models.
#[derive(Clone, Debug)]
pub struct Pace {
    requests: Stock,
    input: Stock,
    output: Output,
    window: Window,
    in_flight: u32,
    /// Until when a refusal holds everything.
    held: Option<(Timestamp, Throttle)>,
    /// Until when the window binds, whatever headers say.
    distrust: Option<Timestamp>,
    /// When a refusal last taught something.
    lesson: Option<Timestamp>,
    /// When the newest call whose headers were read was granted.
    newest: Timestamp,
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

impl Pace {
    /// Of limits that nothing is known of.
    #[must_use]
    pub fn new() -> Self {
        Self {
            requests: Stock::new(),
            input: Stock::new(),
            output: Output::new(),
            window: Window::new(),
            in_flight: 0,
            held: None,
            distrust: None,
            lesson: None,
            newest: Timestamp::MIN_UTC,
        }
    }

    /// Whether a call with so many input tokens could be sent now, and else what it waits for.
    #[must_use]
    pub fn headroom(&self, now: Timestamp, input: u64) -> Headroom {
        let mut longest = (self.requests.until(now, 1.0), Dimension::Requests);
        for other in [
            (self.input.until(now, tokens(input)), Dimension::InputTokens),
            (self.output.until(now), Dimension::OutputTokens),
        ] {
            if other.0 > longest.0 {
                longest = other;
            }
        }
        let throttle = Throttle::Limit(longest.1);
        if longest.0.is_infinite() {
            return Headroom::Full(throttle);
        }
        if self.window_binds(now) && self.window.is_full(self.in_flight) {
            return Headroom::Full(Throttle::Concurrency);
        }
        let limit = (longest.0 > 0.0).then(|| (after(now, longest.0), throttle));
        let held = self.held.filter(|(until, _)| *until > now);
        match limit.into_iter().chain(held).max() {
            Some((until, throttle)) => Headroom::At(until, throttle),
            None => Headroom::Now,
        }
    }

    fn window_binds(&self, now: Timestamp) -> bool {
        !self.is_told() || self.distrust.is_some_and(|until| until > now)
    }

    /// Whether headers tell any limit.
    const fn is_told(&self) -> bool {
        self.requests.bucket.is_some()
            || self.input.bucket.is_some()
            || self.output.bucket.is_some()
    }

    /// Reserves a request of so many input tokens.
    #[must_use = "what was reserved is to be settled"]
    pub fn granted(&mut self, now: Timestamp, input: u64) -> Mark {
        self.relax(now);
        self.in_flight = self.in_flight.saturating_add(1);
        self.output.grant(now);
        let request = self.requests.grant(now, 1.0);
        let input = self.input.grant(now, tokens(input));
        Mark { at: now, request, input }
    }

    /// Takes over what the headers of a call's answer say.
    pub fn read(&mut self, now: Timestamp, mark: &Mark, limits: &[LimitReading]) {
        if mark.at < self.newest {
            return; // A newer call has told what counts since.
        }
        self.newest = mark.at;
        for reading in limits {
            let figures = (tokens(reading.limit), tokens(reading.remaining));
            match reading.dimension {
                Dimension::Requests => {
                    self.requests.read(now, (mark.request, mark.at), figures, 0.0);
                    if let (Some(bucket), Some(reset)) = (&mut self.requests.bucket, reading.reset)
                    {
                        // Limits of requests may be enforced by the second: when it is full again
                        // tells what it holds.
                        let rest = (reset - now).as_seconds_f64().max(0.0);
                        bucket.shrink_to(figures.1 + rest * bucket.rate());
                    }
                }
                Dimension::InputTokens => {
                    self.input.read(now, (mark.input, mark.at), figures, ROUNDING);
                }
                Dimension::OutputTokens => {
                    self.output.read(now, mark.at, figures, reading.reset);
                }
            }
        }
    }

    /// A call has ended.
    pub fn settled(&mut self, now: Timestamp, mark: Mark, outcome: Outcome) {
        match outcome {
            Outcome::Used(used) => {
                self.input.take(now, tokens(used.input) - mark.input.amount);
                self.output.ended(now, mark.at, Some(tokens(used.output)));
                self.window.grow(self.in_flight);
            }
            Outcome::Refused(refusal) => {
                self.requests.take(now, -mark.request.amount);
                self.input.take(now, -mark.input.amount);
                self.output.refused(now, mark.at);
                self.refused(now, &mark, refusal);
            }
            Outcome::Lost => self.output.ended(now, mark.at, None),
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn refused(&mut self, now: Timestamp, mark: &Mark, refusal: Refusal) {
        // What was granted before the last lesson was refused for the same mistake.
        if self.lesson.is_none_or(|lesson| mark.at > lesson) {
            self.lesson = Some(now);
            self.learn(now, mark, refusal);
        } else if refusal.dimension.is_none() && self.is_told() {
            self.window.lose_one();
        }
        let Refusal { dimension, until: Some(until) } = refusal else { return };
        let throttle = dimension.map_or(Throttle::Cooldown, Throttle::Limit);
        self.held = self.held.max(Some((until, throttle)));
        let wait = (until - now).as_seconds_f64().clamp(0.0, LOOK_AGAIN);
        match dimension {
            Some(Dimension::Requests) => self.requests.refused(now, mark.request.amount, wait),
            Some(Dimension::InputTokens) => self.input.refused(now, mark.input.amount, wait),
            Some(Dimension::OutputTokens) => self.output.closed(now, wait),
            None => {}
        }
    }

    /// A refusal was not foreseen: the picture of that limit is too rosy, or there is none.
    fn learn(&mut self, now: Timestamp, mark: &Mark, refusal: Refusal) {
        let is_told = self.is_told();
        let bucket = match refusal.dimension {
            Some(Dimension::Requests) => &mut self.requests.bucket,
            Some(Dimension::InputTokens) => &mut self.input.bucket,
            Some(Dimension::OutputTokens) => &mut self.output.bucket,
            None => &mut None,
        };
        match (bucket, refusal.dimension) {
            (Some(bucket), Some(Dimension::Requests)) => bucket.tighten(mark.request.level),
            (Some(bucket), _) => bucket.widen_margin(),
            (None, _) => {
                self.distrust = refusal.until.unwrap_or(now).max(now).checked_add_signed(DISTRUST);
                if is_told {
                    self.window.stop_at(self.in_flight.saturating_sub(1));
                } else {
                    self.window.halve(self.in_flight);
                }
            }
        }
    }

    /// Forgets half of what refusals have taught, when it is old.
    fn relax(&mut self, now: Timestamp) {
        if self.lesson.is_some_and(|lesson| now - lesson >= LESSON) {
            self.lesson = Some(now);
            let stocks = [&mut self.requests.bucket, &mut self.input.bucket];
            for bucket in stocks.into_iter().chain([&mut self.output.bucket]).flatten() {
                bucket.relax();
            }
        }
    }

    /// Forgets by hand what refusals have taught.
    pub fn clear(&mut self) {
        (self.held, self.distrust, self.lesson) = (None, None, None);
        (self.requests.bucket, self.input.bucket, self.output.bucket) = (None, None, None);
        self.window = Window::new();
    }

    /// What is left of each limit that headers tell.
    pub fn left(&self, now: Timestamp) -> impl Iterator<Item = LimitReading> {
        let buckets = [&self.requests.bucket, &self.input.bucket, &self.output.bucket];
        Dimension::ALL.into_iter().zip(buckets).filter_map(move |(dimension, bucket)| {
            let (limit, remaining) = bucket.as_ref()?.told(now);
            Some(LimitReading { dimension, limit, remaining, reset: None })
        })
    }

    /// What is known of a limit that two profiles turn out to share.
    #[must_use]
    pub fn merge(self, now: Timestamp, other: Self) -> Self {
        Self {
            requests: self.requests.merge(other.requests),
            input: self.input.merge(other.input),
            output: self.output.merge(other.output),
            window: self.window.merge(other.window),
            in_flight: self.in_flight.saturating_add(other.in_flight),
            held: self.held.max(other.held),
            distrust: self.distrust.max(other.distrust),
            lesson: self.lesson.max(other.lesson),
            // What either granted says nothing of what the other did since.
            newest: now.max(self.newest).max(other.newest),
        }
    }
}

/// As a float, within what sums exactly.
fn tokens(count: u64) -> f64 {
    count.min(MOST) as f64
}

/// A moment later than `now` by so many seconds, rounded up.
fn after(now: Timestamp, seconds: f64) -> Timestamp {
    let micros = (seconds.min(LOOK_AGAIN) * 1e6).ceil() as i64;
    let wait = TimeDelta::microseconds(micros.saturating_add(1));
    now.checked_add_signed(wait).unwrap_or(Timestamp::MAX_UTC)
}
