//! The end of a client's request: its key is charged, it is counted, and the log has one line on it.

use std::sync::Arc;

use polpo_agents::gateway::{Tally, Totals, agent};
use polpo_metrics::{RequestEnded, Surface};
use polpo_policy::id::KeyName;
use polpo_policy::quota::{Admission, Used};

use super::Site;
use super::door::Visit;
use crate::keys::ClientKey;

/// What a client says of its request.
#[derive(Clone, Debug)]
pub(super) struct Said<T> {
    pub(super) path: &'static str,
    /// The model, as the client names it.
    pub(super) model: T,
    pub(super) is_stream: bool,
}

/// The tally of a request that was admitted.
pub(super) fn tally(visit: &Visit, admission: Option<Admission>, said: &Said<&str>) -> Arc<Tally> {
    let (site, key) = (visit.site.clone(), visit.key.clone());
    let request = visit.request_id.clone();
    let &Said { path, model, is_stream } = said;
    let said = Said { path, model: model.to_owned(), is_stream };
    let id = request.clone();
    let close = move |totals: Totals| close(&site, &key, admission, (&said, &id, &totals));
    Arc::new(Tally::new(visit.key.name.clone(), request, close))
}

fn close(
    site: &Site,
    key: &ClientKey,
    admission: Option<Admission>,
    (said, id, totals): (&Said<String>, &str, &Totals),
) {
    if let Some(admission) = admission {
        let read = totals.usage.prompt().saturating_sub(totals.usage.cache_read);
        let tokens = read.saturating_add(totals.usage.output);
        let used = Used { tokens, cost: totals.cost };
        site.keys.settle(&key.name, site.clock.now(), admission, used);
    }
    let outcome = totals.outcome.unwrap_or("cancelled");
    let model = totals.model.as_ref().map_or("", |model| model.as_str());
    site.metrics.client_request_ended(&key.name, outcome);
    site.metrics.request_ended(&RequestEnded {
        surface: Surface::Gateway,
        agent: &agent(),
        model: if model.is_empty() { &said.model } else { model },
        outcome,
        took: totals.took,
    });
    log(&key.name, outcome, id, (said, totals));
}

/// Counts a request that was answered, or refused, before anything was asked of the pool.
pub(super) fn answered(
    site: &Site,
    (key, id, path): (&KeyName, &str, &str),
    (outcome, status): (&'static str, u16),
) {
    site.metrics.client_request_ended(key, outcome);
    tracing::info!(target: "polpo::access", request = id, path, %key, status, outcome, "request");
}

fn log(
    key: &KeyName,
    outcome: &'static str,
    request: &str,
    (said, totals): (&Said<String>, &Totals),
) {
    let Totals { usage, waited, first_content, took, .. } = totals;
    tracing::info!(
        target: "polpo::access",
        request = totals.request_id.as_deref().unwrap_or(request),
        path = said.path,
        %key,
        asked = said.model,
        model = totals.model.as_ref().map(tracing::field::display),
        profile = totals.profile.as_ref().map(tracing::field::display),
        stream = said.is_stream,
        status = totals.status,
        error = totals.error,
        outcome,
        calls = totals.calls,
        input = usage.input,
        output = usage.output,
        cache_read = usage.cache_read,
        cache_write = usage.cache_write_5m + usage.cache_write_1h,
        cost_usd = (!totals.is_unpriced).then(|| tracing::field::display(totals.cost)),
        waited_ms = waited.as_millis() as u64,
        first_ms = first_content.map(|first| first.as_millis() as u64),
        took_ms = took.as_millis() as u64,
        "request"
    );
}
