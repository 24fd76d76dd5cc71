//! The simulator on a socket.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::web::{self, BytesMut, Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use polpo_upstream::transport::{Call, SILENCE};
use tokio::task::yield_now;

use crate::response::Response;
use crate::simulator::Simulator;
use crate::timeline::Broken;

/// The API's own limit for a request body, and for a batch of requests.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
const MAX_BATCH_BYTES: usize = 256 * 1024 * 1024;

/// Longer than any client's pool keeps an idle connection, so that none is closed under a request.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// How long a stop waits for open streams.
const SHUTDOWN_SECONDS: u64 = 1;

/// A server for a simulator on a bound listener; it serves while the returned future is polled
/// within an actix system, and leaves signals to the caller.
///
/// # Errors
/// If the listener cannot be used.
pub fn server(simulator: Simulator, listener: TcpListener) -> io::Result<Server> {
    let data = Data::new(simulator);
    let app = move || App::new().app_data(data.clone()).default_service(web::to(handle));
    let server = HttpServer::new(app)
        .keep_alive(KEEP_ALIVE)
        // Half-closed connections would hide that a client has hung up.
        .h1_allow_half_closed(false)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

async fn handle(request: HttpRequest, body: Payload, simulator: Data<Simulator>) -> HttpResponse {
    let mut response = match read(&request, body).await {
        Ok(Some(body)) => simulator.answer(&call(&request, body)).await,
        Ok(None) => simulator.too_large(),
        // The client hung up while it was sending: nobody reads this.
        Err(Unread) => return HttpResponse::BadRequest().finish(),
    };
    match response.timeline.open().await {
        Ok(()) => respond(response),
        Err(Broken) => hang_up(),
    }
}

/// The connection closes before there is a status: a body that fails at once takes it down.
fn hang_up() -> HttpResponse {
    HttpResponse::Ok().streaming(stream::iter([Err::<Bytes, _>(broken())]))
}

fn broken() -> actix_web::Error {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}

/// The connection broke before the body was whole.
struct Unread;

/// The body, or nothing if it is too large.
async fn read(request: &HttpRequest, mut body: Payload) -> Result<Option<Bytes>, Unread> {
    let most = match request.path() {
        "/v1/messages/batches" => MAX_BATCH_BYTES,
        _ => MAX_BODY_BYTES,
    };
    let length = request.headers().get("content-length").and_then(|value| value.to_str().ok());
    if length.and_then(|length| length.parse().ok()).is_some_and(|n: usize| n > most) {
        return Ok(None);
    }
    let mut whole = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| Unread)?;
        if whole.len() + chunk.len() > most {
            return Ok(None);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Some(whole.freeze()))
}

/// The request in the words of the transport: actix-web speaks an older `http`.
fn call(request: &HttpRequest, body: Bytes) -> Call {
    let headers: HeaderMap = request
        .headers()
        .iter()
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
        })
        .collect();
    let method = Method::from_bytes(request.method().as_str().as_bytes()).unwrap_or(Method::GET);
    Call { method, path: request.uri().to_string(), headers, body, silence: SILENCE }
}

fn respond(mut answer: Response) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status.as_u16());
    let mut response = HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    for (name, value) in &answer.headers {
        response.insert_header((name.as_str(), value.as_bytes()));
    }
    if let Some(body) = answer.timeline.rest_if_due() {
        return response.body(body);
    }
    response.streaming(stream::unfold(answer.timeline, |mut timeline| async move {
        let bytes = timeline.next().await?;
        if bytes.is_err() {
            // What went before is flushed only while there is nothing more to send.
            yield_now().await;
        }
        Some((bytes.map_err(|Broken| broken()), timeline))
    }))
}
