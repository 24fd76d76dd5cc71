//! Who comes in.

use std::sync::Arc;

use actix_web::body::{BodySize, MessageBody as _};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Version};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use polpo_policy::id::KeyName;
use polpo_policy::price::Nanodollars;
use polpo_policy::quota::{Admission, Demand};

use super::drain::UnderWay;
use super::fault::Fault;
use super::{Site, access, id};
use crate::config::Allowlist;
use crate::keys::{ClientKey, Denied};
use crate::roster::Mark;

/// A request of a client that may come in.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) site: Data<Site>,
    pub(super) key: Arc<ClientKey>,
    /// The request's id, unless upstream gives it one.
    pub(super) request_id: String,
    /// Counts it for as long as anybody works on it.
    pub(super) under_way: Arc<UnderWay>,
}

/// Lets a client in, and gives the answer of `serve` to it.
pub(super) async fn receive(
    site: &Data<Site>,
    request: &HttpRequest,
    serve: impl AsyncFnOnce(Visit) -> Result<HttpResponse, Fault>,
) -> HttpResponse {
    let (request_id, path) = (id::request_id(), request.path());
    let tell = |key: &KeyName, fault: &Fault| {
        if !fault.is_told {
            let ended = (fault.outcome(), fault.problem.status);
            access::answered(site, (key, &request_id, path), ended);
        }
    };
    let visit = match Visit::enter(site, request, &request_id) {
        Ok(visit) => visit,
        Err(fault) => {
            tell(&NOBODY.into(), &fault);
            return fault.answer(&request_id);
        }
    };
    match serve(visit.clone()).await {
        Ok(answer) => visit.seal(framed(request, answer)),
        Err(fault) => {
            tell(&visit.key.name, &fault);
            visit.refuse(&fault)
        }
    }
}

/// The key of a request that has none that is good.
const NOBODY: &str = "none";

/// The answer to whoever is at the wrong place; a client of the API also sees how many requests it
/// may make.
pub(super) fn stray(site: &Data<Site>, request: &HttpRequest, fault: &Fault) -> HttpResponse {
    let request_id = id::request_id();
    let is_client = request.path().starts_with("/v1/");
    match Visit::enter(site, request, &request_id) {
        Ok(visit) if is_client => visit.refuse(fault),
        Ok(_) | Err(_) => fault.answer(&request_id),
    }
}

impl Visit {
    /// Lets a client in.
    ///
    /// # Errors
    /// When it may not come in.
    fn enter(site: &Data<Site>, request: &HttpRequest, request_id: &str) -> Result<Self, Fault> {
        // Before its key is looked at: it has that of one of our own profiles, who would be taken for
        // revoked.
        let marks = request.headers().get_all(Mark::HEADER);
        if site.mark.is_in(marks.map(HeaderValue::as_bytes)) {
            tracing::warn!("a request of this gateway came back to it");
            return Err(Fault::circle());
        }
        let key = key(site, request.headers())?;
        if site.drain.is_draining() {
            return Err(Fault::ending());
        }
        if site.ledger.is_behind() {
            return Err(Fault::no_ledger());
        }
        let under_way = Arc::new(site.drain.enter());
        Ok(Self { site: site.clone(), key, request_id: request_id.to_owned(), under_way })
    }

    /// What names the models that it may use.
    pub(super) fn allowlists(&self) -> Vec<&Allowlist> {
        self.site.allowlist.iter().chain(&self.key.models).collect()
    }

    /// Takes what a request may cost from its key's limits.
    ///
    /// # Errors
    /// When it is more than is left.
    pub(super) fn admit(&self, demand: &Demand) -> Result<Admission, Fault> {
        let now = self.site.clock.now();
        let admitted = self.site.keys.admit(&self.key, now, demand);
        admitted.map_err(|breach| Fault::breach(&breach, now))
    }

