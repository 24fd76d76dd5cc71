//! The Anthropic API on the wire: sending calls, reading streams, metering them.

pub mod credential;
pub mod error;
pub mod headers;
pub mod http;
pub mod meter;
pub mod oauth;
pub mod random;
pub mod sse;
pub mod transport;
pub mod wire;
