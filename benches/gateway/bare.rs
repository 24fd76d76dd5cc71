//! The least that a proxy of the same make does: actix-web in front, reqwest behind, and every
//! header and byte handed on as it comes.
//!
//! Each worker has a client of its own, as its connections then live on the worker's thread: one
//! client for all would hand each answer from thread to thread.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::rt::System;
use actix_web::web::{self, Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer};
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use reqwest::{Body, Client, Method, redirect};
use tokio::sync::mpsc;

/// What belongs to a connection, and not to what is said over it.
const HOP_BY_HOP: [&str; 4] = ["connection", "host", "keep-alive", "transfer-encoding"];

struct Upstream {
    client: Client,
    url: String,
}

/// Listens at a port of loopback until the process is killed.
pub(crate) fn serve(port: u16, url: &str) {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let url = url.to_owned();
    let app = move || {
        let upstream = Upstream { client: client(), url: url.clone() };
        App::new().app_data(Data::new(upstream)).default_service(web::to(pass))
    };
    let server = HttpServer::new(app).bind(("127.0.0.1", port)).unwrap();
    System::new().block_on(server.run()).unwrap();
}

/// Set up like polpo's transport.
fn client() -> Client {
    Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(300))
        .tcp_keepalive(Duration::from_secs(60))
        .tcp_nodelay(true)
        .redirect(redirect::Policy::none())
        .build()
        .unwrap()
}

async fn pass(asked: HttpRequest, payload: Payload, upstream: Data<Upstream>) -> HttpResponse {
    let method = Method::from_bytes(asked.method().as_str().as_bytes()).unwrap();
    let url = format!("{}{}", upstream.url, asked.uri());
    let mut request = upstream.client.request(method, url).body(body(payload));
    for (name, value) in asked.headers() {
        if !HOP_BY_HOP.contains(&name.as_str()) {
            request = request.header(name.as_str(), value.as_bytes());
        }
    }
    let answer = request.send().await.unwrap();
    let mut response =
        HttpResponseBuilder::new(StatusCode::from_u16(answer.status().as_u16()).unwrap());
    for (name, value) in answer.headers() {
        if !HOP_BY_HOP.contains(&name.as_str()) {
            response.append_header((name.as_str(), value.as_bytes()));
        }
    }
    if let Some(length) = answer.content_length() {
        response.no_chunking(length);
    }
    response.streaming(answer.bytes_stream())
}

/// A payload stays on its thread, and a body may leave it: a channel is between.
fn body(mut payload: Payload) -> Body {
    let (sender, mut receiver) = mpsc::channel(1);
    actix_web::rt::spawn(async move {
        while let Some(Ok(chunk)) = payload.next().await {
            if sender.send(Ok::<_, Infallible>(chunk)).await.is_err() {
                return;
            }
        }
    });
    Body::wrap_stream(poll_fn(move |context| receiver.poll_recv(context)))
}
