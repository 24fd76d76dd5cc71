//! `GET /v1/messages/batches/{id}` and `POST /v1/messages/batches/{id}/cancel`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use http::Method;
use polpo_store::journal::BatchRecord;
use polpo_upstream::wire::batch::Told;

use super::super::Site;
use super::super::answer::headers_of;
use super::super::door::{Visit, receive};
use super::super::fault::Fault;
use super::{Reply, ask, find, object, origin, remember, tally};

/// `GET …/{id}`. Of a batch that has ended there is nothing new.
pub(in super::super) async fn retrieve(
    request: HttpRequest,
    id: Path<String>,
    site: Data<Site>,
) -> HttpResponse {
    receive(&site, &request, async |visit| {
        visit.count()?;
        let batch = find(&visit, &id).await?;
        match kept(&batch).filter(|told| told.has_ended) {
            Some(told) => Ok(HttpResponse::Ok()
                .content_type("application/json")
                .body(object(&told, &origin(&request)))),
            None => told(&visit, &request, &batch, (Method::GET, "")).await,
        }
    })
    .await
}

/// `POST …/{id}/cancel`.
pub(in super::super) async fn cancel(
    request: HttpRequest,
    id: Path<String>,
    site: Data<Site>,
) -> HttpResponse {
    receive(&site, &request, async |visit| {
        visit.count()?;
        let batch = find(&visit, &id).await?;
        told(&visit, &request, &batch, (Method::POST, "/cancel")).await
    })
    .await
}

/// What upstream told of a batch last.
pub(super) fn kept(batch: &BatchRecord) -> Option<Told> {
    Told::read(Bytes::copy_from_slice(batch.object.as_bytes()))
}

/// What upstream tells of a batch now.
async fn told(
    visit: &Visit,
    request: &HttpRequest,
    batch: &BatchRecord,
    what: (Method, &'static str),
) -> Result<HttpResponse, Fault> {
    let path = match what.1 {
        "" => "/v1/messages/batches/{id}",
        _ => "/v1/messages/batches/{id}/cancel",
    };
    let tally = tally(visit, path);
    let answer = ask(visit, batch, what, headers_of(request), tally).await?;
    let reply = Reply::read(answer).await?;
    let Some(told) = reply.told() else { return Ok(reply.answer()) };
    remember(visit, batch, &told).await?;
    Ok(reply.with(object(&told, &origin(request))))
}
