//! `polpo simulate`: the simulated API as a server of its own.

use std::net::TcpListener;

use polpo_simulator::{Scenario, Simulator, server};

use crate::cli::SimulateArgs;
use crate::exit::{Exit, Stop};
use crate::out::say;
use crate::run::read_scenario;

/// Serves until it is interrupted.
///
/// # Errors
/// When the scenario is not one, or the address cannot be listened on.
pub async fn simulate(args: &SimulateArgs) -> Result<Exit, Stop> {
    let scenario = match &args.scenario {
        Some(path) => read_scenario(path)?,
        None => Scenario::default_scenario(),
    };
    let fault = |error| Stop::usage(format!("--bind: cannot listen on {}: {error}", args.bind));
    let listener = TcpListener::bind(args.bind).map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    let simulator = Simulator::new(scenario);
    say(format_args!("simulating the Anthropic API at http://{address}"))?;
    for account in simulator.scenario().accounts() {
        // These keys open nothing but this simulator.
        let keys = account.api_keys.join(", ");
        match keys.as_str() {
            "" => say(format_args!("  account {}: signs in as {}", account.name, account.email)),
            keys => say(format_args!("  account {}: {keys}", account.name)),
        }?;
    }
    say(format_args!("books at http://{address}/_sim/books"))?;
    server(simulator, listener).map_err(fault)?.await.map_err(fault)?;
    Ok(Exit::Success)
}
