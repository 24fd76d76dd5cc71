//! `POST /v1/messages/count_tokens`: told by a provider that counts, else estimated.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use polpo_agents::gateway::{Answer, AnswerBody, Incoming, Passed};
use polpo_policy::id::LimitClass;
use polpo_policy::pool::Refusal;
use polpo_policy::provider::supports_count_tokens;
use polpo_policy::tokens;
use polpo_upstream::wire::problem::Problem;
use polpo_upstream::wire::request::Request;
use serde_json::json;

use super::answer::{answer, headers_of, method_of, path_of};
use super::door::{Visit, receive, set};
use super::fault::Fault;
use super::messages::{MOST_BYTES, refused};
use super::{Site, access, body, patience, routes};

pub(super) async fn count_tokens(
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
    let mut routes = routes::routes(&asked, &site.providers, &visit.allowlists())?;
    visit.count()?;
    let (path, is_stream) = ("/v1/messages/count_tokens", false);
    let said = access::Said { path, model: asked.model.as_str(), is_stream };
    let tally = access::tally(visit, None, &said);
    let model = routes[0].model.clone();
    routes.retain(|route| supports_count_tokens(&route.provider));
    routes.iter_mut().for_each(|route| route.class = LimitClass::count_tokens());
    let estimated = || {
        tally.close("succeeded", 200);
        estimated(&asked)
    };
    if routes.is_empty() {
        return Ok(estimated());
    }
    let headers = headers_of(request);
    let incoming = Incoming {
        method: method_of(request),
        path: path_of(request),
        deadline: patience::deadline(site, &headers),
        headers,
        routes,
        is_stream,
        estimate: None,
        is_once: false,
        session: None,
        tally: tally.clone(),
        held: held.memory,
    };
    match site.gateway.pass(incoming).await {
        Passed::Answered(it) if has_no_endpoint(&it) => Ok(estimated()),
        Passed::Refused(Refusal::NoCredential, _) => Ok(estimated()),
        Passed::Answered(it) => Ok(answer(visit, it, &tally, model.as_str())),
        Passed::Failed(problem) if is_no_endpoint(&problem) => Ok(estimated()),
        Passed::Failed(problem) | Passed::Lost(problem, _) => Err(Fault::upstream(problem)),
        Passed::Refused(refusal, _) => {
            let asked = (&model, &LimitClass::count_tokens());
            Err(refused(visit, refusal, &tally, asked).await)
        }
    }
}

/// Whether it is not the model that is not there, but who would count.
fn has_no_endpoint(answer: &Answer) -> bool {
    let AnswerBody::Whole(body) = &answer.body else { return false };
    is_no_endpoint(&Problem::from_body(answer.status, body))
}

fn is_no_endpoint(problem: &Problem) -> bool {
    matches!(problem.status, 404 | 405 | 501) && !problem.message.starts_with("model")
}

fn estimated(asked: &Request) -> HttpResponse {
    let tokens = tokens::estimated(asked.body());
    let mut answer = HttpResponse::Ok().json(json!({ "input_tokens": tokens }));
    set(&mut answer, "x-polpo-estimated", "true");
    answer
}
