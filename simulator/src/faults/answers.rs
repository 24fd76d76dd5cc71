//! Every error answer of the API, by the name that scenarios give it.

use serde_json::json;

use super::Occasion;
use crate::growth;
use crate::money::{Shortage, next_month};
use crate::problem::{Kind, Problem};
use crate::scenario::FaultName as Name;

/// The answer of that name; those of a stream are an overloaded one.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn problem(name: Name, occasion: &Occasion<'_>) -> Problem {
    fn of(kind: Kind, message: impl Into<String>) -> Problem {
        Problem::new(kind, message)
    }
    let shortage = |shortage: Shortage| shortage.problem(next_month(occasion.wall));
    match name {
        Name::InvalidRequest => Problem::invalid("The request is invalid."),
        Name::CreditTooLow => shortage(Shortage::Credit),
        Name::SpendLimit => shortage(Shortage::SpendLimit),
        Name::WorkspaceSpendLimit => shortage(Shortage::WorkspaceSpendLimit),
        Name::MonthlyCap => shortage(Shortage::MonthlyCap),
        Name::ContractCap => shortage(Shortage::ContractCap),
        Name::Billing => shortage(Shortage::Billing),
        Name::ThirdPartyApp => Problem::invalid(
            "Third-party apps now draw from your extra usage, not your plan limits. Manage it at \
             claude.ai/settings/usage.",
        ),
        Name::Authentication => of(Kind::Authentication, "invalid x-api-key"),
        Name::TokenExpired => of(Kind::Authentication, "OAuth token has expired"),
        Name::TokenRevoked => of(Kind::Authentication, "OAuth token has been revoked"),
        Name::OauthNotSupported => {
            of(Kind::Authentication, "OAuth authentication is currently not supported.")
        }
        Name::Cors => of(
            Kind::Authentication,
            "CORS requests are not allowed for this Organization because of its custom settings.",
        ),
        Name::Permission => of(
            Kind::Permission,
            "Your API key does not have permission to use the specified resource.",
        ),
        Name::OauthNotAllowed => of(
            Kind::Permission,
            "OAuth authentication is currently not allowed for this organization.",
        ),
        Name::MissingScope => {
            of(Kind::Permission, "OAuth token does not meet scope requirement user:inference")
                .with_details(json!({"error_visibility": "user_facing"}))
        }
        Name::Forbidden => Problem::bare(Kind::Permission, "forbidden", "Request not allowed"),
        Name::NotFound => {
            let model = occasion.target.model.map_or("", |model| &model.id);
            of(Kind::NotFound, format!("model: {model}"))
        }
        Name::RequestTimeout => of(Kind::RequestTimeout, "Request timed out"),
        Name::Conflict => of(Kind::Conflict, "The resource is being changed by another request."),
        Name::Precondition => of(Kind::Precondition, "A precondition of the request failed."),
        Name::TooLarge => of(Kind::TooLarge, "Request exceeds the maximum size"),
        Name::Unprocessable => of(Kind::Unprocessable, "The request cannot be processed."),
        Name::RateLimit => of(
            Kind::RateLimit,
            format!(
                "This request would exceed your organization's rate limit (org: {}).",
                occasion.organization
            ),
        ),
        // At the latest when the minute is over.
        Name::RampLimit => growth::too_fast(60),
        Name::Throttled => of(Kind::RateLimit, "Rate limited"),
        Name::LongContext => {
            of(Kind::RateLimit, "Extra usage is required for long context requests.")
        }
        Name::Error => of(Kind::Internal, "Internal server error"),
        Name::Timeout => of(Kind::Timeout, "Request timed out"),
        Name::Overloaded
        | Name::ErrorEvent
        | Name::Drop
        | Name::Stall
        | Name::SlowFirstToken
        | Name::MalformedJson
        | Name::Truncated
        | Name::WrongContentType
        | Name::Refusal => of(Kind::Overloaded, "Overloaded"),
    }
}
