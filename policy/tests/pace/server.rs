//! The limits of one organisation as the server keeps them, simply.

use chrono::{DateTime, SubsecRound, TimeDelta};
use polpo_policy::limits::{Dimension, LimitReading, Timestamp};

/// What the server allows, and how it tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) requests: u64,
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// Seconds of requests that may come at once.
    pub(crate) burst: f64,
    /// Whether headers tell of that, or of a minute.
    pub(crate) is_burst_told: bool,
    pub(crate) has_headers: bool,
    /// Input of the first minute, and how much more each next minute may have.
    pub(crate) growth: Option<(f64, f64)>,
}

struct Tank {
    rate: f64,
    capacity: f64,
    level: f64,
    drain: f64,
}

impl Tank {
    fn new(limit: u64, seconds: f64) -> Self {
        let rate = limit as f64 / 60.0;
        let capacity = (rate * seconds).max(1.0);
        Self { rate, capacity, level: capacity, drain: 0.0 }
    }

    fn pass(&mut self, seconds: f64) {
        self.level = (self.level + seconds * (self.rate - self.drain)).min(self.capacity);
    }

    /// Seconds until so much is there.
    fn wait(&self, amount: f64) -> f64 {
        (amount - self.level).max(0.0) / self.rate
    }
}

/// A refusal: what for, and the seconds of its retry-after.
pub(crate) struct Refused {
    pub(crate) dimension: Option<Dimension>,
    pub(crate) after: i64,
}

pub(crate) struct Server {
    limits: Limits,
    requests: Tank,
    burst: Tank,
    input: Tank,
    output: Tank,
    now: f64,
    minutes: (u64, f64, f64),
    /// Requests, input tokens and output tokens that were let through.
    pub(crate) served: [f64; 3],
}

impl Server {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            requests: Tank::new(limits.requests, 60.0),
            burst: Tank::new(limits.requests, limits.burst),
            input: Tank::new(limits.input, 60.0),
            output: Tank::new(limits.output, 60.0),
            now: 0.0,
            minutes: (0, 0.0, 0.0),
            served: [0.0; 3],
            limits,
        }
    }

    pub(crate) fn pass(&mut self, now: f64) {
        let seconds = now - self.now;
        self.now = now;
        self.served[2] += seconds * self.output.drain;
        for tank in [&mut self.requests, &mut self.burst, &mut self.input, &mut self.output] {
            tank.pass(seconds);
        }
        let minute = (now / 60.0) as u64;
        if minute > self.minutes.0 {
            let before = if minute == self.minutes.0 + 1 { self.minutes.2 } else { 0.0 };
            self.minutes = (minute, before, 0.0);
        }
    }

    pub(crate) fn admit(&mut self, now: f64, input: f64) -> Result<(), Refused> {
        self.pass(now);
        let waits = [
            (self.requests.wait(1.0).max(self.burst.wait(1.0)), Some(Dimension::Requests)),
            (self.input.wait(input.min(self.input.capacity)), Some(Dimension::InputTokens)),
            (self.output.wait(1e-6), Some(Dimension::OutputTokens)),
            (self.too_fast(input), None),
        ];
        let (wait, dimension) = waits.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        if wait > 0.0 {
            return Err(Refused { dimension, after: wait.ceil() as i64 });
        }
        self.requests.level -= 1.0;
        self.burst.level -= 1.0;
        self.input.level -= input;
        self.minutes.2 += input;
        self.served[0] += 1.0;
        self.served[1] += input;
        Ok(())
    }

    fn too_fast(&self, input: f64) -> f64 {
        let Some((floor, factor)) = self.limits.growth else { return 0.0 };
        let (minute, before, current) = self.minutes;
        let is_over = current > 0.0 && current + input > floor.max(before * factor);
        if is_over { (minute + 1) as f64 * 60.0 - self.now } else { 0.0 }
    }

    /// A call begins, or with a negative speed ceases, to write.
    pub(crate) fn write(&mut self, now: f64, speed: f64) {
        self.pass(now);
        self.output.drain += speed;
    }

    /// All limits become that part of what they were.
    pub(crate) fn cut(&mut self, now: f64, part: f64) {
        self.pass(now);
        let less = |limit: u64| (limit as f64 * part) as u64;
        let Limits { requests, input, output, .. } = self.limits;
        self.limits.requests = less(requests);
        self.limits.input = less(input);
        self.limits.output = less(output);
        for tank in [&mut self.requests, &mut self.burst, &mut self.input, &mut self.output] {
            tank.rate *= part;
            tank.capacity = (tank.capacity * part).max(1.0);
            tank.level = tank.level.min(tank.capacity);
        }
    }

    pub(crate) fn headers(&self) -> Vec<LimitReading> {
        if !self.limits.has_headers {
            return Vec::new();
        }
        let requests = if self.limits.is_burst_told { &self.burst } else { &self.requests };
        let thousands = |level: f64| ((level.max(0.0) + 500.0) / 1000.0).floor() as u64 * 1000;
        let reading = |dimension, tank: &Tank, limit, remaining| {
            let full = self.now + (tank.capacity - tank.level) / tank.rate;
            let at = moment(full);
            let whole = at.trunc_subsecs(0);
            let reset = if whole < at { whole + TimeDelta::seconds(1) } else { whole };
            LimitReading { dimension, limit, remaining, reset: Some(reset) }
        };
        let Self { input, output, limits, .. } = self;
        let whole = requests.level.max(0.0).floor() as u64;
        vec![
            reading(Dimension::Requests, requests, limits.requests, whole),
            reading(Dimension::InputTokens, input, limits.input, thousands(input.level)),
            reading(Dimension::OutputTokens, output, limits.output, thousands(output.level)),
        ]
    }
}

/// The time after so many seconds.
pub(crate) fn moment(seconds: f64) -> Timestamp {
    DateTime::UNIX_EPOCH + TimeDelta::nanoseconds((seconds * 1e9).round() as i64)
}
