//! `/metrics` while a run goes on.

use std::net::{SocketAddr, TcpListener};

use actix::Recipient;
use actix_web::dev::Server;
pub use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use polpo_agents::messages::Observe;
use polpo_metrics::Metrics;

use crate::exit::Stop;

/// What Prometheus asks for (text exposition format 0.0.4).
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone)]
struct Sources {
    metrics: Metrics,
    scheduler: Recipient<Observe>,
}

/// A server of `/metrics` at `address`, bound but not yet running.
///
/// # Errors
/// When the address cannot be listened on.
pub fn server(
    address: SocketAddr,
    metrics: Metrics,
    scheduler: Recipient<Observe>,
) -> Result<(SocketAddr, Server), Stop> {
    let fault = |error| Stop::usage(format!("--metrics-addr: cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(fault)?;
    let bound = listener.local_addr().map_err(fault)?;
    let sources = Data::new(Sources { metrics, scheduler });
    let app = move || App::new().app_data(sources.clone()).route("/metrics", web::get().to(scrape));
    let server = HttpServer::new(app)
        .workers(1) // A scrape every few seconds.
        .h1_allow_half_closed(false)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)
        .map_err(fault)?;
    Ok((bound, server.run()))
}

async fn scrape(sources: Data<Sources>) -> HttpResponse {
    // Gauges of the pool are as fresh as the last look at it. A run that ends has none to take.
    let _ = sources.scheduler.send(Observe).await;
    HttpResponse::Ok().content_type(CONTENT_TYPE).body(sources.metrics.render())
}
