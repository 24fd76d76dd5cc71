//! What a subscription may use: tokens in windows of five hours and of seven days, and the headers
//! that tell how far they are used.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{Clock, SimTime};
use crate::problem::{Kind, Problem};

/// Tokens that a subscription brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) five_hour_tokens: u64,
    pub(crate) seven_day_tokens: u64,
}

impl Default for Plan {
    /// Anthropic publishes no figures. A batch of a few thousand tasks meets the first, and six
    /// such windows in a row the second.
    fn default() -> Self {
        Self { five_hour_tokens: 2_000_000, seven_day_tokens: 12_000_000 }
    }
}

/// Percent of a window after which its status is a warning: the rest leaves a client the time to
/// go elsewhere.
const WARNING_PERCENT: u64 = 80;

const HOUR: Duration = Duration::from_secs(3600);

/// The windows of one subscription. The one with less to give decides.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    five_hour: Window,
    seven_day: Window,
}

/// A window opens at the first use after the one before has ended.
#[derive(Clone, Debug)]
struct Window {
    length: Duration,
    budget: u64,
    opened: Option<SimTime>,
    /// Since it opened.
    used: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Allowed,
    AllowedWarning,
    Rejected,
}

impl Windows {
    pub(crate) fn new(plan: Plan) -> Self {
        let window = |length, budget| Window { length, budget, opened: None, used: 0 };
        Self {
            five_hour: window(5 * HOUR, plan.five_hour_tokens),
            seven_day: window(7 * 24 * HOUR, plan.seven_day_tokens),
        }
    }

    /// Charges tokens that were used. What is under way when a window is used up goes on, so it
    /// can be overdrawn.
    pub(crate) fn charge(&mut self, now: SimTime, tokens: u64) {
        self.five_hour.charge(now, tokens);
        self.seven_day.charge(now, tokens);
    }

    /// Whether a request may begin. The refusal goes out with the [headers](Self::headers).
    pub(crate) fn check(&self, now: SimTime, clock: &Clock) -> Result<(), Problem> {
        let (_, window) = self.representative(now);
        if window.status(now) < Status::Rejected {
            return Ok(());
        }
        let seconds = clock.seconds(now.until(window.end(now)));
        let message =
            "This request would exceed your account's rate limit. Please try again later.";
        let problem = Problem::new(Kind::RateLimit, message);
        Err(problem.with_header("retry-after", seconds.to_string()))
    }

    /// The headers of every answer to a subscription, in place of the ordinary limits'.
    pub(crate) fn headers(&self, now: SimTime, clock: &Clock) -> Vec<(String, String)> {
        let mut headers = Vec::with_capacity(12);
        let mut put = |name: &str, value: String| {
            headers.push((format!("anthropic-ratelimit-unified-{name}"), value));
        };
        let reset = |window: &Window| clock.wall_at(window.end(now)).timestamp().to_string();
        let (claim, representative) = self.representative(now);
        put("status", representative.status(now).name().to_owned());
        put("reset", reset(representative));
        put("representative-claim", claim.to_owned());
        for (infix, window) in [("5h", &self.five_hour), ("7d", &self.seven_day)] {
            let percent = window.percent(now);
            put(&format!("{infix}-status"), window.status(now).name().to_owned());
            put(&format!("{infix}-utilization"), format!("{}.{:02}", percent / 100, percent % 100));
            put(&format!("{infix}-reset"), reset(window));
        }
        put("fallback", "available".to_owned());
        // Paying for more than the plan is switched off, as it is until someone switches it on.
        put("overage-status", Status::Rejected.name().to_owned());
        put("overage-disabled-reason", "org_level_disabled".to_owned());
        headers
    }

    /// What the usage endpoint tells: percents, where the headers have shares.
    pub(crate) fn usage(&self, now: SimTime, clock: &Clock) -> Value {
        let told = |window: &Window| {
            let resets_at = window.open_until(now).map(|end| clock.wall_at(end).to_rfc3339());
            json!({"utilization": window.percent(now), "resets_at": resets_at})
        };
        json!({
            "five_hour": told(&self.five_hour),
            "seven_day": told(&self.seven_day),
            "seven_day_opus": null,
            "seven_day_sonnet": null,
            "extra_usage": {
                "is_enabled": false, "monthly_limit": null, "used_credits": null,
                "utilization": null,
            },
        })
    }

