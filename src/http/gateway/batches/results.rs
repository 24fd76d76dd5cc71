//! `GET /v1/messages/batches/{id}/results`: passed on as they come, and metered.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use http::Method;
use polpo_agents::gateway::{Answer, AnswerBody};

use super::super::Site;
use super::super::answer::{head, headers_of};
use super::super::door::receive;
use super::{Reply, ask, find, released, tally};

pub(in super::super) async fn results(
    request: HttpRequest,
    id: Path<String>,
    site: Data<Site>,
) -> HttpResponse {
    receive(&site, &request, async |visit| {
        visit.count()?;
        let batch = find(&visit, &id).await?;
        let tally = tally(&visit, "/v1/messages/batches/{id}/results");
        let what = (Method::GET, "/results");
        let answer = ask(&visit, &batch, what, headers_of(&request), tally).await?;
        match answer {
            Answer { status, headers, body: AnswerBody::Other(body), .. } => {
                let settled = released(&visit, &batch);
                let results = visit.site.gateway.results(batch, body, settled);
                Ok(head(status.as_u16(), &headers).streaming(results))
            }
            refused => Ok(Reply::read(refused).await?.answer()),
        }
    })
    .await
}
