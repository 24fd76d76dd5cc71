//! `polpo gateway` as a user types it.

use clap::{Args, Subcommand};
use polpo_policy::price::Nanodollars;

use crate::config::budget;

/// `polpo gateway`.
#[derive(Clone, Debug, Subcommand)]
pub enum GatewayCommand {
    /// Make, list and revoke the keys that clients show
    #[command(subcommand)]
    Key(KeyCommand),
}

/// `polpo gateway key`.
#[derive(Clone, Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key for a client and print it, this once
    ///
    /// The key alone goes to stdout; of it no more than a hash is kept. A running gateway takes it
    /// within two seconds.
    Add(KeyAddArgs),
    /// Show the client keys: what they may use, until when, and what they have spent
    List(KeyListArgs),
    /// Take a key back; a running gateway refuses it within two seconds
    Revoke(KeyRevokeArgs),
}

/// Whether it is about the keys of a simulated gateway.
#[derive(Clone, Copy, Debug, Args)]
pub struct SimulatedGateway {
    /// Keys of simulated gateways, in STATE_DIR/simulated
    #[arg(long)]
    pub simulate: bool,
}

/// `polpo gateway key add`.
#[derive(Clone, Debug, Args)]
pub struct KeyAddArgs {
    /// What the client is called: up to 64 letters, digits, `_`, `.` and `-`
    pub name: String,
    /// Models that it may ask for, such as 'claude-*'; may be given again [default: all]
    #[arg(long, value_name = "GLOB", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub models: Vec<String>,
    /// Requests a minute [default: 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, in and out [default: no limit]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000)
    )]
    pub tokens_per_minute: Option<u64>,
    /// US dollars from midnight to midnight, UTC [default: no limit]
    #[arg(long, value_name = "USD", value_parser = budget)]
    pub max_cost_usd_per_day: Option<Nanodollars>,
    /// US dollars in all; what an earlier key of this name has spent counts [default: no limit]
    #[arg(long, value_name = "USD", value_parser = budget)]
    pub max_cost_usd: Option<Nanodollars>,
    /// Requests under way at once [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_concurrency: Option<u32>,
    /// When it ends: 30d, 12h, or a date such as 2026-12-31, to the end of it in UTC [default:
    /// never]
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<String>,
    /// Which gateway.
    #[command(flatten)]
    pub simulation: SimulatedGateway,
}

/// `polpo gateway key list`.
#[derive(Clone, Copy, Debug, Args)]
pub struct KeyListArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which gateway.
    #[command(flatten)]
    pub simulation: SimulatedGateway,
}

/// `polpo gateway key revoke`.
#[derive(Clone, Debug, Args)]
pub struct KeyRevokeArgs {
    /// The name of the key
    pub name: String,
    /// Which gateway.
    #[command(flatten)]
    pub simulation: SimulatedGateway,
}
