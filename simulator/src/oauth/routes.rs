//! Which call of the sign-in's endpoints gets which answer.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use polpo_upstream::transport::Call;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::page::policy;
use super::{Need, OAuth, User, bearer, has_beta};
use crate::clock::{Clock, SimTime};
use crate::problem::{Kind, Problem};

/// The fields of a query or a form.
pub(super) type Fields = BTreeMap<String, String>;

/// An answer that is there at once.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    email: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Throttle {
    /// In simulated time.
    seconds: u32,
}

impl OAuth {
    /// Answers a call, if its path is one of these endpoints.
    pub(crate) fn answer(&mut self, clock: &Clock, call: &Call) -> Option<Result<Reply, Problem>> {
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        Some(match (&call.method, path) {
            (&Method::GET, "/oauth/authorize") => Ok(self.authorize(clock, query)),
            (&Method::POST, "/v1/oauth/token") => self.throttled(clock).map(|()| {
                let content_type = call.headers.get("content-type");
                let content_type = content_type.and_then(|value| value.to_str().ok());
                self.token(clock, content_type.unwrap_or_default(), &call.body)
            }),
            (&Method::GET, "/api/oauth/profile") => {
                let user = self.user_of(clock.now(), &call.headers);
                user.map(|user| Reply::json(StatusCode::OK, &profile(user)))
            }
            (&Method::POST, "/_sim/oauth/revoke") => self.named(&call.body).map(|user| {
                self.grants.revoke_user(user);
                Reply::done()
            }),
            (&Method::POST, "/_sim/oauth/expire") => self.named(&call.body).map(|user| {
                self.grants.expire_user(clock.now(), user);
                Reply::done()
            }),
            (&Method::POST, "/_sim/oauth/throttle") => {
                read(&call.body).map(|Throttle { seconds }| {
                    let throttled = Duration::from_secs(seconds.into());
                    self.throttled_until = clock.now().after(throttled);
                    Reply::done()
                })
            }
            _ => return None,
        })
    }

    /// The user whose token a call carries, for what only users may see.
    pub(crate) fn user_of(&self, now: SimTime, headers: &HeaderMap) -> Result<&User, Problem> {
        let token = bearer(headers).unwrap_or_default();
        self.resolve(now, token, has_beta(headers), Need::Profile)
    }

    fn throttled(&self, clock: &Clock) -> Result<(), Problem> {
        let seconds = clock.seconds(clock.now().until(self.throttled_until));
        if seconds == 0 {
            return Ok(());
        }
        let problem = Problem::new(Kind::RateLimit, "Rate limited. Please try again later.");
        Err(problem.with_header("retry-after", seconds.to_string()))
    }

    fn named(&self, body: &[u8]) -> Result<usize, Problem> {
        let Named { email } = read(body)?;
        let unknown = || Problem::new(Kind::NotFound, format!("email: nobody has `{email}`"));
        self.user(&email).ok_or_else(unknown)
    }
}

impl Reply {
    pub(super) const fn new(status: StatusCode, body: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    pub(super) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self::new(status, body).with_header("content-type", "application/json")
    }

    /// A page that holds secrets and needs nothing from elsewhere.
    pub(super) fn page(status: StatusCode, html: String) -> Self {
        Self::new(status, html.into_bytes())
            .with_header("content-type", "text/html; charset=utf-8")
            .with_header("content-security-policy", policy())
            .with_header("cache-control", "no-store")
            .with_header("referrer-policy", "no-referrer")
    }

    const fn done() -> Self {
        Self::new(StatusCode::NO_CONTENT, Vec::new())
    }
}

fn profile(user: &User) -> Value {
    json!({
        "account": {"uuid": user.account_uuid, "email": user.email},
        "organization": {"uuid": user.organization_uuid, "name": user.organization_name},
    })
}

/// The fields of a form.
pub(super) fn form(text: &[u8]) -> Fields {
    url::form_urlencoded::parse(text).into_owned().collect()
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::invalid(error.to_string()))
}
