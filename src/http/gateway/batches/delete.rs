//! `DELETE /v1/messages/batches/{id}`: not before it is known what the batch has cost.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt as _;
use http::{HeaderMap, Method, StatusCode};
use polpo_agents::gateway::{Answer, AnswerBody};
use polpo_store::journal::BatchRecord;

use super::super::Site;
use super::super::answer::headers_of;
use super::super::door::{Visit, receive};
use super::super::fault::Fault;
use super::{Reply, ask, find, lost, no_tally, released, remember, settle, tally, unwritten};

pub(in super::super) async fn delete(
    request: HttpRequest,
    id: Path<String>,
    site: Data<Site>,
) -> HttpResponse {
    receive(&site, &request, async |visit| {
        visit.count()?;
        let (batch, headers) = (find(&visit, &id).await?, headers_of(&request));
        charge(&visit, &batch, &headers).await?;
        let tally = tally(&visit, "/v1/messages/batches/{id}");
        let answer = ask(&visit, &batch, (Method::DELETE, ""), headers, tally).await?;
        let reply = Reply::read(answer).await?;
        if reply.status.is_success() || reply.status == StatusCode::NOT_FOUND {
            // Nobody will know any more.
            settle(&visit, &batch, vec![lost(&visit, &batch)]).await?;
            let dropped = visit.site.journal.drop_batch(batch.id.clone()).await;
            dropped.map_err(|error| unwritten(&error))?;
        }
        Ok(reply.answer())
    })
    .await
}

/// Reads the results of a batch that has ended, for no other reason than to charge them.
async fn charge(visit: &Visit, batch: &BatchRecord, headers: &HeaderMap) -> Result<(), Fault> {
    if batch.settled {
        return Ok(());
    }
    let ask = |rest| ask(visit, batch, (Method::GET, rest), headers.clone(), no_tally(visit));
    let Some(told) = Reply::read(ask("").await?).await?.told() else { return Ok(()) };
    remember(visit, batch, &told).await?;
    if !told.has_ended {
        return Ok(()); // Upstream refuses to delete it.
    }
    let Answer { body: AnswerBody::Other(body), .. } = ask("/results").await? else {
        return Ok(());
    };
    let settled = released(visit, batch);
    let mut results = visit.site.gateway.results(batch.clone(), body, settled);
    while results.next().await.is_some_and(|chunk| chunk.is_ok()) {}
    Ok(())
}
