//! Our own error answers, in the API's words.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::Refusal;
use polpo_policy::quota::Breach;
use polpo_upstream::wire::problem::Problem;
use polpo_upstream::wire::request::Malformed;

use super::body::Unread;

/// When to come again to a process that has too much to do, or is about to be replaced.
const SOON: Duration = Duration::from_secs(1);

/// Why no profile can serve a request, where it is one thing for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Limits, or various things.
    Limits,
    /// None has money.
    Money,
    /// The provider fails.
    Outage,
}

/// What a request is refused with.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) problem: Box<Problem>,
    /// Whether the same request may succeed later.
    is_passing: bool,
    retry_after: Option<Duration>,
    /// Whether what is left of the request is not read any more.
    closes: bool,
    /// Whether it is told of in metrics and log already.
    pub(super) is_told: bool,
}

impl Fault {
    /// One that the same request would meet again.
    pub(super) fn lasting(status: u16, kind: &str, message: impl Into<String>) -> Self {
        let problem = Box::new(Problem { status, ..Problem::own(kind, message) });
        Self { problem, is_passing: false, retry_after: None, closes: false, is_told: false }
    }

    /// One that passes.
    pub(super) fn passing(
        status: u16,
        kind: &str,
        message: impl Into<String>,
        after: Option<Duration>,
    ) -> Self {
        Self { is_passing: true, retry_after: after, ..Self::lasting(status, kind, message) }
    }

    /// Something that is wrong with a part of the request.
    pub(super) fn invalid(part: &str, complaint: &str) -> Self {
        Self::lasting(400, "invalid_request_error", format!("{part}: {complaint}"))
    }

    /// A model that there is not, in the words that clients know.
    pub(super) fn no_model(model: &str) -> Self {
        Self::lasting(404, "not_found_error", format!("model: {model}"))
    }

    /// A request that this gateway itself has sent.
    pub(super) fn circle() -> Self {
        let message = "This gateway was asked by itself: the baseUrl of one of its providers leads back to \
                       it. Its operator has to correct that in polpo.json, or unset ANTHROPIC_BASE_URL.";
        Self::lasting(400, "invalid_request_error", message)
    }

    /// A process that is about to end.
    pub(super) fn ending() -> Self {
        let message = "This gateway is about to end; another one may be there soon.";
        Self::passing(503, "api_error", message, Some(SOON))
    }

    /// A ledger that cannot be written: what is not written down is not done.
    pub(super) fn no_ledger() -> Self {
        let message = "This gateway cannot write its ledger now; its operator's log says why.";
        Self::passing(503, "api_error", message, Some(SOON))
    }

    /// A request that got no profile.
    pub(super) fn refused(refusal: Refusal, model: &str, why: Why, now: Timestamp) -> Self {
        match refusal {
            Refusal::TimedOut { until } => {
                let when = until.map_or_else(String::new, |until| {
                    format!(" The first may be back at {}.", until.format("%Y-%m-%d %H:%M:%S UTC"))
                });
                let wait = until.and_then(|until| (until - now).to_std().ok());
                let after = Some(wait.unwrap_or_default().max(SOON));
                let limited = |what: &str| {
                    let message = format!("All credentials for {model} are {what}.{when}");
                    Self { retry_after: after, ..Self::lasting(429, "rate_limit_error", message) }
                };
                match why {
                    Why::Outage => Self::passing(529, "overloaded_error", "Overloaded", after),
                    Why::Money => limited("out of money"),
                    Why::Limits => limited("at their limits"),
                }
            }
            Refusal::QueueFull => {
                let message = "Too many requests wait for a credential.";
                Self::passing(503, "overloaded_error", message, Some(SOON))
            }
            Refusal::NoCredential => {
                let message = format!(
                    "This gateway has no credential for {model}; `polpo auth status` tells its operator why."
                );
                Self::lasting(503, "api_error", message)
            }
        }
    }

    /// The same, told of in metrics and log.
    pub(super) fn told(self) -> Self {
        Self { is_told: true, ..self }
    }

    /// An upstream that failed without words of its own.
    pub(super) fn upstream(problem: Problem) -> Self {
        // A request that is wrong stays so.
        let is_passing = problem.status >= 500 || matches!(problem.status, 408 | 409);
        let fault = Self::lasting(problem.status, "", "");
        Self { problem: Box::new(problem), is_passing, is_told: true, ..fault }
    }

    /// The outcome of a request that is refused with it.
    pub(super) const fn outcome(&self) -> &'static str {
        match self.problem.status {
            401 => "auth",
            403 => "permission",
            404 => "not_found",
            408 => "too_slow",
            413 => "too_large",
            429 => "over_limit",
            400..=499 => "invalid_request",
            _ => "unavailable",
        }
    }

    /// The answer.
    pub(super) fn answer(&self, request_id: &str) -> HttpResponse {
        let status = StatusCode::from_u16(self.problem.status);
        let mut answer = HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            answer.insert_header(("retry-after", seconds.to_string()));
        }
        if !self.is_passing {
            answer.insert_header(("x-should-retry", "false"));
        }
        if self.closes {
            answer.force_close();
        }
        let id = self.problem.request_id.as_deref().unwrap_or(request_id);
        let problem = Problem { request_id: Some(id.to_owned()), ..*self.problem.clone() };
        answer.insert_header(("request-id", id));
        answer.content_type("application/json").body(problem.envelope().to_string())
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::lasting(400, "invalid_request_error", malformed.to_string())
    }
}

impl From<Unread> for Fault {
    fn from(unread: Unread) -> Self {
        let fault = match unread {
            Unread::TooLarge => Self::lasting(
                413,
                "request_too_large",
                "Request exceeds the maximum allowed number of bytes.",
            ),
            Unread::NoMemory => Self::passing(
                503,
                "overloaded_error",
                "This gateway holds as many requests as it may.",
                Some(SOON),
            ),
            Unread::TooSlow => Self::passing(
                408,
                "timeout_error",
                "The rest of the request did not come in time.",
                None,
            ),
            Unread::Broken => {
                Self::lasting(400, "invalid_request_error", "The request is not whole.")
            }
        };
        Self { closes: true, ..fault }
    }
}

impl Fault {
    /// A breach of the limits of a client's key.
    pub(super) fn breach(breach: &Breach, now: Timestamp) -> Self {
        let fault = Self::lasting(429, "rate_limit_error", breach.to_string());
        Self { is_passing: breach.may_retry(), retry_after: breach.retry_after(now), ..fault }
    }
}
