//! Error answers: the API's envelope, Poe's, an edge proxy's, or none at all.

use http::StatusCode;
use polpo_policy::failure::{Evidence, Failure, classify, status_of};
use polpo_policy::limits::{Hints, Timestamp};
use serde_json::{Value, json};

/// Of an answer that is not the API's, so much is quoted.
const QUOTED_CHARS: usize = 200;

/// An error that upstream answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status; of an `error` event in a stream, the one of its type.
    pub status: u16,
    /// `error.type`, in the API's words.
    pub kind: String,
    /// `error.details.error_code`, Poe's `error.code`, or empty.
    pub code: String,
    /// `error.message`.
    pub message: String,
    /// `request_id`.
    pub request_id: Option<String>,
}

impl Problem {
    /// Reads the body of an answer with an error status.
    #[must_use]
    pub fn from_body(status: StatusCode, body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(json) => Self::from_json(status.as_u16(), &json),
            Err(_) => Self::from_text(status.as_u16(), &String::from_utf8_lossy(body)),
        }
    }

    /// Reads the data of an `error` event in a stream.
    #[must_use]
    pub fn from_event(data: &[u8]) -> Self {
        let json = serde_json::from_slice(data).unwrap_or(Value::Null);
        let status = status_of(json["error"]["type"].as_str().unwrap_or_default());
        Self::from_json(status, &json)
    }

    fn from_json(status: u16, json: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let error = &json["error"];
        let message = text(&error["message"])
            .or_else(|| text(error))
            .or_else(|| text(&json["message"]))
            .or_else(|| text(&json["detail"]));
        Self {
            status,
            kind: kind(status, error["type"].as_str()),
            code: text(&error["details"]["error_code"])
                .or_else(|| text(&error["code"]))
                .unwrap_or_default(),
            message: message.map_or_else(
                || format!("upstream answered with status {status}"),
                |message| redacted(&message),
            ),
            request_id: text(&json["request_id"]),
        }
    }

    fn from_text(status: u16, text: &str) -> Self {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let quote: String = redacted(&words).chars().take(QUOTED_CHARS).collect();
        Self {
            status,
            kind: kind(status, None),
            code: String::new(),
            message: if quote.is_empty() {
                format!("upstream answered with status {status} and an empty body")
            } else {
                format!("upstream answered with status {status}: {quote}")
            },
            request_id: None,
        }
    }

    /// An error of our own making, in the API's shape.
    #[must_use]
    pub fn own(kind: &str, message: impl Into<String>) -> Self {
        let (kind, code) = (kind.to_owned(), String::new());
        Self { status: status_of(&kind), kind, code, message: message.into(), request_id: None }
    }

    /// What it means for profile and request.
    #[must_use]
    pub fn failure(&self, now: Timestamp, hints: &Hints) -> Failure {
        let Self { status, kind, code, message, .. } = self;
        classify(now, &Evidence { status: *status, kind, code, message, hints })
    }

    /// The API's error envelope.
    #[must_use]
    pub fn envelope(&self) -> Value {
        json!({
            "type": "error",
            "error": { "type": self.kind, "message": self.message },
            "request_id": self.request_id,
        })
    }
}

/// The shortest run of key characters that is taken for a secret, whatever it begins with; request
/// ids and UUIDs are shorter.
const SECRET_CHARS: usize = 40;

/// A message without what may be a credential that upstream, or a proxy, quotes back at us.
pub(crate) fn redacted(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(in_key) {
        let end = rest[start..].find(|c| !in_key(c)).map_or(rest.len(), |length| start + length);
        let word = &rest[start..end];
        text.push_str(&rest[..start]);
        text.push_str(if is_secret(word) { "[REDACTED]" } else { word });
        rest = &rest[end..];
    }
    text.push_str(rest);
    text
}

fn in_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/=_-".contains(c)
}

fn is_secret(word: &str) -> bool {
    word.starts_with("sk-") || word.len() >= SECRET_CHARS
}

/// The types that the API's own clients know.
const KNOWN: [&str; 9] = [
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "rate_limit_error",
    "timeout_error",
    "api_error",
    "overloaded_error",
];

