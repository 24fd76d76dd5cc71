//! `POST /v1/messages`.

use std::time::Duration;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use polpo_agents::gateway::{Answer, AnswerBody, Incoming, Passed, Tally, error_event};
use polpo_policy::budget::{Estimate, reservation};
use polpo_policy::id::{LimitClass, ModelName};
use polpo_policy::model::Catalogue;
use polpo_policy::pool::gate::Cause;
use polpo_policy::pool::{Obstacle, Refusal};
use polpo_policy::price::Cost;
use polpo_policy::quota::Demand;
use polpo_policy::usage::Terms;
use polpo_upstream::wire::problem::Problem;
use polpo_upstream::wire::request::Request;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout_at;

use super::answer::{answer, headers_of, method_of, opened, path_of};
use super::door::{Visit, receive};
use super::events::{Events, Source};
use super::fault::{Fault, Why};
use super::{Site, access, body, patience, routes, session};

/// The API's own limit for a request body.
pub(super) const MOST_BYTES: usize = 32 * 1024 * 1024;

/// A stream that has waited this long is begun, and pinged: proxies between close a connection on
/// which nothing comes for a minute.
const SILENCE: Duration = Duration::from_secs(45);

/// The largest answer of a model that is not known.
const MOST_TOKENS: u64 = 128_000;

/// Bytes of a body for a token, about, where it need not be a bound.
const BYTES_PER_TOKEN: u64 = 4;

pub(super) async fn messages(
    request: HttpRequest,
    payload: Payload,
    site: Data<Site>,
) -> HttpResponse {
    receive(&site, &request, async |visit| serve(&visit, &request, payload).await).await
}

async fn serve(
    visit: &Visit,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Fault> {
    let site = &visit.site;
    let held = body::of(request, payload, MOST_BYTES, &site.memory).await?;
    let asked = Request::read(held.bytes)?;
    let is_stream = asked.is_stream;
    let incoming = incoming(visit, request, asked, held.memory)?;
    let (tally, model) = (incoming.tally.clone(), incoming.routes[0].model.clone());
    let gateway = site.gateway.clone();
    let mut passing = Box::pin(async move { gateway.pass(incoming).await });
    let opens = tally.arrived() + SILENCE;
    let passed = if is_stream {
        match timeout_at(opens, &mut passing).await {
            Ok(passed) => passed,
            Err(_) => {
                tally.streams();
                let (visit, under_way) = (visit.clone(), visit.under_way.clone());
                let name = model.clone();
                let coming = async move { late(&visit, passing.await, &tally, &model).await };
                let source = Source::Coming(Box::pin(coming));
                return Ok(opened(Events::new(source, under_way), name.as_str()));
            }
        }
    } else {
        passing.await
    };
    match passed {
        Passed::Answered(it) => Ok(answer(visit, it, &tally, model.as_str())),
        Passed::Failed(problem) | Passed::Lost(problem, _) => Err(Fault::upstream(problem)),
        Passed::Refused(refusal, _) => {
            Err(refused(visit, refusal, &tally, (&model, &class_of(&model))).await)
        }
    }
}

/// The request as the pool gets it.
fn incoming(
    visit: &Visit,
    request: &HttpRequest,
    asked: Request,
    held: OwnedSemaphorePermit,
) -> Result<Incoming, Fault> {
    let (site, key) = (&visit.site, &visit.key);
    let routes = routes::routes(&asked, &site.providers, &visit.allowlists())?;
    let estimate = estimate(&asked, &routes[0].model);
    let cost = reservation(&site.prices, routes[0].model.as_str(), &estimate);
    let demand = Demand {
        tokens: estimate.body_bytes / BYTES_PER_TOKEN,
        cost: cost.as_ref().map(Cost::total),
    };
    let admission = visit.admit(&demand)?;
    let headers = headers_of(request);
    let said = access::Said {
        path: "/v1/messages",
        model: asked.model.as_str(),
        is_stream: asked.is_stream,
    };
    Ok(Incoming {
        method: method_of(request),
        path: path_of(request),
        session: Some(session::session(&key.name, &headers, &asked)),
        deadline: patience::deadline(site, &headers),
        headers,
        routes,
        is_stream: asked.is_stream,
        estimate: Some(estimate),
        is_once: false,
        tally: access::tally(visit, Some(admission), &said),
        held,
    })
}

pub(super) fn estimate(asked: &Request, model: &ModelName) -> Estimate {
    let known = Catalogue::get().find(model.as_str());
    let most = known.map_or(MOST_TOKENS, |info| info.max_output_tokens);
    Estimate {
        body_bytes: asked.body().len() as u64,
        max_tokens: asked.max_tokens.map_or(most, |tokens| tokens.min(most)),
        writes_cache: asked.writes_cache,
        terms: Terms { batch: false, us_only: asked.is_us_only, fast: asked.is_fast },
    }
}

fn class_of(model: &ModelName) -> LimitClass {
    Catalogue::get().limit_class(model.as_str())
}

/// The answer to a request that got no profile.
pub(super) async fn refused(
    visit: &Visit,
    refusal: Refusal,
    tally: &Tally,
    (model, class): (&ModelName, &LimitClass),
) -> Fault {
    let why = why(&visit.site, class).await;
    let fault = Fault::refused(refusal, model.as_str(), why, visit.site.clock.now());
    tally.close(refusal.label(), fault.problem.status);
    fault.told()
}

/// Why no profile can serve a class now.
async fn why(site: &Site, class: &LimitClass) -> Why {
    let obstacles = site.control.obstacles(&site.providers, class).await;
    let all = |cause: Cause| {
        let is_it = |obstacle: &Obstacle| *obstacle == Obstacle::Shut(cause);
        !obstacles.is_empty() && obstacles.iter().all(is_it)
    };
    if obstacles.contains(&Obstacle::Shut(Cause::Outage)) {
        Why::Outage
    } else if all(Cause::Billing) {
        Why::Money
    } else {
        Why::Limits
    }
}

/// What comes to a stream that was begun without it.
async fn late(visit: &Visit, passed: Passed, tally: &Tally, model: &ModelName) -> Source {
    let problem = match passed {
        Passed::Answered(Answer { body: AnswerBody::Events(flow), .. }) => {
            return Source::Flow(flow);
        }
        Passed::Answered(Answer { status, body: AnswerBody::Whole(body), .. })
            if !status.is_success() =>
        {
            Problem::from_body(status, &body)
        }
        Passed::Answered(_) => Problem::own("api_error", "the answer did not come as a stream"),
        Passed::Failed(problem) | Passed::Lost(problem, _) => problem,
        Passed::Refused(refusal, _) => {
            *refused(visit, refusal, tally, (model, &class_of(model))).await.problem
        }
    };
    let request_id = problem.request_id.clone().or_else(|| Some(visit.request_id.clone()));
    Source::Last(error_event(&Problem { request_id, ..problem }))
}
