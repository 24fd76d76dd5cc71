//! The gateway: Anthropic's API, served by the pool.

mod access;
mod admin;
mod answer;
mod batches;
mod body;
mod count;
mod door;
mod drain;
mod events;
mod fault;
mod health;
mod id;
mod messages;
mod models;
mod nowhere;
mod operator;
mod page;
mod patience;
mod routes;
mod session;
mod stall;

use std::io;
use std::net::TcpListener;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use actix::Recipient;
pub use actix_web::dev::Server;
pub use actix_web::web::Data;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpRequest, HttpServer, Resource, Route, guard};
use polpo_agents::clock::Clock;
use polpo_agents::gateway::Gateway;
use polpo_agents::ledger::Ledger;
use polpo_agents::messages::Observe;
use polpo_metrics::Metrics;
use polpo_policy::id::ProviderId;
use polpo_policy::price::PriceList;
use polpo_store::journal::Journal;
use tokio::sync::Semaphore;

use crate::config::Allowlist;
use crate::control::Handles;
use crate::keys::{ClientKey, ClientKeys};
use crate::roster::Mark;

pub use body::memory;
pub use drain::Drain;
pub use stall::LONGEST_STALL;

/// What all requests share.
pub struct Site {
    /// Who passes requests on.
    pub gateway: Gateway,
    /// Where its calls are booked.
    pub ledger: Ledger,
    /// Where message batches are kept.
    pub journal: Arc<dyn Journal>,
    /// The clients' keys.
    pub keys: Arc<ClientKeys>,
    /// Whoever comes while there are no keys.
    pub anyone: Arc<ClientKey>,
    /// The providers to ask, in order of preference.
    pub providers: Vec<ProviderId>,
    /// The models that may be used; `None` = all.
    pub allowlist: Option<Allowlist>,
    /// How long a request waits for a profile.
    pub max_queue: Duration,
    /// What calls may cost.
    pub prices: Arc<PriceList>,
    /// The memory for bodies, in kilobytes.
    pub memory: Arc<Semaphore>,
    /// Whether it is about to end.
    pub drain: Drain,
    /// The time.
    pub clock: Clock,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// Who knows how the profiles stand.
    pub scheduler: Recipient<Observe>,
    /// Who tells of them and tends them.
    pub control: Handles,
    /// What it marks its calls with.
    pub mark: Mark,
    /// Whether only this machine can reach it.
    pub is_local: bool,
}

/// How long a client may take for the head of a request; a whole one fits in one packet.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than the pools of the official SDKs keep an idle connection, so that none is closed under
/// a request.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// How long a stop waits for what is still being sent.
const SHUTDOWN_SECONDS: u64 = 5;

/// A server of the gateway on a bound listener, for so many clients at once: more wait to be let in,
/// so that the connections upstream find a descriptor. It cuts off whoever has no room for its answer
/// for `longest_stall`, and leaves signals to the caller.
///
/// # Errors
/// When the listener cannot be used.
pub fn server(
    listener: TcpListener,
    site: Data<Site>,
    at_once: u32,
    longest_stall: Duration,
) -> io::Result<Server> {
    stall::limit(&listener, longest_stall);
    let app = move || App::new().app_data(site.clone()).configure(endpoints);
    let at_once = usize::try_from(at_once).unwrap_or(usize::MAX).max(1);
    let workers = available_parallelism().map_or(1, NonZero::get).min(at_once);
    let server = HttpServer::new(app)
        .workers(workers)
        .max_connections(at_once / workers)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        // Half-closed connections would hide that a client has hung up.
        .h1_allow_half_closed(false)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// The endpoints, for an app with a [`Site`].
pub fn endpoints(config: &mut ServiceConfig) {
    config
        .service(at("/v1/messages", "POST", [web::post().to(messages::messages)]))
        .service(at("/v1/messages/count_tokens", "POST", [web::post().to(count::count_tokens)]))
        .service(at(
            "/v1/messages/batches",
            "GET, HEAD, POST",
            [get().to(batches::list), web::post().to(batches::create)],
        ))
        .service(at(
            "/v1/messages/batches/{id}",
            "DELETE, GET, HEAD",
            [get().to(batches::retrieve), web::delete().to(batches::delete)],
        ))
        .service(at("/v1/messages/batches/{id}/cancel", "POST", [web::post().to(batches::cancel)]))
        .service(at("/v1/messages/batches/{id}/results", "GET, HEAD", [get().to(batches::results)]))
        .service(at("/v1/models", "GET, HEAD", [get().to(models::list)]))
        .service(at("/v1/models/{id}", "GET, HEAD", [get().to(models::retrieve)]))
        .service(at("/api/hello", "GET, HEAD", [get().to(health::hello)]))
        .service(at("/healthz", "GET, HEAD", [get().to(health::healthz)]))
        .service(at("/readyz", "GET, HEAD", [get().to(health::readyz)]))
        .service(at("/metrics", "GET, HEAD", [get().to(health::metrics)]))
        .service(at("/api/v1/status", "GET, HEAD", [get().to(admin::status)]))
        .service(at("/api/v1/events", "GET, HEAD", [get().to(admin::events)]))
        .service(at("/api/v1/profiles/{id}/{act}", "POST", [web::post().to(admin::tend)]))
        .default_service(web::to(nowhere::nothing));
}

/// What is at a path, and which methods that are.
fn at<const N: usize>(path: &str, methods: &'static str, routes: [Route; N]) -> Resource {
    let other = move |request: HttpRequest, site: Data<Site>| async move {
        nowhere::other_method(&request, &site, methods)
    };
    let resource = web::resource(path).default_service(web::to(other));
    routes.into_iter().fold(resource, Resource::route)
}

/// A route for `GET`, and for `HEAD`, whose answers come without their bodies.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}