    /// The window that decides: of two that are used up the one that ends last, else the fuller.
    fn representative(&self, now: SimTime) -> (&'static str, &Window) {
        let rank = |window: &Window| {
            let status = window.status(now);
            match status {
                Status::Rejected => (status, window.end(now).0),
                Status::Allowed | Status::AllowedWarning => (status, window.percent(now)),
            }
        };
        if rank(&self.seven_day) > rank(&self.five_hour) {
            ("seven_day", &self.seven_day)
        } else {
            ("five_hour", &self.five_hour)
        }
    }
}

impl Window {
    fn charge(&mut self, now: SimTime, tokens: u64) {
        if self.open_until(now).is_none() {
            (self.opened, self.used) = (Some(now), 0);
        }
        self.used = self.used.saturating_add(tokens);
    }

    /// When the window that is open ends.
    fn open_until(&self, now: SimTime) -> Option<SimTime> {
        self.opened.map(|opened| opened.after(self.length)).filter(|end| now < *end)
    }

    /// When the window ends that is open, or that a use now would open.
    fn end(&self, now: SimTime) -> SimTime {
        self.open_until(now).unwrap_or_else(|| now.after(self.length))
    }

    /// How much of it is used: above a hundred if it is overdrawn. Of nothing, all is.
    fn percent(&self, now: SimTime) -> u64 {
        let used = self.open_until(now).map_or(0, |_| self.used);
        used.saturating_mul(100).checked_div(self.budget).unwrap_or(100)
    }

    fn status(&self, now: SimTime) -> Status {
        match self.percent(now) {
            0..WARNING_PERCENT => Status::Allowed,
            WARNING_PERCENT..100 => Status::AllowedWarning,
            100.. => Status::Rejected,
        }
    }
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::AllowedWarning => "allowed_warning",
            Self::Rejected => "rejected",
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    const PLAN: Plan = Plan { five_hour_tokens: 1000, seven_day_tokens: 3000 };

    /// A time on the hour, simulated.
    fn at(hours: u32) -> SimTime {
        SimTime(0).after(HOUR * hours)
    }

    fn told(windows: &Windows, now: SimTime, name: &str) -> String {
        let headers = windows.headers(now, &Clock::new(1000));
        let name = format!("anthropic-ratelimit-unified-{name}");
        headers.into_iter().find(|(other, _)| *other == name).unwrap().1
    }

    fn refused(windows: &Windows, now: SimTime) -> Option<Problem> {
        windows.check(now, &Clock::new(1000)).err()
    }

    #[test]
    fn a_window_warns_when_most_of_it_is_used_and_refuses_when_all_is() {
        let mut windows = Windows::new(PLAN);
        for (tokens, status, utilization) in [
            (0, "allowed", "0.00"),
            (799, "allowed", "0.79"),
            (1, "allowed_warning", "0.80"),
            (199, "allowed_warning", "0.99"),
            (1, "rejected", "1.00"),
            (80, "rejected", "1.08"),
        ] {
            windows.charge(at(0), tokens);
            assert_eq!(told(&windows, at(1), "5h-status"), status);
            assert_eq!(told(&windows, at(1), "status"), status);
            assert_eq!(told(&windows, at(1), "5h-utilization"), utilization);
            assert_eq!(refused(&windows, at(1)).is_some(), status == "rejected");
        }
        assert_eq!(told(&windows, at(1), "7d-status"), "allowed");
        assert_eq!(told(&windows, at(1), "7d-utilization"), "0.36");
    }

