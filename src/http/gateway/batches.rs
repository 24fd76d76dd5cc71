//! `/v1/messages/batches`: passed on to the profile that made a batch, for the client that made it.

mod create;
mod delete;
mod list;
mod one;
mod results;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::{HeaderMap, Method, StatusCode};
use polpo_agents::gateway::{Answer, AnswerBody, Incoming, Passed, Route, Tally};
use polpo_policy::id::LimitClass;
use polpo_policy::price::Nanodollars;
use polpo_policy::provider::supports_batches;
use polpo_policy::usage::Usage;
use polpo_store::journal::{BatchRecord, BookedCall, JournalError};
use polpo_upstream::headers;
use polpo_upstream::wire::batch::Told;
use polpo_upstream::wire::problem::Problem;

use super::answer::head;
use super::door::Visit;
use super::fault::Fault;
use super::messages::refused;
use super::{Site, access, body, patience};
use crate::control;

pub(super) use create::create;
pub(super) use delete::delete;
pub(super) use list::list;
pub(super) use one::{cancel, retrieve};
pub(super) use results::results;

/// What stands where other requests name a model.
const MODEL: &str = "message batches";

/// What is told of a batch takes less than a kilobyte.
const MOST_TOLD: usize = 1024 * 1024;

/// What upstream told of a batch.
struct Reply {
    status: StatusCode,
    headers: headers::Forwarded,
    body: Bytes,
}

impl Reply {
    /// Reads an answer to its end.
    async fn read(answer: Answer) -> Result<Self, Fault> {
        let Answer { status, headers, body, .. } = answer;
        let cut_off =
            || Fault::upstream(Problem::own("api_error", "the answer about the batch was cut off"));
        let body = match body {
            AnswerBody::Whole(body) => body,
            AnswerBody::Events(_) => return Err(cut_off()),
            AnswerBody::Other(mut body) => {
                let mut whole = BytesMut::new();
                while let Some(chunk) = body.next().await {
                    whole.extend_from_slice(&chunk.map_err(|_| cut_off())?);
                    if whole.len() > MOST_TOLD {
                        return Err(cut_off());
                    }
                }
                whole.freeze()
            }
        };
        Ok(Self { status, headers, body })
    }

    /// The batch that it tells of, if it does.
    fn told(&self) -> Option<Told> {
        if self.status.is_success() { Told::read(self.body.clone()) } else { None }
    }

    /// The answer to the client, with another body.
    fn with(self, body: Bytes) -> HttpResponse {
        head(self.status.as_u16(), &self.headers).body(body)
    }

    /// The answer to the client.
    fn answer(mut self) -> HttpResponse {
        let body = std::mem::take(&mut self.body);
        self.with(body)
    }
}

/// The batch of this id, if it is the client's.
///
/// # Errors
/// When there is none, for this client.
async fn find(visit: &Visit, id: &str) -> Result<BatchRecord, Fault> {
    let site = &visit.site;
    let found = site.journal.batch(id).await.map_err(|error| unwritten(&error))?;
    let is_own = |batch: &BatchRecord| {
        batch.key == visit.key.name && batch.simulated == site.ledger.is_simulated()
    };
    found.filter(is_own).ok_or_else(|| {
        Fault::lasting(404, "not_found_error", format!("Message Batch {id} not found."))
    })
}

/// Asks the profile that made a batch; the path goes on with `rest`.
///
/// # Errors
/// When it has no answer.
async fn ask(
    visit: &Visit,
    batch: &BatchRecord,
    (method, rest): (Method, &str),
    headers: HeaderMap,
    tally: Arc<Tally>,
) -> Result<Answer, Fault> {
    let site = &visit.site;
    let (provider, _) = batch.profile.as_str().split_once(':').unwrap_or_default();
    let route = Route {
        provider: provider.into(),
        class: LimitClass::batches(),
        pin: Some(batch.profile.clone()),
        model: MODEL.into(),
        body: Bytes::new(),
    };
    let incoming = Incoming {
        method,
        path: format!("/v1/messages/batches/{}{rest}", batch.id),
        deadline: patience::deadline(site, &headers),
        headers,
        routes: vec![route],
        is_stream: false,
        estimate: None,
        is_once: false,
        session: None,
        tally: tally.clone(),
        held: body::room(&site.memory, 0)?,
    };
    match site.gateway.pass(incoming).await {
        Passed::Answered(answer) => Ok(answer),
        Passed::Failed(problem) | Passed::Lost(problem, _) => Err(Fault::upstream(problem)),
        Passed::Refused(refusal, _) => {
            let asked = (&MODEL.into(), &LimitClass::batches());
            Err(refused(visit, refusal, &tally, asked).await)
        }
    }
}

