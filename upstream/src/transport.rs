//! The port through which calls leave: one trait, and what crosses it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::Stream;
use http::{HeaderMap, Method, StatusCode};

use crate::error::TransportError;

/// Silence after which an answer is lost: a healthy stream has a ping every few seconds, and what
/// is not written by a model takes seconds.
pub const SILENCE: Duration = Duration::from_secs(600);

/// The same for what a model writes and sends in one piece: it is silent until it is written, and
/// for the largest answers the official SDKs reckon with an hour.
pub const SILENCE_OF_WHOLE: Duration = Duration::from_secs(3600);

/// One request upstream, without a credential.
#[derive(Clone)]
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// Path and query below the base URL, e.g. `/v1/messages`.
    pub path: String,
    /// Headers, content type included.
    pub headers: HeaderMap,
    /// The body; refcounted, so that a failover sends the same bytes again.
    pub body: Bytes,
    /// Silence after which its answer is lost. There is no limit on the whole.
    pub silence: Duration,
}

// The bodies of token requests are secrets, and prompts are nobody's business.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, headers, body, silence } = self;
        f.debug_struct("Call")
            .field("method", method)
            .field("path", path)
            .field("headers", headers)
            .field("body_bytes", &body.len())
            .field("silence", silence)
            .finish()
    }
}

/// The body of a reply as it arrives.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, TransportError>> + Send>>;

/// An upstream reply whose body has not been read: the pipe crosses a mailbox, the water does not.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; dropping it cancels the call.
    pub body: Body,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A reply that is on its way.
pub type Sending = Pin<Box<dyn Future<Output = Result<Reply, TransportError>> + Send>>;

/// Sends calls: over HTTP in the program, to the simulator in memory in tests and dry runs.
pub trait Transport: Send + Sync + 'static {
    /// Sends one signed call.
    fn send(&self, call: Call) -> Sending;
}