    #[test]
    fn the_refusal_says_when_to_come_again_and_is_no_ordinary_limit() {
        let mut windows = Windows::new(PLAN);
        windows.charge(at(0), 1000);
        let problem = refused(&windows, at(2)).unwrap();
        assert_eq!(problem.status().as_u16(), 429);
        let message =
            "This request would exceed your account's rate limit. Please try again later.";
        assert_eq!(problem.message, message);
        let after = problem.headers.iter().find(|(name, _)| name == "retry-after").unwrap();
        assert_eq!(after.1, "10800", "three of five hours are left");
        let headers = windows.headers(at(2), &Clock::new(1000));
        assert!(headers.iter().all(|(name, _)| name.contains("-unified-")));
    }

    #[test]
    fn a_window_ends_its_length_after_its_first_use_and_the_next_opens_with_the_next_use() {
        let mut windows = Windows::new(PLAN);
        windows.charge(at(10), 600);
        windows.charge(at(14), 400);
        let last = SimTime(at(15).0 - 1);
        assert!(refused(&windows, last).is_some());
        assert!(refused(&windows, at(15)).is_none());
        assert_eq!(told(&windows, at(15), "5h-utilization"), "0.00");
        windows.charge(at(17), 1000);
        assert!(refused(&windows, at(21)).is_some());
        assert!(refused(&windows, at(22)).is_none());
    }

    #[test]
    fn the_week_refuses_when_the_five_hours_would_not_and_ends_later() {
        let mut windows = Windows::new(PLAN);
        for (hours, claim) in [(0, "five_hour"), (5, "five_hour"), (10, "seven_day")] {
            assert!(refused(&windows, at(hours)).is_none());
            windows.charge(at(hours), 1000);
            assert_eq!(told(&windows, at(hours), "representative-claim"), claim);
            assert!(refused(&windows, at(hours + 1)).is_some());
        }
        assert_eq!(told(&windows, at(16), "5h-status"), "allowed");
        assert_eq!(told(&windows, at(16), "status"), "rejected");
        assert_eq!(told(&windows, at(16), "reset"), told(&windows, at(16), "7d-reset"));
        assert!(refused(&windows, at(7 * 24)).is_none());
    }

    #[test]
    fn the_fuller_window_speaks_for_both_while_neither_is_used_up() {
        let mut windows = Windows::new(PLAN);
        assert_eq!(told(&windows, at(0), "representative-claim"), "five_hour");
        windows.charge(at(0), 900);
        windows.charge(at(6), 100);
        assert_eq!(told(&windows, at(6), "representative-claim"), "seven_day");
        assert_eq!(told(&windows, at(6), "reset"), told(&windows, at(6), "7d-reset"));
    }

    #[test]
    fn resets_are_wall_times_in_scaled_seconds() {
        let mut windows = Windows::new(PLAN);
        windows.charge(at(0), 1);
        let clock = Clock::new(3_600_000);
        let headers = windows.headers(at(1), &clock);
        let reset = |infix: &str| -> i64 {
            let name = format!("anthropic-ratelimit-unified-{infix}-reset");
            headers.iter().find(|(other, _)| *other == name).unwrap().1.parse().unwrap()
        };
        let began = clock.wall_at(at(0)).timestamp();
        assert_eq!((reset("5h"), reset("7d")), (began + 5, began + 168));
        assert!((Utc::now().timestamp() - began).abs() < 60);
    }

    #[test]
    fn the_usage_endpoint_tells_percents_and_no_end_of_a_window_that_is_not_open() {
        let (mut windows, clock) = (Windows::new(PLAN), Clock::new(1000));
        assert_eq!(windows.usage(at(0), &clock)["five_hour"]["resets_at"], Value::Null);
        windows.charge(at(0), 330);
        let usage = windows.usage(at(6), &clock);
        assert_eq!(usage["five_hour"], json!({"utilization": 0, "resets_at": null}));
        assert_eq!(usage["seven_day"]["utilization"], 11);
        let resets_at = usage["seven_day"]["resets_at"].as_str().unwrap();
        let resets_at: DateTime<Utc> = resets_at.parse().unwrap();
        assert_eq!(resets_at, clock.wall_at(at(7 * 24)));
    }
}
