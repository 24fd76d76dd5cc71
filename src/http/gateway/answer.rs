//! Upstream's answers, as clients get them.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::StreamExt as _;
use http::{HeaderMap, Method};
use polpo_agents::gateway::{Answer, AnswerBody, Tally};
use polpo_upstream::headers;

use super::door::{Visit, set};
use super::events::{Events, Source};

/// The headers of a request in the words of the transport: actix-web speaks an older `http`.
pub(super) fn headers_of(request: &HttpRequest) -> HeaderMap {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    headers::of_request(&Vec::from_iter(headers))
}

/// The method of a request, likewise.
pub(super) fn method_of(request: &HttpRequest) -> Method {
    Method::from_bytes(request.method().as_str().as_bytes()).unwrap_or(Method::GET)
}

/// Path and query of a request.
pub(super) fn path_of(request: &HttpRequest) -> String {
    request.uri().path_and_query().map_or_else(|| request.path().to_owned(), ToString::to_string)
}

/// The answer to a client.
pub(super) fn answer(visit: &Visit, answer: Answer, tally: &Tally, model: &str) -> HttpResponse {
    let Answer { status, headers, body, .. } = answer;
    let mut builder = head(status.as_u16(), &headers);
    let mut response = match body {
        AnswerBody::Whole(bytes) => {
            let mut response = builder.body(bytes);
            if let Some(cost) = tally.cost() {
                set(&mut response, "x-polpo-cost-usd", &cost.to_string());
            }
            response
        }
        AnswerBody::Events(flow) => {
            builder.insert_header(UNBUFFERED);
            builder.streaming(Events::new(Source::Flow(flow), visit.under_way.clone()))
        }
        AnswerBody::Other(body) => {
            let under_way = visit.under_way.clone();
            builder.streaming(body.inspect(move |_| {
                let _held = &under_way;
            }))
        }
    };
    set(&mut response, "x-polpo-model", model);
    response
}

/// Has nginx pass events on as they come.
const UNBUFFERED: (&str, &str) = ("x-accel-buffering", "no");

/// The beginning of a stream that has nothing to say yet.
pub(super) fn opened(events: Events, model: &str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("content-type", "text/event-stream; charset=utf-8"))
        .insert_header(("cache-control", "no-cache"))
        .insert_header(("x-polpo-model", model))
        .insert_header(UNBUFFERED)
        .streaming(events)
}

/// The beginning of an answer like upstream's.
pub(super) fn head(status: u16, headers: &headers::Forwarded) -> HttpResponseBuilder {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(status);
    for (name, value) in headers {
        let name = header::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = header::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            builder.append_header((name, value));
        }
    }
    builder
}
