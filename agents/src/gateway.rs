//! The gateway: passes clients' requests on. It fails over, and never retries or escalates.
//!
//! A handle instead of an actor: it has no state, and a request has one hop less.

mod errand;
mod failover;
mod flow;
mod results;
mod tally;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Method, StatusCode};
use polpo_policy::budget::Estimate;
use polpo_policy::id::{AgentId, LimitClass, ModelName, ProfileId, ProviderId, SessionId};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::Refusal;
use polpo_upstream::headers;
use polpo_upstream::transport::Body;
use polpo_upstream::wire::problem::Problem;
use tokio::sync::OwnedSemaphorePermit;

use crate::agent::Desk;
use crate::ledger::Ledger;

pub use flow::{Flow, error_event};
pub use results::Results;
pub use tally::{Tally, Totals};

/// The name of the agent that all requests of clients belong to.
#[must_use]
pub fn agent() -> AgentId {
    "gateway".into()
}

/// Passes requests on.
#[derive(Clone)]
pub struct Gateway {
    desk: Arc<Desk>,
    agent: AgentId,
    ledger: Ledger,
}

/// A request of a client.
#[derive(Debug)]
pub struct Incoming {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The headers that upstream gets.
    pub headers: HeaderMap,
    /// Who may be asked for what, in order of preference; never empty.
    pub routes: Vec<Route>,
    /// Whether its answer is to be a stream of events.
    pub is_stream: bool,
    /// What is known of its cost; `None` = it is free, and its answer is passed on as it is.
    pub estimate: Option<Estimate>,
    /// Whether it is done once at the most: what may have been done is not sent again.
    pub is_once: bool,
    /// The conversation that it is a turn of.
    pub session: Option<SessionId>,
    /// Until when it may wait for a profile, and be sent again.
    pub deadline: Timestamp,
    /// What it comes to.
    pub tally: Arc<Tally>,
    /// Its share of the memory for bodies, given back when it can no longer be sent again.
    pub held: OwnedSemaphorePermit,
}

/// A provider that may be asked, and for what.
#[derive(Clone, Debug)]
pub struct Route {
    /// The provider.
    pub provider: ProviderId,
    /// The limit that it is under there.
    pub class: LimitClass,
    /// The only profile to use.
    pub pin: Option<ProfileId>,
    /// The model, aliases resolved.
    pub model: ModelName,
    /// The body that upstream gets.
    pub body: Bytes,
}

/// What came of a request.
#[derive(Debug)]
pub enum Passed {
    /// Upstream answered it, perhaps with an error.
    Answered(Answer),
    /// Upstream failed, without an answer that could be passed on.
    Failed(Problem),
    /// Nobody knows what upstream did of what is done once at the most.
    Lost(Problem, Served),
    /// It got no profile, and why the last one it had did not serve it.
    Refused(Refusal, Option<Problem>),
}

/// An answer to be passed on.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers that the client gets.
    pub headers: headers::Forwarded,
    /// The body.
    pub body: AnswerBody,
    /// Who gave it.
    pub served: Served,
}

/// The profile that was asked.
pub type Served = ProfileId;

/// The body of an answer.
pub enum AnswerBody {
    /// Here already.
    Whole(Bytes),
    /// A stream of events that has begun well.
    Events(Box<Flow>),
    /// Whatever upstream sends, unread.
    Other(Body),
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Events(_) => "Events",
            Self::Other(_) => "Other",
        })
    }
}

impl Gateway {
    /// A gateway that works for whoever asks it, on his thread.
    #[must_use]
    pub fn new(desk: Arc<Desk>, ledger: Ledger) -> Self {
        Self { desk, agent: agent(), ledger }
    }

    /// Passes a request on. Its answer is there when it can no longer be had from another profile;
    /// dropping this, or the answer, cancels the call.
    pub async fn pass(&self, incoming: Incoming) -> Passed {
        let passing = AssertUnwindSafe(failover::pass(self, incoming)).catch_unwind();
        passing.await.unwrap_or_else(|_| {
            tracing::error!("a request panicked; please report it");
            Passed::Failed(Problem::own("api_error", "the gateway failed; please report it"))
        })
    }
}
