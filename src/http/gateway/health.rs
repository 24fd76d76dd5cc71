//! Whether the gateway works, for those who run it.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use polpo_agents::messages::Observe;
use polpo_metrics::Budget;
use polpo_policy::pool::seat::ProfileState;

use super::{Site, operator};
use crate::keys::ClientKey;

/// What Prometheus asks for (text exposition format 0.0.4).
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

const PLAIN: &str = "text/plain; charset=utf-8";

/// `GET /healthz`: the process works.
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type(PLAIN).body("ok\n")
}

/// `/api/hello`: what Claude Code asks for to open a connection before it is needed.
pub(super) async fn hello() -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// `GET /readyz`: a profile can serve.
pub(super) async fn readyz(site: Data<Site>) -> HttpResponse {
    let why = match site.scheduler.send(Observe).await {
        Ok(_) if site.drain.is_draining() => "about to end\n",
        Ok(_) if site.ledger.is_behind() => "the ledger cannot be written\n",
        Ok(pool) if pool.profiles.iter().any(|(state, _)| is_serving(*state)) => {
            return HttpResponse::Ok().content_type(PLAIN).body("ready\n");
        }
        Ok(_) => "no profile can serve\n",
        Err(_) => "about to end\n",
    };
    HttpResponse::ServiceUnavailable().content_type(PLAIN).body(why)
}

const fn is_serving(state: ProfileState) -> bool {
    match state {
        ProfileState::Ready | ProfileState::Probing => true,
        ProfileState::Cooling | ProfileState::Disabled | ProfileState::Revoked => false,
    }
}

/// `GET /metrics`: for this machine, or with the admin key.
pub(super) async fn metrics(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    if let Err(fault) = operator::neighbour(&site, &request) {
        return operator::answer(Err(fault));
    }
    // Gauges of the pool are as fresh as the last look at it.
    let _ = site.scheduler.send(Observe).await;
    site.metrics.set_budgets(budgets(&site));
    HttpResponse::Ok().content_type(EXPOSITION).body(site.metrics.render())
}

/// How the budgets of the client keys stand.
fn budgets(site: &Site) -> Vec<(String, Budget)> {
    let now = site.clock.now();
    let of = |key: &ClientKey| {
        let (name, money) = (&key.name, site.keys.money(&key.name, now));
        let budget = |scope, limit: Option<_>, spent| {
            let reserved = money.reserved;
            limit.map(|limit| (format!("{name}/{scope}"), Budget { limit, spent, reserved }))
        };
        let day = budget("day", key.limits.cost_per_day, money.spent_today);
        [day, budget("total", key.limits.cost_total, money.spent_total)]
    };
    site.keys.listed(now).iter().flat_map(|key| of(key)).flatten().collect()
}
