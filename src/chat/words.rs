//! What a turn came to, in words.

use polpo_agents::job::Spent;
use polpo_agents::talk::{Served, Unsaid, Why};
use polpo_policy::limits::Timestamp;
use polpo_policy::model::ModelSpec;
use polpo_policy::pool::{ProfileReport, Refusal, Wait};
use polpo_policy::usage::Usage;
use polpo_upstream::wire::problem::Problem;

use crate::run::points::is_estimate;

/// A time as people read it.
pub(super) fn clock_time(at: Timestamp) -> String {
    at.format("%H:%M:%S UTC").to_string()
}

/// Why a turn had its model and its profile, given the model that was asked for.
pub(super) fn why(served: &Served, wanted: &ModelSpec) -> String {
    match served.why {
        Why::Requested => "requested".to_owned(),
        Why::Pinned => "pinned".to_owned(),
        Why::Home => "home: it has this conversation's prompt cache".to_owned(),
        Why::Fallback { reason, until } => {
            let until = until.map_or_else(String::new, |it| format!(" until {}", clock_time(it)));
            let whose = wanted.pin.as_ref().map_or_else(String::new, |pin| format!(" at {pin}"));
            format!("fallback: {}{whose}: {reason}{until}", wanted.model)
        }
    }
}

/// What a turn waits for.
pub(super) fn waiting(wait: &Wait) -> String {
    let until = wait.until.map_or_else(String::new, |at| format!(" until {}", clock_time(at)));
    format!("waiting for a profile ({}{until}); Ctrl-C cancels", wait.throttle.label())
}

/// The line below an answer.
pub(super) fn footer(served: &Served, spent: &Spent, wanted: &ModelSpec) -> String {
    let note = match served.why {
        Why::Fallback { .. } => format!(" · {}", why(served, wanted)),
        Why::Requested | Why::Pinned | Why::Home => String::new(),
    };
    let about = if is_estimate(served.profile.as_str()) { "about " } else { "" };
    format!(
        "{} · {} · {} · {about}${}{note}",
        served.model.model,
        served.profile,
        tokens(&spent.usage),
        spent.cost
    )
}

/// What a cancelled turn came to.
pub(super) fn cancelled(spent: &Spent) -> String {
    format!("cancelled: what was said is not kept, and its calls are charged ${}", spent.cost)
}

/// Tokens by class.
pub(super) fn tokens(usage: &Usage) -> String {
    let Usage { input, output, cache_read, cache_write_5m, cache_write_1h, web_searches: _ } =
        usage;
    let written = cache_write_5m + cache_write_1h;
    format!("{input} in, {cache_read} cached, {written} to cache, {output} out")
}

/// How a profile stands, in a line.
pub(super) fn standing(report: &ProfileReport) -> String {
    let cause = report.cause.map_or_else(String::new, |cause| format!(" ({})", cause.label()));
    let until = report.until.map_or_else(String::new, |at| format!(" until {}", clock_time(at)));
    format!("{}: {}{until}{cause}", report.profile, report.state.label())
}

/// Why a turn has no message, and what to do.
pub(super) fn unsaid(unsaid: &Unsaid, wanted: &ModelSpec, profiles: &[ProfileReport]) -> String {
    match unsaid {
        Unsaid::Failed { problem, is_cut: true, .. } => {
            format!("the answer was cut off: {}; ask again", quoted(problem))
        }
        Unsaid::Failed { problem, is_cut: false, .. } => {
            format!("no answer: {}{}", quoted(problem), advice(problem))
        }
        Unsaid::Refused { refusal, last } => {
            let why = refused(*refusal);
            let last =
                last.as_ref().map_or_else(String::new, |it| format!("; last: {}", quoted(it)));
            let standing = profiles.iter().filter(|it| concerns(it, wanted)).map(standing);
            let standing: String = standing.map(|line| format!("\n  {line}")).collect();
            format!(
                "no answer from {wanted}: {why}{last}{standing}\nask again later, or take another \
                 model: /model list"
            )
        }
        Unsaid::Unrecorded(why) => why.clone(),
        Unsaid::Cancelled => "cancelled".to_owned(),
        Unsaid::Panicked => "polpo failed while it took this turn; please report it".to_owned(),
    }
}

fn refused(refusal: Refusal) -> String {
    match refusal {
        Refusal::TimedOut { until } => {
            let until = until
                .map_or_else(String::new, |at| format!(", nor will be before {}", clock_time(at)));
            format!("no profile was free in time (settings.maxQueueSeconds){until}")
        }
        Refusal::QueueFull => "too many requests wait already".to_owned(),
        Refusal::NoCredential => "no profile can serve it, and none has a known return".to_owned(),
    }
}

fn concerns(report: &ProfileReport, wanted: &ModelSpec) -> bool {
    report.provider == wanted.provider
        && wanted.pin.as_ref().is_none_or(|pin| *pin == report.profile)
}

fn quoted(problem: &Problem) -> String {
    format!("{} ({} {})", problem.message, problem.status, problem.kind)
}

fn advice(problem: &Problem) -> &'static str {
    // In the words of the API, on which its own clients rely.
    if problem.message.contains("prompt is too long") {
        return "; the conversation is longer than the model reads: /reset begins a new one";
    }
    match problem.status {
        404 => "; /model list has the known models",
        _ => "",
    }
}
