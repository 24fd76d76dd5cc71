//! The API: which call gets which answer, with which headers.

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode};
use polpo_upstream::transport::Call;
use serde_json::Value;

use crate::allotment::{Allotment, Face};
use crate::batches::Reply;
use crate::books::{Books, Outcome};
use crate::control;
use crate::core::Core;
use crate::limiter::Caller;
use crate::models;
use crate::poe;
use crate::problem::{Kind, Problem};
use crate::request::Ask;
use crate::response::Response;
use crate::scenario::Scenario;
use crate::serving::serve;
use crate::signature;

/// A simulated Anthropic API. Clones share one state.
#[derive(Clone, Debug)]
pub struct Simulator(Arc<Core>);

impl Simulator {
    /// A simulator whose buckets are full and whose books are empty. Its time begins now.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        Self(Arc::new(Core::new(scenario, true)))
    }

    /// A simulator whose books do not tell one message from another, so that its memory does not
    /// grow with the requests: for runs of any length in one process.
    #[must_use]
    pub fn forgetful(scenario: Scenario) -> Self {
        Self(Arc::new(Core::new(scenario, false)))
    }

    /// The scenario that is simulated.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.0.scenario
    }

    /// A snapshot of the books.
    #[must_use]
    pub fn books(&self) -> Books {
        self.0.books()
    }

    /// Empties the books, fills the buckets and forgets what was asked before. Generations in
    /// flight go on, but are in no books.
    pub fn reset(&self) {
        self.0.reset();
    }

    /// Answers a call. It is charged from here on; its time passes in the timeline.
    pub(crate) async fn answer(&self, call: &Call) -> Response {
        self.0.catch_up().await;
        let signing_in = self.0.oauth().answer(&self.0.clock, call);
        match signing_in {
            Some(Ok(reply)) => {
                return self.0.plain(reply.status, reply.body, None).with_headers(&reply.headers);
            }
            Some(Err(problem)) => return self.0.numbered(&problem, None),
            None => {}
        }
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        match (&call.method, path) {
            (&Method::POST, "/v1/messages") => self.messages(call),
            (&Method::POST, "/v1/messages/count_tokens") => self.count_tokens(call),
            (&Method::GET, "/v1/models") => self.listed(call, |_| json(models::list(query))),
            (_, "/v1/messages/batches") => self.listed(call, |it| self.0.batches(call, it)),
            _ if path.starts_with("/v1/messages/batches/") => {
                self.listed(call, |it| self.0.batches(call, it))
            }
            (&Method::GET, poe::BALANCE) => self.listed(call, |it| Ok(self.balance(it))),
            (&Method::GET, "/api/oauth/usage") => self.usage(call),
            (&Method::HEAD, "/api/hello") => self.0.plain(StatusCode::OK, Vec::new(), None),
            (_, path) if path.starts_with("/_sim/") => control::answer(&self.0, call, path),
            (&Method::GET, _) if path.starts_with("/v1/models/") => {
                let id = path.strip_prefix("/v1/models/").unwrap_or_default();
                self.listed(call, |_| json(models::retrieve(id)))
            }
            _ => self.0.numbered(&Problem::new(Kind::NotFound, "Not Found"), None),
        }
    }

    /// The answer to a request whose body is too large to be read.
    pub(crate) fn too_large(&self) -> Response {
        self.0.numbered(&Problem::new(Kind::TooLarge, "Request exceeds the maximum size"), None)
    }

    fn messages(&self, call: &Call) -> Response {
        self.authenticated(call, |caller| match self.read(caller, call) {
            Ok(ask) => serve(&self.0, caller, &ask),
            Err(problem) => self.invalid(caller, &problem),
        })
    }

    fn count_tokens(&self, call: &Call) -> Response {
        self.authenticated(call, |caller| match Ask::count(&call.headers, &call.body) {
            Ok(count) => match self.0.count(caller, count) {
                Ok(tokens) => {
                    let body = format!("{{\"input_tokens\":{tokens}}}").into_bytes();
                    self.0.plain(StatusCode::OK, body, Some(caller))
                }
                Err(problem) => self.0.numbered(&problem, Some(caller)),
            },
            Err(problem) => self.invalid(caller, &problem),
        })
    }

    /// An answer about what there is: it generates nothing itself and is in no books.
    fn listed(&self, call: &Call, list: impl Fn(Caller) -> Result<Reply, Problem>) -> Response {
        self.authenticated(call, |caller| match list(caller) {
            Ok(Reply { content_type, body }) => {
                let mut response = self.0.plain(StatusCode::OK, body.into(), Some(caller));
                let content_type = HeaderValue::from_static(content_type);
                response.headers.insert("content-type", content_type);
                response
            }
            Err(problem) => self.0.numbered(&problem, Some(caller)),
        })
    }

    fn authenticated(&self, call: &Call, then: impl Fn(Caller) -> Response) -> Response {
        match self.0.authenticate(&call.headers) {
            Ok(caller) if !self.serves(caller, call) => {
                self.0.numbered(&Problem::new(Kind::NotFound, "Not Found"), Some(caller))
            }
            Ok(caller) => then(caller),
            Err(problem) => {
                self.0.state().ledger.record_unauthenticated();
                self.0.numbered(&problem, None)
            }
        }
    }

    fn serves(&self, caller: Caller, call: &Call) -> bool {
        let path = call.path.split('?').next().unwrap_or_default();
        match self.0.face(caller) {
            Face::Poe(_) => poe::serves(&call.method, path),
            Face::Api | Face::Subscription(_) => path != poe::BALANCE,
        }
    }

    fn read(&self, caller: Caller, call: &Call) -> Result<Ask, Problem> {
        let ask = match self.0.face(caller) {
            Face::Poe(_) => Ask::read(&call.headers, &poe::translate(&call.body)?)?,
            Face::Api | Face::Subscription(_) => Ask::read(&call.headers, &call.body)?,
        };
        signature::check(self.0.scenario.seed, self.0.organization_id(caller), &ask.signed)?;
        Ok(ask)
    }

    /// The points of an account at Poe.
    fn balance(&self, caller: Caller) -> Reply {
        let state = self.0.state();
        let balance = match state.allotments.get(caller.account) {
            Some(Allotment::Poe(poe)) => poe.balance(),
            Some(Allotment::Api | Allotment::Subscription(_)) | None => Value::Null,
        };
        Reply { content_type: "application/json", body: balance.to_string().into() }
    }

    /// How far the windows of the subscription are used whose token a call carries.
    fn usage(&self, call: &Call) -> Response {
        let now = self.0.clock.now();
        let account = self.0.oauth().user_of(now, &call.headers).map(|user| user.account);
        let caller = match account {
            Ok(account) => self.0.caller(account),
            Err(problem) => return self.0.numbered(&problem, None),
        };
        let usage = match self.0.state().allotments.get(caller.account) {
            Some(Allotment::Subscription(windows)) => windows.usage(now, &self.0.clock),
            Some(Allotment::Api | Allotment::Poe(_)) | None => Value::Null,
        };
        self.0.plain(StatusCode::OK, usage.to_string().into_bytes(), Some(caller))
    }

    fn invalid(&self, caller: Caller, problem: &Problem) -> Response {
        self.0.state().ledger.record(caller.account, Outcome::Invalid);
        self.0.numbered(problem, Some(caller))
    }
}

fn json(body: Result<Vec<u8>, Problem>) -> Result<Reply, Problem> {
    body.map(|body| Reply { content_type: "application/json", body: body.into() })
}
