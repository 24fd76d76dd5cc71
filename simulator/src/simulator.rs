//! The API: which call gets which answer, with which headers.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use polpo_upstream::transport::Call;

use crate::answer::{Stop, answer};
use crate::books::Books;
use crate::core::{Admission, Core, Served};
use crate::faults::MishapKind;
use crate::generation::Generation;
use crate::message::{Heading, pieces, whole};
use crate::mishap;
use crate::problem::{Kind, Problem};
use crate::request::Ask;
use crate::scenario::Scenario;
use crate::signature;
use crate::sse::Events;
use crate::timeline::{End, Timeline};

/// A simulated Anthropic API. Clones share one state.
#[derive(Clone, Debug)]
pub struct Simulator(Arc<Core>);

/// An answer whose body is still to be made.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) timeline: Timeline,
}

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
    pub(crate) fn answer(&self, call: &Call) -> Response {
        let path = call.path.split('?').next().unwrap_or_default();
        match (&call.method, path) {
            (&Method::POST, "/v1/messages") => self.messages(call),
            (&Method::POST, "/v1/messages/count_tokens") => self.count_tokens(call),
            (&Method::HEAD, "/api/hello") => self.plain(StatusCode::OK, Vec::new(), None),
            (&Method::GET, "/_sim/books") => {
                let books = serde_json::to_vec(&self.books()).unwrap_or_default();
                self.plain(StatusCode::OK, books, None)
            }
            (&Method::POST, "/_sim/reset") => {
                self.reset();
                self.plain(StatusCode::NO_CONTENT, Vec::new(), None)
            }
            _ => self.numbered(&Problem::new(Kind::NotFound, "Not Found"), None),
        }
    }

    /// The answer to a request whose body is too large to be read.
    pub(crate) fn too_large(&self) -> Response {
        self.numbered(&Problem::new(Kind::TooLarge, "Request exceeds the maximum size"), None)
    }

    fn messages(&self, call: &Call) -> Response {
        self.authenticated(call, |account| match self.read(account, call) {
            Ok(ask) => self.serve(account, &ask),
            Err(problem) => self.invalid(account, &problem),
        })
    }

    fn count_tokens(&self, call: &Call) -> Response {
        self.authenticated(call, |account| match self.read(account, call) {
            Ok(ask) => match self.0.count(account, &ask) {
                Ok(tokens) => {
                    let body = format!("{{\"input_tokens\":{tokens}}}").into_bytes();
                    self.plain(StatusCode::OK, body, Some(account))
                }
                Err(problem) => self.numbered(&problem, Some(account)),
            },
            Err(problem) => self.invalid(account, &problem),
        })
    }

    fn authenticated(&self, call: &Call, then: impl Fn(usize) -> Response) -> Response {
        match self.0.authenticate(&call.headers) {
            Ok(account) => then(account),
            Err(problem) => {
                self.0.state().ledger.record_unauthenticated();
                self.numbered(&problem, None)
            }
        }
    }

    fn read(&self, account: usize, call: &Call) -> Result<Ask, Problem> {
        let ask = Ask::read(&call.headers, &call.body)?;
        signature::check(self.0.scenario.seed, self.organization(account), &ask.signed)?;
        Ok(ask)
    }

    fn invalid(&self, account: usize, problem: &Problem) -> Response {
        self.0.state().ledger.record_other(account, |book| &mut book.invalid);
        self.numbered(problem, Some(account))
    }

    fn serve(&self, account: usize, ask: &Ask) -> Response {
        let admission = self.0.admit(account, ask);
        let mut response = match &admission.verdict {
            Ok(served) => self.generate(account, ask, &admission, served),
            Err(problem) => self.error(problem, &admission.request_id, Some(account)),
        };
        extend(&mut response.headers, &admission.headers);
        response
    }

    fn generate(
        &self,
        account: usize,
        ask: &Ask,
        admission: &Admission,
        served: &Served,
    ) -> Response {
        let (draws, request_id) = (admission.draws, &admission.request_id);
        let generation = Generation::new(self.0.clone(), account, ask, served.input, served.age);
        let mut said = answer(&self.0.scenario, ask, draws, self.organization(account));
        let mishap = served.mishap.as_ref();
        if mishap.is_some_and(|mishap| mishap.kind == MishapKind::Refusal) {
            said.stop = Stop::Refusal;
        }
        let id = format!("msg_01{}", draws.id("message", 22));
        let heading = Heading { ask, id: &id, input: served.input, tier: "standard" };
        let mut pieces = pieces(heading, &said, draws);
        let mut end = End::Whole;
        let mut content_type = "text/event-stream; charset=utf-8";
        if ask.stream {
            if let Some(mishap) = mishap {
                end = mishap::to_stream(mishap, &mut pieces, Events::new(draws), request_id);
            }
        } else {
            // Generated in the same time, but sent when it is whole.
            pieces.iter_mut().for_each(|piece| piece.bytes.clear());
            let mut body = whole(heading, &said);
            end = mishap.map_or(end, |mishap| mishap::to_body(mishap, &mut body));
            if let Some(last) = pieces.last_mut() {
                last.bytes = body;
            }
            content_type = "application/json";
        }
        let mut steps = self.0.steps(ask, draws, pieces);
        if let Some(MishapKind::SlowFirstToken(by)) = mishap.map(|mishap| &mishap.kind) {
            let by = self.0.clock.real(*by);
            steps.iter_mut().for_each(|step| step.at += by);
        }
        if mishap.is_some_and(|mishap| mishap.kind == MishapKind::WrongContentType) {
            content_type = "text/html; charset=utf-8";
        }
        let mut headers = self.headers(request_id, Some(account));
        headers.insert("content-type", HeaderValue::from_static(content_type));
        if ask.stream {
            headers.insert("cache-control", HeaderValue::from_static("no-cache"));
        }
        Response {
            status: StatusCode::OK,
            headers,
            timeline: Timeline::new(steps, end, generation),
        }
    }

    /// An error answer whose request id is drawn by its number.
    fn numbered(&self, problem: &Problem, account: Option<usize>) -> Response {
        self.error(problem, &self.0.numbered_request_id(), account)
    }

    fn error(&self, problem: &Problem, request_id: &str, account: Option<usize>) -> Response {
        let mut headers = self.headers(request_id, account);
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        extend(&mut headers, &problem.headers);
        let timeline = Timeline::at_once(problem.body(request_id));
        Response { status: problem.status(), headers, timeline }
    }

    fn plain(&self, status: StatusCode, body: Vec<u8>, account: Option<usize>) -> Response {
        let mut headers = self.headers(&self.0.numbered_request_id(), account);
        if !body.is_empty() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        Response { status, headers, timeline: Timeline::at_once(body) }
    }

    fn organization(&self, account: usize) -> &str {
        self.0.scenario.accounts.get(account).map_or("", |account| &account.organization_id)
    }

    /// The headers of every answer; without an account, the client has not said who it is.
    fn headers(&self, request_id: &str, account: Option<usize>) -> HeaderMap {
        let account = account.and_then(|index| self.0.scenario.accounts.get(index));
        let mut headers = HeaderMap::with_capacity(20);
        let mut put = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        put("request-id", request_id);
        if let Some(account) = account {
            put("anthropic-organization-id", &account.organization_id);
            put("anthropic-workspace-id", &account.workspace_id);
        }
        headers
    }
}

fn extend(headers: &mut HeaderMap, more: &[(String, String)]) {
    for (name, value) in more {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}