/// The tally of a client's request about batches.
fn tally(visit: &Visit, path: &'static str) -> Arc<Tally> {
    access::tally(visit, None, &access::Said { path, model: "", is_stream: false })
}

/// The tally of what no client asked for.
fn no_tally(visit: &Visit) -> Arc<Tally> {
    Arc::new(Tally::new(visit.key.name.clone(), visit.request_id.clone(), |_| {}))
}

/// Remembers what upstream tells of a batch. One that has ended without any answer costs nothing.
///
/// # Errors
/// When it cannot be written down.
async fn remember(visit: &Visit, batch: &BatchRecord, told: &Told) -> Result<(), Fault> {
    let journal = &visit.site.journal;
    let updated = journal.update_batch(batch.id.clone(), told.object().to_owned()).await;
    updated.map_err(|error| unwritten(&error))?;
    if told.has_ended && told.succeeded == 0 {
        settle(visit, batch, vec![]).await?;
    }
    Ok(())
}

/// Books these calls in the place of what is held for a batch, unless others were before.
///
/// # Errors
/// When they cannot be written down.
async fn settle(visit: &Visit, batch: &BatchRecord, calls: Vec<BookedCall>) -> Result<(), Fault> {
    let cost = calls.iter().map(|call| call.cost).sum();
    let settled = visit.site.journal.settle_batch(batch.id.clone(), calls).await;
    if settled.map_err(|error| unwritten(&error))? {
        released(visit, batch)(cost);
    }
    Ok(())
}

/// What hears of the cost of a batch when it is settled; the process does not end before.
fn released(visit: &Visit, batch: &BatchRecord) -> impl FnOnce(Nanodollars) + Send + 'static {
    let (site, under_way) = (visit.site.clone(), visit.under_way.clone());
    let (key, held) = (batch.key.clone(), batch.reserved);
    move |cost| {
        site.keys.release(&key, site.clock.now(), held, cost);
        drop(under_way);
    }
}

/// A batch of which nobody can tell what it has cost.
fn lost(visit: &Visit, batch: &BatchRecord) -> BookedCall {
    BookedCall {
        key: batch.key.clone(),
        request: batch.id.clone(),
        model: MODEL.into(),
        model_served: MODEL.into(),
        profile: batch.profile.clone(),
        outcome: "lost",
        usage: Usage::default(),
        cost: batch.reserved,
        priced: true,
        is_lost: true,
        simulated: batch.simulated,
        started_at: batch.created_at,
        ended_at: visit.site.clock.now(),
    }
}

/// A ledger that does not do as it is asked.
fn unwritten(error: &JournalError) -> Fault {
    tracing::error!(%error, "the ledger does not answer");
    Fault::no_ledger()
}

/// The object of a batch as the client gets it: with its results here, and not where its key of
/// ours would be shown to somebody else.
fn object(told: &Told, origin: &str) -> Bytes {
    told.with_results_at(&format!("{origin}/v1/messages/batches/{}/results", told.id))
}

/// Where the client reaches us, as it says itself, or a proxy before us.
fn origin(request: &HttpRequest) -> String {
    let here = request.connection_info();
    format!("{}://{}", here.scheme(), here.host())
}

/// Whether there is any profile whose provider has batches.
///
/// # Errors
/// When there is none.
async fn offered(site: &Site) -> Result<(), Fault> {
    let control::Answer::Status(profiles) = site.control.answer(control::Ask::Status).await else {
        return Err(Fault::ending());
    };
    let provider = |id: &str| id.split_once(':').map_or_else(|| id.into(), |(name, _)| name.into());
    if profiles.iter().any(|profile| supports_batches(&provider(profile.id.as_str()))) {
        return Ok(());
    }
    let message = "No provider of this gateway has message batches; `polpo run` works through a \
                   file of the same requests without them.";
    Err(Fault::lasting(404, "not_found_error", message))
}
