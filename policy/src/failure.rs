//! What went wrong with a call, and whose fault it is.

use crate::limits::{Dimension, Hints, Timestamp, stated_date};

/// What a failed call means for the profile and for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The organisation's rate limit for this class of models is used up.
    Limited {
        /// When it ends, if the server said so.
        until: Option<Timestamp>,
        /// What it counts, as far as it can be told.
        dimension: Option<Dimension>,
    },
    /// The account has no money, or may not spend it.
    Unfunded {
        /// When it may again, if the server said so.
        until: Option<Timestamp>,
    },
    /// Its token has expired and could not be renewed.
    Unrefreshed {
        /// When that may be tried again, if the server said so.
        until: Option<Timestamp>,
    },
    /// The credential is not accepted.
    Revoked,
    /// The credential may not use this class of models.
    Forbidden,
    /// This profile cannot serve this request, another may.
    Unsuited,
    /// The provider has too much to do.
    Overloaded,
    /// The provider failed.
    Faulty,
    /// The provider could not be reached, or the connection broke.
    Network,
    /// The request itself is wrong: no other profile would help.
    Rejected,
}

impl Failure {
    /// The value of an `outcome` or `reason` label.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Limited { .. } => "rate_limit",
            Self::Unfunded { .. } => "billing",
            Self::Unrefreshed { .. } => "refresh_failed",
            Self::Revoked => "auth",
            Self::Forbidden => "permission",
            Self::Unsuited => "unsuited",
            Self::Overloaded => "overloaded",
            Self::Faulty => "server_error",
            Self::Network => "network",
            Self::Rejected => "invalid_request",
        }
    }

    /// Whether it is the provider's trouble and says nothing of the profile.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        match self {
            Self::Overloaded | Self::Faulty | Self::Network => true,
            Self::Limited { .. }
            | Self::Unfunded { .. }
            | Self::Unrefreshed { .. }
            | Self::Revoked
            | Self::Forbidden
            | Self::Unsuited
            | Self::Rejected => false,
        }
    }
}

/// An error answer, taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The HTTP status; of an `error` event in a stream, the one of its type.
    pub status: u16,
    /// `error.type`.
    pub kind: &'a str,
    /// `error.details.error_code`, or Poe's `error.code`.
    pub code: &'a str,
    /// `error.message`.
    pub message: &'a str,
    /// What the headers tell.
    pub hints: &'a Hints,
}

/// Classifies an error answer by status, `error.type`, `error_code` and the beginning of the
/// message, in this order of trust.
#[must_use]
pub fn classify(now: Timestamp, evidence: &Evidence<'_>) -> Failure {
    match evidence.status {
        400 => bad_request(evidence),
        401 => Failure::Revoked,
        402 => unfunded(evidence),
        403 => forbidden(evidence),
        408 | 409 => Failure::Faulty,
        429 => limited(now, evidence),
        529 => Failure::Overloaded,
        500..=599 if evidence.kind == "overloaded_error" => Failure::Overloaded,
        500..=599 => Failure::Faulty,
        404..=499 => Failure::Rejected,
        // Nothing that the API would answer: a captive portal, a proxy, a half-broken edge.
        _ => Failure::Faulty,
    }
}

/// Bytes of a request's body for a token, at the most: prose has four to five.
const MOST_BYTES_PER_TOKEN: u64 = 6;

/// What a failure means for a request of `body_bytes`. One that is larger than the limit itself,
/// or refused while nothing of the limit is used, would be refused for ever, and each refusal would
/// rest the profile for everyone: this profile does not suit it.
#[must_use]
pub fn of_request(failure: Failure, hints: &Hints, body_bytes: u64) -> Failure {
    let Failure::Limited { dimension: Some(Dimension::InputTokens), .. } = failure else {
        return failure;
    };
    let mut readings = hints.limits.iter();
    match readings.find(|reading| reading.dimension == Dimension::InputTokens) {
        // What remains is rounded to thousands.
        Some(it)
            if it.limit < body_bytes / MOST_BYTES_PER_TOKEN
                || it.remaining.saturating_add(500) >= it.limit =>
        {
            Failure::Unsuited
        }
        Some(_) | None => failure,
    }
}

/// Whether an error answer says that a thinking block of an earlier answer is not signed for whoever
/// sends it back: thoughts can only go back to the organisation that had them. Who may not leave
/// them out can take it as [`Failure::Unsuited`], as that organisation may have a profile.
#[must_use]
pub fn is_foreign_thought(status: u16, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    status == 400 && message.contains("signature") && message.contains("thinking")
}

