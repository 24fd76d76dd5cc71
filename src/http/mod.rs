//! What polpo serves over HTTP.

pub mod gateway;
pub mod metrics;