/// The type as given if clients know it, else the one that belongs to the status.
fn kind(status: u16, given: Option<&str>) -> String {
    let known = given.filter(|given| KNOWN.contains(given));
    let of_status = match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    // Poe answers 401 and 404 with `invalid_request_error`: the status is the better witness.
    let misleads = matches!(status, 401 | 404 | 429);
    known.filter(|_| !misleads).unwrap_or(of_status).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(status: u16, body: &str) -> Problem {
        Problem::from_body(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn the_api_envelope_is_read_in_full() {
        let problem = problem(
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}},"request_id":"req_1"}"#,
        );
        assert_eq!(problem.code, "enforced_spend_limit_reached");
        assert_eq!((problem.kind.as_str(), problem.message.as_str()), ("rate_limit_error", "m"));
        assert_eq!(problem.request_id.as_deref(), Some("req_1"));
    }

    #[test]
    fn other_shapes_are_read_as_far_as_they_go() {
        for (status, body, kind, message) in [
            (
                401,
                r#"{"error":{"message":"Invalid API key","type":"invalid_request_error","code":"invalid_api_key"}}"#,
                "authentication_error",
                "Invalid API key",
            ),
            (
                403,
                r#"{"error":{"type":"forbidden","message":"Request not allowed"}}"#,
                "permission_error",
                "Request not allowed",
            ),
            (500, r#"{"error":"boom"}"#, "api_error", "boom"),
            (
                413,
                "",
                "invalid_request_error",
                "upstream answered with status 413 and an empty body",
            ),
            (
                502,
                "<html>\n <h1>Bad gateway</h1>",
                "api_error",
                "upstream answered with status 502: <html> <h1>Bad gateway</h1>",
            ),
            (418, "[]", "invalid_request_error", "upstream answered with status 418"),
        ] {
            let problem = problem(status, body);
            assert_eq!((problem.kind.as_str(), problem.message.as_str()), (kind, message));
        }
    }

    #[test]
    fn poe_s_shape_and_anthropic_s_mean_the_same() {
        use Failure::{Faulty, Forbidden, Rejected, Revoked};
        let (limited, unfunded) =
            (Failure::Limited { until: None, dimension: None }, Failure::Unfunded { until: None });
        for (status, given, code, kind, expected) in [
            (400, "invalid_request_error", "model_not_found", "invalid_request_error", Rejected),
            (401, "invalid_request_error", "invalid_api_key", "authentication_error", Revoked),
            (402, "insufficient_quota", "insufficient_quota", "billing_error", unfunded),
            (403, "permission_error", "permission_denied", "permission_error", Forbidden),
            (404, "invalid_request_error", "not_found", "not_found_error", Rejected),
            (429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_error", limited),
            (500, "api_error", "internal_error", "api_error", Faulty),
            (503, "api_error", "service_unavailable", "api_error", Faulty),
        ] {
            let error = json!({"message": "m", "type": given, "code": code});
            let poe = problem(status, &json!({ "error": error }).to_string());
            assert_eq!((poe.kind.as_str(), poe.code.as_str(), &*poe.message), (kind, code, "m"));
            let error = json!({"message": "m", "type": kind});
            let anthropic = problem(status, &json!({"type": "error", "error": error}).to_string());
            for problem in [poe, anthropic] {
                let failure = problem.failure(Timestamp::default(), &Hints::default());
                assert_eq!(failure, expected, "{problem:?}");
            }
        }
    }

    #[test]
    fn a_credential_that_is_quoted_back_is_redacted_and_ids_are_not() {
        let long = "a".repeat(SECRET_CHARS);
        let message = format!("Incorrect API key: sk-ant-marked, {long}; request req_011CSim, é");
        let body = serde_json::json!({ "error": { "message": message } }).to_string();
        let told = "Incorrect API key: [REDACTED], [REDACTED]; request req_011CSim, é";
        assert_eq!(problem(401, &body).message, told);
        assert!(!problem(502, "<p>sk-ant-marked").message.contains("marked"));
    }

    #[test]
    fn an_error_event_has_the_status_of_its_type() {
        let data =
            br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        assert_eq!(Problem::from_event(data).status, 529);
        let poe =
            br#"{"error":{"type":"insufficient_quota","message":"You've used up your points!"}}"#;
        assert_eq!(Problem::from_event(poe).kind, "billing_error");
        assert_eq!(Problem::from_event(b"garbage").status, 500);
    }

    proptest! {
        #[test]
        fn every_body_is_read_whatever_its_bytes_and_little_of_it_is_quoted(
            status in 100..=999_u16,
            body in prop::collection::vec(any::<u8>(), 0..2000),
        ) {
            let status = StatusCode::from_u16(status).unwrap();
            let problem = Problem::from_body(status, &body);
            prop_assert_eq!(problem.status, status.as_u16());
            prop_assert!(problem.message.chars().count() < QUOTED_CHARS + 50);
            let in_stream = Problem::from_event(&body).status;
            prop_assert!((400..600).contains(&in_stream));
        }
    }
}
