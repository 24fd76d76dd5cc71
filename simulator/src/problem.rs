//! Errors in the API's words.

use http::StatusCode;
use serde::Serialize;

/// The kinds of error that are answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    InvalidRequest,
    Authentication,
    NotFound,
    TooLarge,
    RateLimit,
    Internal,
    Overloaded,
}

impl Kind {
    const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::RateLimit => 429,
            Self::Internal => 500,
            Self::Overloaded => 529,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::NotFound => "not_found_error",
            Self::TooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_error",
            Self::Internal => "api_error",
            Self::Overloaded => "overloaded_error",
        }
    }

    /// What `x-should-retry` says, where the real API sends it.
    pub(crate) const fn should_retry(self) -> Option<&'static str> {
        match self {
            Self::InvalidRequest => Some("false"),
            Self::RateLimit => Some("true"),
            Self::Authentication
            | Self::NotFound
            | Self::TooLarge
            | Self::Internal
            | Self::Overloaded => None,
        }
    }
}

/// An error answer, before it has a request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidRequest, message)
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The error envelope.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        let error = Inner { r#type: self.kind.name(), message: &self.message };
        serde_json::to_vec(&Envelope { r#type: "error", error, request_id }).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'static str,
    error: Inner<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Inner<'a> {
    r#type: &'static str,
    message: &'a str,
}
