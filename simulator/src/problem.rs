//! Errors in the API's words.

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

/// The kinds of error: what the status and the type of the envelope are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    InvalidRequest,
    Authentication,
    Billing,
    Permission,
    NotFound,
    RequestTimeout,
    Conflict,
    Precondition,
    TooLarge,
    Unprocessable,
    RateLimit,
    Internal,
    Timeout,
    Overloaded,
}

impl Kind {
    const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Billing => 402,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::RequestTimeout => 408,
            Self::Conflict => 409,
            Self::Precondition => 412,
            Self::TooLarge => 413,
            Self::Unprocessable => 422,
            Self::RateLimit => 429,
            Self::Internal => 500,
            Self::Timeout => 504,
            Self::Overloaded => 529,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::Precondition | Self::Unprocessable => {
                "invalid_request_error"
            }
            Self::Authentication => "authentication_error",
            Self::Billing => "billing_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::RequestTimeout | Self::Timeout => "timeout_error",
            Self::Conflict => "conflict_error",
            Self::TooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_error",
            Self::Internal => "api_error",
            Self::Overloaded => "overloaded_error",
        }
    }

    /// What `x-should-retry` says, where the real API was seen to send it.
    const fn should_retry(self) -> Option<bool> {
        match self {
            Self::InvalidRequest => Some(false),
            Self::RateLimit => Some(true),
            Self::Authentication
            | Self::Billing
            | Self::Permission
            | Self::NotFound
            | Self::RequestTimeout
            | Self::Conflict
            | Self::Precondition
            | Self::TooLarge
            | Self::Unprocessable
            | Self::Internal
            | Self::Timeout
            | Self::Overloaded => None,
        }
    }
}

/// An error answer, before it has a request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    status: u16,
    pub(crate) name: String,
    pub(crate) message: String,
    details: Option<Value>,
    /// Without the API's envelope, as the edge in front of it answers.
    is_bare: bool,
    /// What `x-should-retry` says; Poe does not send it.
    pub(crate) should_retry: Option<bool>,
    /// Headers that this error brings.
    pub(crate) headers: Vec<(String, String)>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            status: kind.status(),
            name: kind.name().to_owned(),
            message: message.into(),
            details: None,
            is_bare: false,
            should_retry: kind.should_retry(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidRequest, message)
    }

    /// An error of the edge: it never reached the API, and has no envelope.
    pub(crate) fn bare(kind: Kind, name: &str, message: impl Into<String>) -> Self {
        Self { is_bare: true, name: name.to_owned(), ..Self::new(kind, message) }
    }

    /// The same with a code that a program can match on.
    pub(crate) fn with_code(self, code: &str) -> Self {
        self.with_details(json!({"error_code": code}))
    }

    pub(crate) fn with_details(self, details: Value) -> Self {
        Self { details: Some(details), ..self }
    }

    /// The same with a header; it replaces one of that name.
    pub(crate) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same under another status.
    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The body of the answer.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        if self.is_bare {
            return serde_json::to_vec(&json!({"error": self.error()})).unwrap_or_default();
        }
        serde_json::to_vec(&self.envelope(Some(request_id))).unwrap_or_default()
    }

    /// The error envelope.
    pub(crate) fn envelope<'a>(&'a self, request_id: Option<&'a str>) -> Envelope<'a> {
        Envelope { r#type: "error", error: self.error(), request_id }
    }

    fn error(&self) -> Inner<'_> {
        Inner { r#type: &self.name, message: &self.message, details: self.details.as_ref() }
    }
}

/// What the API puts around an error.
#[derive(Serialize)]
pub(crate) struct Envelope<'a> {
    r#type: &'static str,
    error: Inner<'a>,
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Inner<'a> {
    r#type: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Value>,
}
