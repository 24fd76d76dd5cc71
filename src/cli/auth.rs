//! `polpo auth` as a user types it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `polpo auth`.
#[derive(Clone, Debug, Subcommand)]
pub enum AuthCommand {
    /// Store an API key, which is read from a prompt or from standard input
    ///
    /// The key is tested with a call that costs nothing before it is stored. It is never read from
    /// the command line, where other users and the shell's history would see it.
    Add(AddArgs),
    /// Log in at a provider whose `oauth` is in polpo.json
    ///
    /// Opens no browser and listens on no port: it prints a link, and reads the code that the page
    /// shows, as `code#state`, as the address the page led to, or alone.
    Login(LoginArgs),
    /// Show the profiles: how they stand, until when and why
    ///
    /// Asks the running processes of this state directory; profiles that none of them uses are
    /// shown as the profile file remembers them.
    #[command(visible_alias = "status")]
    List(ListArgs),
    /// Test credentials with a call that costs nothing
    ///
    /// A key that works again after it was refused is used again at once. Exits with 4 unless all
    /// of them work.
    Test(TestArgs),
    /// Show which profile a request would get now, and why no other
    Explain(ExplainArgs),
    /// End the cooldowns of profiles, also for want of money or a refused credential
    Clear(TendArgs),
    /// Take profiles out of use, until they are enabled again
    Disable(TendArgs),
    /// Give disabled profiles back
    Enable(TendArgs),
    /// Remove stored profiles and what is remembered of them
    Logout(LogoutArgs),
}

/// Whether it is about the profiles of simulated runs.
#[derive(Clone, Debug, Default, Args)]
pub struct Simulation {
    /// Profiles of simulated runs: the accounts of SCENARIO, else of ./scenario.json, else the
    /// built-in ones, and what is stored in STATE_DIR/simulated
    #[arg(long, value_name = "SCENARIO", num_args = 0..=1, require_equals = true)]
    pub simulate: Option<Option<PathBuf>>,
}

/// `polpo auth add`.
#[derive(Clone, Debug, Args)]
pub struct AddArgs {
    /// Whom the key is for: anthropic, poe, or a provider of polpo.json
    pub provider: String,
    /// What nobody should type here.
    #[arg(hide = true)]
    pub key: Option<String>,
    /// The profile becomes PROVIDER:NAME [default: key- and 8 digits made of the key]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Store the key without a test
    #[arg(long)]
    pub no_test: bool,
}

/// `polpo auth login`.
#[derive(Clone, Debug, Args)]
pub struct LoginArgs {
    /// Where to log in [default: asks, on a terminal]
    pub provider: Option<String>,
    /// Log in at a simulator in this process; the profile is stored in STATE_DIR/simulated
    #[arg(long, value_name = "SCENARIO", num_args = 0..=1, require_equals = true)]
    pub simulate: Option<Option<PathBuf>>,
}

/// `polpo auth list`.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Only this profile, or those of this provider
    #[arg(value_name = "PROVIDER|PROFILE")]
    pub name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which profiles.
    #[command(flatten)]
    pub simulation: Simulation,
}

/// `polpo auth test`.
#[derive(Clone, Debug, Args)]
pub struct TestArgs {
    /// Only this profile, or those of this provider [default: all that are in use]
    #[arg(value_name = "PROVIDER|PROFILE")]
    pub name: Option<String>,
    /// Which profiles.
    #[command(flatten)]
    pub simulation: Simulation,
}

/// `polpo auth explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// The model that is asked for [default: the first agent's, with its fallbacks]
    #[arg(long)]
    pub model: Option<String>,
    /// The conversation that the request is a turn of
    #[arg(long)]
    pub session: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which profiles.
    #[command(flatten)]
    pub simulation: Simulation,
}

/// `polpo auth clear`, `disable` and `enable`.
#[derive(Clone, Debug, Args)]
pub struct TendArgs {
    /// The profiles
    #[arg(value_name = "PROFILE", required_unless_present = "all")]
    pub profiles: Vec<String>,
    /// All profiles
    #[arg(long, conflicts_with = "profiles")]
    pub all: bool,
    /// Which profiles.
    #[command(flatten)]
    pub simulation: Simulation,
}

/// `polpo auth logout`.
#[derive(Clone, Debug, Args)]
pub struct LogoutArgs {
    /// This profile, or those of this provider
    #[arg(value_name = "PROFILE|PROVIDER", required_unless_present = "all")]
    pub name: Option<String>,
    /// All stored profiles
    #[arg(long, conflicts_with = "name")]
    pub all: bool,
    /// Which profiles.
    #[command(flatten)]
    pub simulation: Simulation,
}