    /// Takes what costs something after its request has ended from its key's limits, and tells what
    /// is held for it until it is released.
    ///
    /// # Errors
    /// When it is more than is left.
    pub(super) fn hold(&self, cost: Option<Nanodollars>) -> Result<Nanodollars, Fault> {
        let now = self.site.clock.now();
        let held = self.site.keys.hold(&self.key, now, cost);
        held.map_err(|breach| Fault::breach(&breach, now))
    }

    /// Takes a request that costs nothing from its key's limits.
    ///
    /// # Errors
    /// When it is one too many.
    pub(super) fn count(&self) -> Result<(), Fault> {
        let now = self.site.clock.now();
        self.site.keys.count(&self.key, now).map_err(|breach| Fault::breach(&breach, now))
    }

    /// The answer with what every answer has.
    pub(super) fn seal(&self, mut answer: HttpResponse) -> HttpResponse {
        let allowance = self.site.keys.allowance(&self.key, self.site.clock.now());
        set(&mut answer, "x-ratelimit-limit-requests", &allowance.limit.to_string());
        set(&mut answer, "x-ratelimit-remaining-requests", &allowance.remaining.to_string());
        set(&mut answer, "x-ratelimit-reset-requests", &allowance.reset_seconds.to_string());
        if !answer.headers().contains_key("request-id") {
            set(&mut answer, "request-id", &self.request_id);
        }
        answer
    }

    /// The answer to a request that is refused.
    pub(super) fn refuse(&self, fault: &Fault) -> HttpResponse {
        self.seal(fault.answer(&self.request_id))
    }
}

/// The answer as its client can read it: HTTP/1.0 knows no chunks, a stream ends with its connection.
fn framed(request: &HttpRequest, mut answer: HttpResponse) -> HttpResponse {
    if request.version() < Version::HTTP_11 && answer.body().size() == BodySize::Stream {
        answer.head_mut().no_chunking(true);
        answer.head_mut().set_connection_type(ConnectionType::Close);
    }
    answer
}

pub(super) fn set(answer: &mut HttpResponse, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// The key that a client shows, if it opens anything.
fn key(site: &Site, headers: &HeaderMap) -> Result<Arc<ClientKey>, Fault> {
    let Some(shown) = presented(headers) else {
        return Err(unauthorized("x-api-key header is required"));
    };
    if site.keys.is_open() {
        return Ok(site.anyone.clone());
    }
    site.keys.find(shown, site.clock.now()).map_err(|denied| {
        unauthorized(match denied {
            Denied::Unknown => "invalid x-api-key",
            Denied::Expired => "this key of the gateway has expired",
            Denied::Revoked => "this key of the gateway was revoked",
        })
    })
}

fn unauthorized(message: &str) -> Fault {
    Fault::lasting(401, "authentication_error", message)
}

/// What a client shows: `x-api-key`, else what follows `Bearer`. Clients that have none may send an
/// empty one.
pub(super) fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let shown = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let api_key = shown("x-api-key").map(<[u8]>::trim_ascii).filter(|key| !key.is_empty());
    api_key.or_else(|| {
        let (scheme, token) = shown("authorization")?.trim_ascii().split_at_checked(7)?;
        let token = token.trim_ascii();
        (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pairs: &[(&'static str, &'static str)]) -> Option<String> {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        presented(&headers).map(|key| String::from_utf8_lossy(key).into_owned())
    }

    #[test]
    fn x_api_key_wins_and_a_bearer_token_does_as_well() {
        let (key, token) = (("x-api-key", "a"), ("authorization", "Bearer b"));
        assert_eq!(shown(&[key, token]).as_deref(), Some("a"));
        assert_eq!(shown(&[token]).as_deref(), Some("b"));
        assert_eq!(shown(&[("x-api-key", ""), token]).as_deref(), Some("b"));
        assert_eq!(shown(&[("authorization", "bearer  b ")]).as_deref(), Some("b"));
        for value in ["Basic b", "Bearer ", "Bearer", ""] {
            assert_eq!(shown(&[("authorization", value)]), None, "{value}");
        }
        assert_eq!(shown(&[]), None);
    }
}
