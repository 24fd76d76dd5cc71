//! Why there is no token.

use http::{HeaderMap, StatusCode};
use polpo_policy::limits::{Hints, Timestamp};
use serde_json::Value;
use thiserror::Error;

use super::settings::InvalidUrl;
use crate::credential::UnusableHeader;
use crate::error::TransportError;
use crate::wire::problem::{Problem, redacted};

/// Why a request for a token, or for whose it is, brought nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OAuthError {
    /// The server said no.
    #[error("the login server refused: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// `error` as RFC 6749 has it, or the API's `error.type`; empty if the answer has neither.
        code: String,
        /// What the server said of it, without secrets.
        message: String,
    },
    /// Too many requests.
    #[error("the login server takes no more requests for now")]
    Limited {
        /// When it takes the next one, if it said so.
        until: Option<Timestamp>,
    },
    /// No answer, or not the whole of it in time.
    #[error("the login server cannot be reached")]
    Unreachable(#[from] TransportError),
    /// An answer of no use: a fault of the server, or nothing a token could be read from.
    #[error("the login server answered with status {status} and nothing that can be used")]
    Faulty {
        /// The HTTP status.
        status: u16,
    },
    /// A token of a kind that calls cannot be signed with.
    #[error("the login server issued a token that is not a bearer token")]
    NotBearer,
    /// A URL of the settings cannot be called.
    #[error("a URL of the OAuth settings cannot be called")]
    Url(#[from] InvalidUrl),
    /// A header of the settings, or the token, cannot be sent.
    #[error("a header of a request to the login server cannot be sent")]
    Header(#[from] UnusableHeader),
}

/// Codes that say that the login is over, of RFC 6749 and of the API.
const FINAL: [&str; 4] =
    ["invalid_grant", "invalid_client", "unauthorized_client", "authentication_error"];

/// Characters that are quoted of what a server says.
const QUOTED_CHARS: usize = 200;

impl OAuthError {
    /// Whether the same refresh token will never bring anything: a new login is needed.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { code, .. } => FINAL.contains(&code.as_str()),
            Self::Limited { .. }
            | Self::Unreachable(_)
            | Self::Faulty { .. }
            | Self::NotBearer
            | Self::Url(_)
            | Self::Header(_) => false,
        }
    }

    /// Reads an answer that is not a success; what it says of waiting counts from `now`.
    pub(super) fn from_answer(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Option<Timestamp>,
    ) -> Self {
        if status == StatusCode::TOO_MANY_REQUESTS {
            let header = |name: &str| headers.get(name)?.to_str().ok();
            let until = now.and_then(|now| Hints::read(now, header).until(now, ""));
            return Self::Limited { until };
        }
        if !status.is_client_error() || status == StatusCode::REQUEST_TIMEOUT {
            return Self::Faulty { status: status.as_u16() };
        }
        let error: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let (code, message) = match error["error"].as_str() {
            Some(code) => (code, complaint(code, error["error_description"].as_str())),
            None => {
                let code = error["error"]["type"].as_str().unwrap_or_default();
                (code, told(&Problem::from_body(status, body).message))
            }
        };
        Self::Refused { status: status.as_u16(), code: told(code), message }
    }
}

/// An error of RFC 6749, fit to be printed.
pub(super) fn complaint(code: &str, description: Option<&str>) -> String {
    told(&description.map_or(code.to_owned(), |description| format!("{code}: {description}")))
}

/// What somebody else said, fit to be printed: one short line without secrets, and without the
/// queries of addresses, which hold codes.
fn told(text: &str) -> String {
    let word = |word: &str| match word.split_once(['?', '#']) {
        Some((address, _)) if address.contains("://") => redacted(address),
        _ => redacted(word),
    };
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|w| !w.is_empty()).map(word).collect::<Vec<_>>().join(" ");
    line.chars().take(QUOTED_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn error(status: u16, body: &str) -> OAuthError {
        let status = StatusCode::from_u16(status).unwrap();
        OAuthError::from_answer(status, &HeaderMap::new(), body.as_bytes(), Some(NOW))
    }

    #[test]
    fn a_refusal_tells_what_the_server_said_and_whether_the_login_is_over() {
        let envelope = r#"{"type":"error","error":{"type":"authentication_error","message":"No"}}"#;
        let edge = r#"{"error":{"type":"forbidden","message":"Request not allowed"}}"#;
        for (status, body, message, is_final) in [
            (
                400,
                r#"{"error":"invalid_grant","error_description":"Refresh token not found"}"#,
                "invalid_grant: Refresh token not found",
                true,
            ),
            (401, r#"{"error":"invalid_client"}"#, "invalid_client", true),
            (400, r#"{"error":"unauthorized_client"}"#, "unauthorized_client", true),
            (400, r#"{"error":"invalid_scope"}"#, "invalid_scope", false),
            (400, r#"{"error":"invalid_request"}"#, "invalid_request", false),
            (401, envelope, "No", true),
            (403, edge, "Request not allowed", false),
            (403, "<h1>Blocked</h1>", "upstream answered with status 403: <h1>Blocked</h1>", false),
            (404, "", "upstream answered with status 404 and an empty body", false),
        ] {
            let error = error(status, body);
            assert_eq!(error.to_string(), format!("the login server refused: {message}"));
            assert_eq!(error.is_final(), is_final, "{body}");
        }
    }

    #[test]
    fn faults_of_the_server_and_limits_end_no_login() {
        let grant = r#"{"error":"invalid_grant"}"#;
        for status in [302, 408, 500, 502, 503, 529] {
            let error = error(status, grant);
            assert_eq!((error.is_final(), error), (false, OAuthError::Faulty { status }));
        }
        let limited = error(429, grant);
        assert_eq!((limited.is_final(), limited), (false, OAuthError::Limited { until: None }));

        let headers = HeaderMap::from_iter([("retry-after".parse().unwrap(), 30.into())]);
        let status = StatusCode::TOO_MANY_REQUESTS;
        let until = |now| OAuthError::from_answer(status, &headers, b"", now);
        let in_thirty_seconds = NOW + std::time::Duration::from_secs(30);
        assert_eq!(until(Some(NOW)), OAuthError::Limited { until: Some(in_thirty_seconds) });
        assert_eq!(until(None), OAuthError::Limited { until: None });
    }

    #[test]
    fn what_a_server_says_is_one_short_line_without_secrets() {
        for (said, expected) in [
            ("a\r\n\tb \u{1b}[31mc", "a b [31mc"),
            ("bad token sk-ant-ort01-marked.", "bad token [REDACTED]."),
            ("see https://a.example/cb?code=marked&state=s now", "see https://a.example/cb now"),
            ("see https://a.example/cb#code=marked", "see https://a.example/cb"),
            ("really? yes#1", "really? yes#1"),
        ] {
            assert_eq!(told(said), expected);
        }
        assert_eq!(told(&"é ".repeat(1000)).chars().count(), QUOTED_CHARS);
        let quoted =
            serde_json::json!({"error": "sk-ant-marked", "error_description": "sk-marked"});
        assert!(!format!("{:?}", error(400, &quoted.to_string())).contains("marked"));
    }
}
