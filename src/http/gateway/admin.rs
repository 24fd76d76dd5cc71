//! What an operator may see and do: `/api/v1/…`.

use std::time::Duration;

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{Stream, unfold};
use polpo_agents::messages::Observe;
use polpo_policy::id::KeyName;
use polpo_policy::price::Nanodollars;
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::fault::Fault;
use super::{Site, operator};
use crate::control::{Answer, Ask, ProfileStatus};
use crate::keys::ClientKey;

/// How often it is looked whether anything has changed: more often than a person can read.
const EVERY: Duration = Duration::from_secs(1);

/// Silence after which a comment is sent: proxies close a connection that is silent for a minute.
const SILENCE: Duration = Duration::from_secs(15);

/// How the gateway stands.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    version: &'static str,
    is_draining: bool,
    /// Requests that wait for a profile.
    waiting: usize,
    /// Requests that have one.
    in_flight: usize,
    profiles: Vec<ProfileStatus>,
    keys: Vec<KeyStatus>,
}

/// How a client key stands.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyStatus {
    name: KeyName,
    requests_per_minute: u32,
    requests_remaining: u32,
    tokens_per_minute: Option<u64>,
    max_concurrency: Option<u32>,
    models: Option<Vec<String>>,
    max_cost_usd_per_day: Option<Nanodollars>,
    max_cost_usd: Option<Nanodollars>,
    spent_today_usd: Nanodollars,
    spent_usd: Nanodollars,
    reserved_usd: Nanodollars,
    expires: Option<polpo_policy::limits::Timestamp>,
}

/// `GET /api/v1/status`.
pub(super) async fn status(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    operator::answer(match operator::admin(&site, &request) {
        Ok(()) => look(&site).await.map(|status| HttpResponse::Ok().json(status)),
        Err(fault) => Err(fault),
    })
}

/// `GET /api/v1/events`: the status at once, and again whenever it has changed.
pub(super) async fn events(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    operator::answer(operator::admin(&site, &request).map(|()| {
        HttpResponse::Ok()
            .insert_header(("content-type", "text/event-stream; charset=utf-8"))
            .insert_header(("cache-control", "no-cache"))
            .streaming(changes(site))
    }))
}

/// `POST /api/v1/profiles/{id}/{clear|disable|enable}`.
pub(super) async fn tend(
    request: HttpRequest,
    path: Path<(String, String)>,
    site: Data<Site>,
) -> HttpResponse {
    let (profile, act) = path.into_inner();
    operator::answer(match operator::admin(&site, &request) {
        Ok(()) => tended(&site, profile, &act).await,
        Err(fault) => Err(fault),
    })
}

async fn tended(site: &Site, profile: String, act: &str) -> Result<HttpResponse, Fault> {
    let profiles = vec![profile.as_str().into()];
    let ask = match act {
        "clear" => Ask::Clear { profiles },
        "disable" => Ask::Disable { profiles },
        "enable" => Ask::Enable { profiles },
        _ => {
            let message = "a profile can be cleared, disabled and enabled: POST …/clear";
            return Err(Fault::lasting(404, "not_found_error", message));
        }
    };
    match site.control.answer(ask).await {
        Answer::Tended(tended) if tended.is_empty() => {
            Err(Fault::lasting(404, "not_found_error", format!("profile: {profile}")))
        }
        Answer::Tended(tended) => {
            Ok(HttpResponse::Ok().json(serde_json::json!({ "profiles": tended })))
        }
        Answer::Status(_) | Answer::Explained(_) | Answer::Refused(_) => Err(Fault::ending()),
    }
}

async fn look(site: &Site) -> Result<Status, Fault> {
    let Answer::Status(profiles) = site.control.answer(Ask::Status).await else {
        return Err(Fault::ending());
    };
    let pool = site.scheduler.send(Observe).await.map_err(|_| Fault::ending())?;
    let now = site.clock.now();
    let keys = site.keys.listed(now);
    Ok(Status {
        version: env!("CARGO_PKG_VERSION"),
        is_draining: site.drain.is_draining(),
        waiting: pool.queued,
        in_flight: pool.leased,
        profiles,
        keys: keys.iter().map(|key| key_status(site, key)).collect(),
    })
}

fn key_status(site: &Site, key: &ClientKey) -> KeyStatus {
    let now = site.clock.now();
    let money = site.keys.money(&key.name, now);
    KeyStatus {
        name: key.name.clone(),
        requests_per_minute: key.limits.requests_per_minute,
        requests_remaining: site.keys.allowance(key, now).remaining,
        tokens_per_minute: key.limits.tokens_per_minute,
        max_concurrency: key.limits.concurrency,
        models: key.models.as_ref().map(|models| models.patterns().to_vec()),
        max_cost_usd_per_day: key.limits.cost_per_day,
        max_cost_usd: key.limits.cost_total,
        spent_today_usd: money.spent_today,
        spent_usd: money.spent_total,
        reserved_usd: money.reserved,
        expires: key.expires,
    }
}

/// A stream of states, each sent when it is not what was sent last.
struct Changes {
    site: Data<Site>,
    ticks: Interval,
    last: String,
    sent: Instant,
}

fn changes(site: Data<Site>) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let changes = Changes { site, ticks, last: String::new(), sent: Instant::now() };
    unfold(changes, |mut changes| async move {
        let event = changes.next().await?;
        changes.sent = Instant::now();
        Some((Ok(event), changes))
    })
}

impl Changes {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.ticks.tick().await;
            if self.site.drain.is_draining() {
                return None;
            }
            let status = look(&self.site).await.ok()?;
            let status = serde_json::to_string(&status).ok()?;
            if status != self.last {
                let event = format!("event: status\ndata: {status}\n\n");
                self.last = status;
                return Some(event.into());
            }
            if self.sent.elapsed() >= SILENCE {
                return Some(Bytes::from_static(b": nothing new\n\n"));
            }
        }
    }
}
