//! Who runs the gateway, as far as a request tells.

use actix_web::HttpRequest;
use actix_web::HttpResponse;

use super::door::{presented, set};
use super::fault::Fault;
use super::{Site, id};

/// Lets in whoever shows the admin key.
///
/// # Errors
/// When there is none, or another one is shown.
pub(super) fn admin(site: &Site, request: &HttpRequest) -> Result<(), Fault> {
    if !site.keys.has_admin() {
        let message =
            "this needs the admin key, and there is none: set gateway.adminKey in polpo.json";
        return Err(Fault::lasting(403, "permission_error", message));
    }
    match presented(request.headers()) {
        Some(shown) if site.keys.is_admin(shown) => Ok(()),
        Some(_) => Err(Fault::lasting(401, "authentication_error", "this is not the admin key")),
        None => {
            let message = "show the admin key as `Authorization: Bearer` or `x-api-key`";
            Err(Fault::lasting(401, "authentication_error", message))
        }
    }
}

/// What a proxy says of whoever is behind it.
const PROXIED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// Lets in whoever is on this machine, or shows the admin key.
///
/// # Errors
/// As [`admin`], for a gateway that others can reach, be it through a proxy.
pub(super) fn neighbour(site: &Site, request: &HttpRequest) -> Result<(), Fault> {
    let is_proxied = PROXIED.iter().any(|name| request.headers().contains_key(*name));
    if site.is_local && !is_proxied { Ok(()) } else { admin(site, request) }
}

/// The answer to a request that no client's key is needed for.
pub(super) fn answer(result: Result<HttpResponse, Fault>) -> HttpResponse {
    let request_id = id::request_id();
    let mut answer = result.unwrap_or_else(|fault| fault.answer(&request_id));
    set(&mut answer, "request-id", &request_id);
    answer
}