/// The status that belongs to an `error.type`, for errors inside a stream that began with 200.
#[must_use]
pub fn status_of(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" | "insufficient_credits" | "insufficient_quota" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

/// Beginnings of the messages of a 400 that is about money.
const MONEY_400: [&str; 4] = [
    "Your credit balance is too low",
    "You have reached your specified API usage limits",
    "You have reached your specified workspace API usage limits",
    "Third-party apps now draw from your extra usage",
];

/// Words of a 403 that is about the credential itself; "token" alone would also be a word of
/// messages about tokens to read and write.
const NAMES_KEY_403: [&str; 4] = ["api key", "api-key", "oauth authentication", "oauth token"];

fn bad_request(evidence: &Evidence<'_>) -> Failure {
    let about_money = MONEY_400.iter().any(|start| evidence.message.starts_with(start));
    if about_money || evidence.code == "organization_on_hold" {
        return unfunded(evidence);
    }
    Failure::Rejected
}

fn unfunded(evidence: &Evidence<'_>) -> Failure {
    Failure::Unfunded { until: stated_date(evidence.message) }
}

fn forbidden(evidence: &Evidence<'_>) -> Failure {
    if evidence.code.starts_with("user_profile_") {
        return Failure::Rejected; // About the user profile that the request names.
    }
    let message = evidence.message.to_ascii_lowercase();
    let names_key = evidence.code == "invalid_api_key"
        || NAMES_KEY_403.iter().any(|words| message.contains(words));
    if names_key { Failure::Revoked } else { Failure::Forbidden }
}

fn limited(now: Timestamp, evidence: &Evidence<'_>) -> Failure {
    match evidence.code {
        "enforced_spend_limit_reached"
        | "contract_spend_limit_reached"
        | "insufficient_credits"
        | "insufficient_quota" => {
            return unfunded(evidence);
        }
        _ => {}
    }
    if evidence.message.starts_with("You have reached your API usage limits") {
        return unfunded(evidence);
    }
    if evidence.message.starts_with("Extra usage is required") {
        return Failure::Unsuited;
    }
    Failure::Limited {
        until: evidence.hints.until(now, evidence.message),
        dimension: evidence.hints.dimension(evidence.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LimitReading;
    use chrono::DateTime;
    use proptest::prelude::*;

    fn class(status: u16, kind: &str, code: &str, message: &str) -> Failure {
        let hints = Hints::default();
        classify(DateTime::UNIX_EPOCH, &Evidence { status, kind, code, message, hints: &hints })
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one line for each row of the document's table")]
    fn every_row_of_the_error_table_is_classified() {
        use Failure::{Faulty, Forbidden, Overloaded, Rejected, Revoked, Unsuited};
        let open_limit = Failure::Limited { until: None, dimension: None };
        let no_money = Failure::Unfunded { until: None };
        let september: Timestamp = "2026-09-01T00:00:00Z".parse().unwrap();
        let until_september = Failure::Unfunded { until: Some(september) };
        let rows = [
            (400, "invalid_request_error", "", "max_tokens: Field required", Rejected),
            (
                400,
                "invalid_request_error",
                "",
                "Your credit balance is too low to access",
                no_money,
            ),
            (
                400,
                "invalid_request_error",
                "",
                "You have reached your specified API usage limits. You will regain access on 2026-09-01 at 00:00 UTC.",
                until_september,
            ),
            (
                400,
                "invalid_request_error",
                "",
                "You have reached your specified workspace API usage limits.",
                no_money,
            ),
            (
                400,
                "invalid_request_error",
                "",
                "Third-party apps now draw from your extra usage",
                no_money,
            ),
            (400, "invalid_request_error", "organization_on_hold", "x", no_money),
            (401, "authentication_error", "", "invalid x-api-key", Revoked),
            (402, "billing_error", "", "", no_money),
            (402, "billing_error", "linked_organization_spend_limit_reached", "", no_money),
            (403, "permission_error", "", "Your API key does not have permission", Revoked),
            (403, "permission_error", "", "OAuth authentication is currently not allowed", Revoked),
            (403, "permission_error", "", "OAuth token does not meet scope requirement", Revoked),
            (403, "permission_error", "", "1M input tokens are not available for you", Forbidden),
            (403, "forbidden", "", "Request not allowed", Forbidden),
            (403, "permission_error", "user_profile_not_billable", "", Rejected),
            (404, "not_found_error", "", "model: x", Rejected),
            (408, "timeout_error", "", "", Faulty),
            (409, "conflict_error", "", "", Faulty),
            (412, "", "", "", Rejected),
            (413, "request_too_large", "", "", Rejected),
            (422, "invalid_request_error", "", "", Rejected),
            (429, "rate_limit_error", "", "Rate limited", open_limit),
            (429, "rate_limit_error", "ramp_limit_exceeded", "", open_limit),
            (
                429,
                "rate_limit_error",
                "enforced_spend_limit_reached",
                "You have reached your API usage limits: x. You will regain access on 2026-09-01 at 00:00 UTC.",
                until_september,
            ),
            (429, "rate_limit_error", "contract_spend_limit_reached", "", no_money),
            (
                429,
                "rate_limit_error",
                "",
                "Extra usage is required for long context requests.",
                Unsuited,
            ),
            (500, "api_error", "", "", Faulty),
            (503, "", "cmek_key_unreachable", "", Faulty),
            (503, "overloaded_error", "", "", Overloaded),
            (504, "timeout_error", "", "", Faulty),
            (529, "overloaded_error", "", "Overloaded", Overloaded),
            (302, "", "", "", Faulty),
        ];
        for (status, kind, code, message, expected) in rows {
            assert_eq!(class(status, kind, code, message), expected, "{status} {code} {message}");
        }
    }

    #[test]
    fn every_row_of_poe_s_errors_is_classified() {
        use Failure::{Faulty, Forbidden, Overloaded, Rejected, Revoked};
        let open_limit = Failure::Limited { until: None, dimension: None };
        let no_money = Failure::Unfunded { until: None };
        let points = "You've used up your points! Visit https://poe.com/api/keys to get more.";
        let rows = [
            (400, "invalid_request_error", "model_not_found", "Model 'x' does not exist", Rejected),
            (400, "invalid_request_error", "invalid_parameter", "", Rejected),
            (401, "authentication_error", "invalid_api_key", "Invalid API key provided", Revoked),
            (402, "billing_error", "insufficient_quota", points, no_money),
            (402, "billing_error", "", points, no_money),
            (403, "permission_error", "permission_denied", "Not for your plan", Forbidden),
            (403, "permission_error", "invalid_api_key", "Forbidden", Revoked),
            (404, "not_found_error", "not_found", "", Rejected),
            (429, "rate_limit_error", "rate_limit_exceeded", "Rate limit exceeded", open_limit),
            (429, "rate_limit_error", "insufficient_quota", points, no_money),
            (500, "api_error", "internal_error", "", Faulty),
            (503, "api_error", "service_unavailable", "", Faulty),
            (503, "overloaded_error", "", "", Overloaded),
        ];
        for (status, kind, code, message, expected) in rows {
            assert_eq!(class(status, kind, code, message), expected, "{status} {code} {message}");
        }
        assert_eq!(status_of("insufficient_credits"), 402, "in the middle of a stream");
    }

    #[test]
    fn a_request_larger_than_the_limit_does_not_suit_the_profile_and_any_other_waits() {
        let dimension = Dimension::InputTokens;
        let limited = Failure::Limited { until: None, dimension: Some(dimension) };
        let refused = |remaining, body_bytes| {
            let reading = LimitReading { dimension, limit: 40_000, remaining, reset: None };
            let mut hints = Hints::default();
            hints.limits.push(reading);
            of_request(limited, &hints, body_bytes)
        };
        assert_eq!(refused(1000, 250_000), Failure::Unsuited);
        assert_eq!(refused(40_000, 180_000), Failure::Unsuited, "though nothing was used");
        assert_eq!(refused(1000, 180_000), limited);
        assert_eq!(of_request(limited, &Hints::default(), 1 << 40), limited);
    }

    #[test]
    fn a_thought_that_another_organisation_had_is_told_from_other_refusals() {
        for (status, message, expected) in [
            (400, "messages.1.content.0: Invalid `signature` in `thinking` block", true),
            (400, "Invalid Signature in Thinking block", true),
            (400, "messages.1.content.0: `thinking` blocks cannot be modified.", false),
            (400, "metadata.signature: Extra inputs are not permitted", false),
            (429, "Invalid `signature` in `thinking` block", false),
        ] {
            assert_eq!(is_foreign_thought(status, message), expected, "{status} {message}");
        }
    }

    #[test]
    fn digits_in_a_message_do_not_decide() {
        let message =
            "messages: 1500 tokens, 429 words, request 529 with 401 in it, billing, credit";
        assert_eq!(class(400, "invalid_request_error", "", message), Failure::Rejected);
    }

    proptest! {
        #[test]
        fn classification_is_total(status: u16, kind: String, code: String, message: String) {
            let _ = class(status, &kind, &code, &message).label();
            let _ = status_of(&kind);
        }
    }
}
