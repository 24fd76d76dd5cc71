//! `polpo gateway`: keys of clients, made, shown and taken back.

mod add;
mod list;
mod revoke;

use polpo_store::keys::KeyFile;

use crate::cli::{GatewayCommand, Global, KeyCommand, SimulatedGateway};
use crate::commands::config::find;
use crate::config::{Accounts, Config, looks_like_key, process_env};
use crate::exit::{Exit, Stop};
use crate::state::StateDir;

/// Runs the command.
///
/// # Errors
/// When it cannot do what it is asked.
pub async fn gateway(global: &Global, command: &GatewayCommand) -> Result<Exit, Stop> {
    let GatewayCommand::Key(command) = command;
    match command {
        KeyCommand::Add(args) => add::add(&Desk::open(global, args.simulation)?, args),
        KeyCommand::List(args) => list::list(&Desk::open(global, args.simulation)?, *args).await,
        KeyCommand::Revoke(args) => revoke::revoke(&Desk::open(global, args.simulation)?, args),
    }
}

/// Where client keys are handed out.
struct Desk {
    config: Config,
    state: StateDir,
    file: KeyFile,
    is_simulated: bool,
}

impl Desk {
    fn open(global: &Global, simulation: SimulatedGateway) -> Result<Self, Stop> {
        let is_simulated = simulation.simulate;
        let accounts = if is_simulated { Accounts::Simulated } else { Accounts::Real };
        let config = find(global, accounts)?;
        let state = StateDir::open(global.state_dir.as_deref(), is_simulated, &process_env)?;
        Ok(Self { config, file: state.keys(), state, is_simulated })
    }

    /// Whether polpo.json has a key of this name.
    fn is_configured(&self, name: &str) -> bool {
        self.config.gateway.keys.iter().any(|key| key.name.as_str() == name)
    }
}

/// Refuses a key that is typed where its name belongs.
fn refuse_key(name: &str) -> Result<(), Stop> {
    if looks_like_key(name) {
        return Err(Stop::usage(
            "that is a key, and others can see command lines: give the key's name, and revoke the \
             key if it is one of this gateway",
        ));
    }
    Ok(())
}
