//! Answers as they leave: status, headers, and a body that is made in time.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::allotment::Face;
use crate::core::Core;
use crate::limiter::Caller;
use crate::poe::Plan;
use crate::problem::Problem;
use crate::timeline::Timeline;

/// An answer whose body is still to be made.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) timeline: Timeline,
}

/// What the edge in front of the API puts on every answer.
const EDGE: [(&str, &str); 5] = [
    ("server", "cloudflare"),
    ("cf-cache-status", "DYNAMIC"),
    ("x-robots-tag", "none"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
];

impl Response {
    /// The same with more headers; they replace those of their names.
    pub(crate) fn with_headers(mut self, more: &[(String, String)]) -> Self {
        for (name, value) in more {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                self.headers.insert(name, value);
            }
        }
        self
    }
}

impl Core {
    /// An error answer. Without a caller, the client has not said who it is.
    pub(crate) fn error(
        &self,
        problem: &Problem,
        request_id: &str,
        caller: Option<Caller>,
    ) -> Response {
        let mut headers = self.headers(request_id, caller);
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let (status, body) = match self.poe(caller) {
            Some(plan) => plan.error_shape.error(problem),
            None => {
                if let Some(should_retry) = problem.should_retry {
                    let word = if should_retry { "true" } else { "false" };
                    headers.insert("x-should-retry", HeaderValue::from_static(word));
                }
                (problem.status(), problem.body(request_id))
            }
        };
        Response { status, headers, timeline: Timeline::at_once(body) }
            .with_headers(&problem.headers)
    }

    /// An error answer whose request id is drawn by its number.
    pub(crate) fn numbered(&self, problem: &Problem, caller: Option<Caller>) -> Response {
        self.error(problem, &self.numbered_request_id(), caller)
    }

    /// An answer that is there at once: JSON, unless it is empty.
    pub(crate) fn plain(
        &self,
        status: StatusCode,
        body: Vec<u8>,
        caller: Option<Caller>,
    ) -> Response {
        let mut headers = self.headers(&self.numbered_request_id(), caller);
        if !body.is_empty() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        Response { status, headers, timeline: Timeline::at_once(body) }
    }

    /// The plan of a caller at Poe. Who has not said who it is talks to Poe if everybody does.
    fn poe(&self, caller: Option<Caller>) -> Option<&Plan> {
        fn plan(face: &Face) -> Option<&Plan> {
            match face {
                Face::Poe(plan) => Some(plan),
                Face::Api | Face::Subscription(_) => None,
            }
        }
        match caller {
            Some(caller) => plan(self.face(caller)),
            None => {
                let mut plans = self.scenario.accounts.iter().map(|account| plan(&account.face));
                plans.next().flatten().filter(|_| plans.all(|plan| plan.is_some()))
            }
        }
    }

    /// The headers of every answer.
    pub(crate) fn headers(&self, request_id: &str, caller: Option<Caller>) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(32);
        if self.poe(caller).is_some() {
            return headers;
        }
        for (name, value) in EDGE {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut put = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        put("request-id", request_id);
        if let Some(account) = caller.and_then(|c| self.scenario.accounts.get(c.account)) {
            put("anthropic-organization-id", &account.organization_id);
            put("anthropic-workspace-id", &account.workspace_id);
        }
        headers
    }
}
