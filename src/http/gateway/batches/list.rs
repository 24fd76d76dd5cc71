//! `GET /v1/messages/batches`: the client's own.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt as _;
use futures_util::stream::iter;
use http::{HeaderMap, Method};
use polpo_store::journal::{BatchQuery, BatchRecord, JournalError};
use polpo_upstream::wire::batch::Told;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::super::Site;
use super::super::answer::headers_of;
use super::super::door::{Visit, receive};
use super::super::fault::Fault;
use super::super::page::{Page, Wanted, parameters};
use super::one::kept;
use super::{Reply, ask, no_tally, object, offered, origin, remember, unwritten};

/// Batches that are asked about at once, for one list.
const AT_ONCE: usize = 8;

/// How long a list waits for what is new: what is not told by then is told as it was.
const PATIENCE: Duration = Duration::from_secs(10);

pub(in super::super) async fn list(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    receive(&site, &request, async |visit| {
        visit.count()?;
        offered(&visit.site).await?;
        let wanted = Wanted::read(&parameters(request.query_string())?)?;
        let page = visit.site.journal.batches(BatchQuery {
            key: visit.key.name.clone(),
            simulated: visit.site.ledger.is_simulated(),
            limit: wanted.limit,
            cursor: wanted.cursor.clone(),
        });
        let page = page.await.map_err(|error| {
            let is_unknown = matches!(error, JournalError::UnknownBatch(_));
            if is_unknown { wanted.lost() } else { unwritten(&error) }
        })?;
        let (headers, until) = (headers_of(&request), Instant::now() + PATIENCE);
        let told = |batch| told(&visit, batch, &headers, until);
        let batches: Vec<_> = iter(page.batches).map(told).buffered(AT_ONCE).collect().await;
        let page = Page::new(batches.into_iter().flatten().collect(), page.has_more, |it| &it.id);
        let origin = origin(&request);
        Ok(HttpResponse::Ok().json(page.map(|told| raw(&told, &origin))))
    })
    .await
}

/// What there is to tell of a batch.
async fn told(
    visit: &Visit,
    batch: BatchRecord,
    headers: &HeaderMap,
    until: Instant,
) -> Option<Told> {
    let kept = kept(&batch)?;
    if kept.has_ended {
        return Some(kept);
    }
    let news = timeout_at(until, news(visit, &batch, headers.clone())).await;
    Some(news.ok().and_then(Result::ok).flatten().unwrap_or(kept))
}

async fn news(
    visit: &Visit,
    batch: &BatchRecord,
    headers: HeaderMap,
) -> Result<Option<Told>, Fault> {
    let answer = ask(visit, batch, (Method::GET, ""), headers, no_tally(visit)).await?;
    let Some(told) = Reply::read(answer).await?.told() else { return Ok(None) };
    remember(visit, batch, &told).await?;
    Ok(Some(told))
}

fn raw(told: &Told, origin: &str) -> Option<Box<RawValue>> {
    serde_json::from_slice(&object(told, origin)).ok()
}
