//! Why a call yielded no reply, in our own words.

use thiserror::Error;

/// Why a call, or the rest of its body, did not arrive.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TransportError {
    /// No connection could be made: the request was not sent.
    #[error("cannot connect to upstream")]
    Connect,
    /// Nothing came for longer than the idle time-out.
    #[error("upstream sent nothing for too long")]
    Idle,
    /// The connection broke after the request was under way.
    #[error("the connection to upstream broke")]
    Broken,
    /// The request could not be built: nothing was sent.
    #[error("the request is not valid HTTP")]
    Invalid,
}

impl TransportError {
    /// Whether upstream may have worked on the request, and so may bill for it.
    #[must_use]
    pub const fn may_have_been_served(self) -> bool {
        match self {
            Self::Connect | Self::Invalid => false,
            Self::Idle | Self::Broken => true,
        }
    }
}
