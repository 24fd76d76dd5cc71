//! Which fault a request meets, and how it looks.

mod answers;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::catalogue::Model;
use crate::draw::Draws;
use crate::problem::{Kind, Problem};
use crate::scenario::{Endpoint, FaultName as Name, Faults, Rule};

/// A fault that a request meets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// It is answered with an error, and charged nothing.
    Answer(Problem),
    /// It is served, and something happens on the way.
    Mishap(Mishap),
}

/// Something that happens to an answer on its way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mishap {
    pub(crate) kind: MishapKind,
    /// Events that are sent before it.
    pub(crate) after_events: usize,
    /// The number of its rule.
    rule: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MishapKind {
    ErrorEvent(Problem),
    Drop,
    Stall,
    /// So much simulated time later.
    SlowFirstToken(Duration),
    MalformedJson,
    Truncated,
    WrongContentType,
    Refusal,
}

/// What a request is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) endpoint: Endpoint,
    /// A batch has none of its own.
    pub(crate) model: Option<&'a Model>,
    pub(crate) draws: Draws,
}

/// What the rules look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion<'a> {
    pub(crate) account: &'a str,
    pub(crate) organization: &'a str,
    pub(crate) target: Target<'a>,
    /// Simulated time since the start.
    pub(crate) elapsed: Duration,
    pub(crate) wall: DateTime<Utc>,
}

/// The rules, and how often each was matched.
#[derive(Debug)]
pub(crate) struct Script {
    faults: Faults,
    counts: Vec<Count>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    matched: u64,
    fired: u64,
}

impl Script {
    pub(crate) fn new(faults: Faults) -> Self {
        let counts = vec![Count::default(); faults.rules.len()];
        Self { faults, counts }
    }

    /// The fault that a request meets, if any.
    pub(crate) fn next(&mut self, occasion: &Occasion<'_>) -> Option<Fault> {
        for (index, rule) in self.faults.rules.iter().enumerate() {
            if !matches(rule, occasion) {
                continue;
            }
            let Some(count) = self.counts.get_mut(index) else { break };
            count.matched += 1;
            let is_due = count.matched > rule.skip && rule.times.is_none_or(|n| count.fired < n);
            if is_due && occasion.target.draws.again(index as u64).uniform("rule") < rule.rate {
                count.fired += 1;
                return Some(fault(rule, index, occasion));
            }
        }
        if occasion.target.endpoint != Endpoint::Messages {
            return None;
        }
        let drawn = occasion.target.draws.uniform("fault");
        let Faults { overloaded_rate, error_rate, .. } = self.faults;
        if drawn < overloaded_rate {
            Some(Fault::Answer(Problem::new(Kind::Overloaded, "Overloaded")))
        } else if drawn < overloaded_rate + error_rate {
            Some(Fault::Answer(Problem::new(Kind::Internal, "Internal server error")))
        } else {
            None
        }
    }

    /// A mishap that did not come about, because the request was refused, may meet the next one.
    pub(crate) fn take_back(&mut self, mishap: &Mishap) {
        if let Some(count) = self.counts.get_mut(mishap.rule) {
            count.matched = count.matched.saturating_sub(1);
            count.fired = count.fired.saturating_sub(1);
        }
    }
}

fn matches(rule: &Rule, occasion: &Occasion<'_>) -> bool {
    let (model, seconds) = (occasion.target.model, occasion.elapsed.as_secs_f64());
    let is_model = |name: &String| model.is_some_and(|it| it.id == *name || it.class == *name);
    rule.endpoint == occasion.target.endpoint
        && (rule.accounts.is_empty() || rule.accounts.iter().any(|a| a == occasion.account))
        && (rule.models.is_empty() || rule.models.iter().any(is_model))
        && rule.from_seconds <= seconds
        && rule.until_seconds.is_none_or(|until| seconds < until)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all others are answers")]
fn fault(rule: &Rule, index: usize, occasion: &Occasion<'_>) -> Fault {
    let problem = dressed(answers::problem(rule.fault, occasion), rule, occasion.wall);
    let kind = match rule.fault {
        Name::ErrorEvent => MishapKind::ErrorEvent(problem),
        Name::Drop => MishapKind::Drop,
        Name::Stall => MishapKind::Stall,
        Name::SlowFirstToken => MishapKind::SlowFirstToken(rule.delay()),
        Name::MalformedJson => MishapKind::MalformedJson,
        Name::Truncated => MishapKind::Truncated,
        Name::WrongContentType => MishapKind::WrongContentType,
        Name::Refusal => MishapKind::Refusal,
        _ => return Fault::Answer(problem),
    };
    Fault::Mishap(Mishap { kind, after_events: rule.after_events(), rule: index })
}

/// A problem with what the rule says otherwise.
fn dressed(mut problem: Problem, rule: &Rule, now: DateTime<Utc>) -> Problem {
    let error = &rule.error;
    if let Some(status) = error.status {
        problem = problem.with_status(status);
    }
    if let Some(kind) = &error.r#type {
        problem.name.clone_from(kind);
    }
    if let Some(message) = &error.message {
        problem.message.clone_from(message);
    }
    if let Some(code) = &error.code {
        problem = problem.with_code(code);
    }
    if let Some(seconds) = rule.retry_after_seconds {
        problem = problem.with_header("retry-after", seconds.to_string());
    }
    if let Some(seconds) = rule.retry_after_date_seconds {
        let at = now + TimeDelta::seconds(seconds.into());
        let date = at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        problem = problem.with_header("retry-after", date);
    }
    if let Some(millis) = rule.retry_after_ms {
        problem = problem.with_header("retry-after-ms", millis.to_string());
    }
    for (name, value) in &error.headers {
        problem = problem.with_header(&name.to_lowercase(), value);
    }
    problem
}
