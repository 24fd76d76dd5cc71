//! The program as its users meet it: a process with arguments, files, signals and an exit code.
//!
//! Nothing here reaches the network; the API is the simulator, inside the program or in a second
//! process on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test may fail like a test"
)]

mod auth;
#[cfg(test)]
mod chat;
mod claude_code;
mod client_keys;
mod commands;
mod compatible;
mod credentials;
mod disk;
mod exact;
mod files;
mod gateway;
mod gateway_costs;
mod gsm8k;
mod help;
mod http;
mod input;
mod kill;
mod oauth;
mod results;
mod resume;
mod schema;
mod sdk;
mod secrets;
mod seeds;
mod server;
mod site;
mod support;
