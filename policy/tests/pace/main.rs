//! What pacing is for: all of the allowed throughput, and hardly a refusal.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod examples;
mod laws;
mod server;
mod table;
mod throughput;
mod work;
mod world;
