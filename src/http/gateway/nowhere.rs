//! Requests for what there is not.

use actix_web::http::header::ALLOW;
use actix_web::http::header::HeaderValue;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::Site;
use super::door::stray;
use super::fault::Fault;

/// Wherever there is nothing.
pub(super) async fn nothing(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    let message = format!("there is nothing at {}", request.path());
    stray(&site, &request, &Fault::lasting(404, "not_found_error", message))
}

/// Where there is something, but for these methods.
pub(super) fn other_method(
    request: &HttpRequest,
    site: &Data<Site>,
    methods: &'static str,
) -> HttpResponse {
    let message = format!("{} is not possible at {}", request.method(), request.path());
    let fault = Fault::lasting(405, "invalid_request_error", message);
    let mut answer = stray(site, request, &fault);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}
