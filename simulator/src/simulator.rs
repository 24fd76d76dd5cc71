//! The API: which call gets which answer, with which headers.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use polpo_upstream::transport::Call;

use crate::answer::answer;
use crate::books::Books;
use crate::core::{Admission, Core};
use crate::draw::Draws;
use crate::generation::Generation;
use crate::message::{Piece, pieces, whole};
use crate::problem::{Kind, Problem};
use crate::request::Ask;
use crate::scenario::Scenario;
use crate::timeline::Timeline;

/// A simulated Anthropic API. Clones share one state.
#[derive(Clone, Debug)]
pub struct Simulator(Arc<Core>);

/// An answer whose body is still to be made.
#[derive(Debug)]
pub(crate) struct Answer {
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
    pub(crate) fn answer(&self, call: &Call) -> Answer {
        let path = call.path.split('?').next().unwrap_or_default();
        match (&call.method, path) {
            (&Method::POST, "/v1/messages") => self.messages(call),
            (&Method::HEAD, "/api/hello") => self.plain(StatusCode::OK, Vec::new()),
            (&Method::GET, "/_sim/books") => {
                let books = serde_json::to_vec(&self.books()).unwrap_or_default();
                self.plain(StatusCode::OK, books)
            }
            (&Method::POST, "/_sim/reset") => {
                self.reset();
                self.plain(StatusCode::NO_CONTENT, Vec::new())
            }
            _ => self.numbered(&Problem::new(Kind::NotFound, "Not Found"), None),
        }
    }

    /// The answer to a request whose body is too large to be read.
    pub(crate) fn too_large(&self) -> Answer {
        self.numbered(&Problem::new(Kind::TooLarge, "Request exceeds the maximum size"), None)
    }

    fn messages(&self, call: &Call) -> Answer {
        let account = match self.0.authenticate(&call.headers) {
            Ok(account) => account,
            Err(problem) => {
                self.0.state().ledger.record_unauthenticated();
                return self.numbered(&problem, None);
            }
        };
        match Ask::read(&call.headers, &call.body) {
            Ok(ask) => self.serve(account, &ask),
            Err(problem) => {
                self.0.state().ledger.record_invalid(account);
                self.numbered(&problem, Some(account))
            }
        }
    }

    fn serve(&self, account: usize, ask: &Ask) -> Answer {
        let admission = self.0.admit(account, ask);
        let mut answer = match &admission.verdict {
            Ok(age) => self.generate(account, ask, &admission, *age),
            Err(problem) => self.error(problem, &admission.request_id, Some(account)),
        };
        let named = admission.headers.iter().filter_map(|(name, value)| {
            let name = HeaderName::try_from(name).ok()?;
            Some((name, HeaderValue::try_from(value).ok()?))
        });
        answer.headers.extend(named);
        answer
    }

    fn generate(&self, account: usize, ask: &Ask, admission: &Admission, age: u64) -> Answer {
        let generation = Generation::new(self.0.clone(), account, ask, age);
        let draws = admission.draws;
        let said = answer(&self.0.scenario, ask, draws);
        let id = message_id(draws);
        let mut pieces = pieces(ask, &said, &id, draws);
        let mut headers = self.headers(&admission.request_id, Some(account));
        let (content_type, cache_control) = if ask.stream {
            ("text/event-stream; charset=utf-8", Some("no-cache"))
        } else {
            // Generated in the same time, but sent when it is whole.
            pieces.iter_mut().for_each(|piece| piece.bytes.clear());
            if let Some(Piece { bytes, .. }) = pieces.last_mut() {
                *bytes = whole(ask, &said, &id);
            }
            ("application/json", None)
        };
        headers.insert("content-type", HeaderValue::from_static(content_type));
        if let Some(value) = cache_control {
            headers.insert("cache-control", HeaderValue::from_static(value));
        }
        let steps = self.0.steps(ask, draws, pieces);
        Answer { status: StatusCode::OK, headers, timeline: Timeline::new(steps, generation) }
    }

    /// An error answer whose request id is drawn by its number.
    fn numbered(&self, problem: &Problem, account: Option<usize>) -> Answer {
        self.error(problem, &self.0.numbered_request_id(), account)
    }

    fn error(&self, problem: &Problem, request_id: &str, account: Option<usize>) -> Answer {
        let mut headers = self.headers(request_id, account);
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        if let Some(word) = problem.kind.should_retry() {
            headers.insert("x-should-retry", HeaderValue::from_static(word));
        }
        let timeline = Timeline::at_once(problem.body(request_id));
        Answer { status: problem.status(), headers, timeline }
    }

    fn plain(&self, status: StatusCode, body: Vec<u8>) -> Answer {
        let mut headers = self.headers(&self.0.numbered_request_id(), None);
        if !body.is_empty() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        Answer { status, headers, timeline: Timeline::at_once(body) }
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

fn message_id(draws: Draws) -> String {
    format!("msg_01{}", draws.id("message", 22))
}
