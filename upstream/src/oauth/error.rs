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
        let error = serde_json::from_slice(body).unwrap_or(Value::Null);
        let (code, message) = match error["error"].as_str() {
            Some(code) => {
                let description = error["error_description"].as_str();
                (code, description.map_or(code.to_owned(), |text| format!("{code}: {text}")))
            }
            None => (
                error["error"]["type"].as_str().unwrap_or_default(),
                Problem::from_body(status, body).message,
            ),
        };
        Self::Refused { status: status.as_u16(), code: told(code), message: told(&message) }
    }
}

/// What somebody else said, fit to be printed: one short line without secrets, and without the
/// queries of addresses, which hold codes.
pub(super) fn told(text: &str) -> String {
    let word = |word: &str| match word.split_once(['?', '#']) {
        Some((address, _)) if address.contains("://") => redacted(address),
        _ => redacted(word),
    };
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|w| !w.is_empty()).map(word).collect::<Vec<_>>().join(" ");
    line.chars().take(QUOTED_CHARS).collect()
}
