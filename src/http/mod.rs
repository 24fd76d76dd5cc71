//! What polpo serves over HTTP.

pub mod metrics;
