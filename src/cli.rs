//! What a user types.

mod auth;
mod gateway;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use auth::{
    AddArgs, AuthCommand, ExplainArgs, ListArgs, LoginArgs, LogoutArgs, Simulation, TendArgs,
    TestArgs,
};
pub use gateway::{
    GatewayCommand, KeyAddArgs, KeyCommand, KeyListArgs, KeyRevokeArgs, SimulatedGateway,
};

/// Runs thousands of Claude agents in parallel over a pool of credentials.
#[derive(Debug, Parser)]
#[command(name = "polpo", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The configuration [default: $POLPO_CONFIG, polpo.json beside TASKS, ./polpo.json,
    /// ./.polpo/polpo.json]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where journal and stored profiles are kept [default: $POLPO_STATE_DIR, ~/.polpo]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// More log messages on stderr; twice for all of them
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// No progress and no log messages but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// The form of log messages: text or json
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = LogFormat::Text,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    pub log_format: LogFormat,
    /// Colours on stderr: auto, always or never; auto honours NO_COLOR
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = Color::Auto,
        value_name = "WHEN",
        hide_possible_values = true
    )]
    pub color: Color,
}

/// The form of log messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Even in a file.
    Always,
    /// Not at all.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented starter polpo.json here (never overwrites)
    Init,
    /// Run a file of tasks; the same command again continues where it stopped
    Run(Box<RunArgs>),
    /// Serve the pool as an Anthropic-compatible endpoint
    Serve(ServeArgs),
    /// Say who may use the gateway
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Talk to an agent; /help there tells what else can be typed
    Chat(ChatArgs),
    /// Serve the simulated Anthropic API on loopback, for tests of any client
    Simulate(SimulateArgs),
    /// Store, show, test and mend the credentials that runs use
    #[command(subcommand)]
    Auth(AuthCommand),
    /// List the models of the catalogue, or say whether those in use can be served
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Show what calls have cost
    Cost(CostArgs),
    /// Check, show or describe polpo.json
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// `polpo run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The tasks, one JSON object a line; `-` is standard input
    pub tasks: PathBuf,
    /// The agent of tasks that name none [default: the first in polpo.json]
    #[arg(short, long)]
    pub agent: Option<String>,
    /// The results, one JSON object a line [default: TASKS with .results.jsonl]
    #[arg(short, long, value_name = "RESULTS")]
    pub output: Option<PathBuf>,
    /// Run only the first N tasks, and project the cost of the rest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Run tasks again whose result is an error
    #[arg(long)]
    pub retry_failed: bool,
    /// Tasks running at once [default: settings.maxConcurrency]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: Option<u32>,
    /// Check everything and estimate the cost, without sending anything
    #[arg(long)]
    pub dry_run: bool,
    /// Run against the simulator, in this process: no key, no network. Takes SCENARIO, else
    /// scenario.json beside TASKS, else the built-in one
    #[arg(long, value_name = "SCENARIO", num_args = 0..=1, require_equals = true)]
    pub simulate: Option<Option<PathBuf>>,
    /// Serve /metrics there while running
    #[arg(long, value_name = "ADDR")]
    pub metrics_addr: Option<SocketAddr>,
    /// Write the metrics there at the end, for the textfile collector
    #[arg(long, value_name = "PATH")]
    pub metrics_file: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// `polpo serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Where to listen; port 0 takes any free one [default: gateway.bind of polpo.json, else
    /// 127.0.0.1:8787]
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<SocketAddr>,
    /// Serve the simulator, in this process: no key, no network. Takes SCENARIO, else
    /// ./scenario.json, else the built-in one
    #[arg(long, value_name = "SCENARIO", num_args = 0..=1, require_equals = true)]
    pub simulate: Option<Option<PathBuf>>,
}

/// `polpo chat`.
#[derive(Clone, Debug, Args)]
pub struct ChatArgs {
    /// The agent [default: the first in polpo.json]
    #[arg(short, long)]
    pub agent: Option<String>,
    /// Talk to the simulator, in this process: no key, no network. Takes SCENARIO, else
    /// ./scenario.json, else the built-in one
    #[arg(long, value_name = "SCENARIO", num_args = 0..=1, require_equals = true)]
    pub simulate: Option<Option<PathBuf>>,
}

/// `polpo simulate`.
#[derive(Clone, Debug, Args)]
pub struct SimulateArgs {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8788")]
    pub bind: SocketAddr,
    /// Accounts, limits, faults and answers [default: the built-in scenario]
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
}

/// `polpo models`.
#[derive(Clone, Debug, Subcommand)]
pub enum ModelsCommand {
    /// Names, classes, prices and limits of the known models
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Whether the models of the agents, their fallbacks and escalations can be served now
    Status(StatusArgs),
}

/// `polpo models status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Exit with 1 if a provider has no credential, with 2 if a profile is cooling, disabled or
    /// revoked, or expires within 24 hours and cannot be renewed
    #[arg(long)]
    pub check: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which profiles.
    #[command(flatten)]
    pub simulation: Simulation,
}

/// `polpo cost`.
#[derive(Clone, Debug, Args)]
pub struct CostArgs {
    /// What makes a row: agent, model, profile, day, run or metadata.KEY
    #[arg(long, value_name = "GROUP", default_value = "model")]
    pub by: String,
    /// Only calls since then: 7d, 12h, 30m, or a date such as 2026-01-14
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// The costs of simulated runs instead of real ones
    #[arg(long)]
    pub simulate: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print CSV
    #[arg(long)]
    pub csv: bool,
}

/// `polpo config`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether polpo.json is valid
    Validate,
    /// Print the configuration in force, secrets masked
    Show,
    /// Print the JSON Schema of polpo.json
    Schema,
}
