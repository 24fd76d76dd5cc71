//! The Anthropic API on the wire: sending calls, reading streams, metering them.

pub mod error;
pub mod transport;
