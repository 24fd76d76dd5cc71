//! `polpo config`: is polpo.json valid, what does it come to, what may be in it.

use crate::cli::{ConfigCommand, Global};
use crate::config::{Accounts, Config, Search, discover, json_schema, load, process_env, show};
use crate::exit::{Exit, Stop};
use crate::out::say;

/// Runs the command.
///
/// # Errors
/// When the configuration is not valid.
pub fn config(global: &Global, command: ConfigCommand) -> Result<Exit, Stop> {
    match command {
        ConfigCommand::Schema => say(json_schema())?,
        ConfigCommand::Show => say(show(&find(global, Accounts::Real)?))?,
        ConfigCommand::Validate => match find(global, Accounts::Real)?.origin {
            Some(file) => say(format_args!("{} is valid", file.display()))?,
            None => say("there is no polpo.json; the defaults are in force")?,
        },
    }
    Ok(Exit::Success)
}

/// The configuration of a command that has no task file.
///
/// # Errors
/// When it is not valid.
pub fn find(global: &Global, accounts: Accounts) -> Result<Config, Stop> {
    let directory = std::env::current_dir().map_err(Stop::usage)?;
    let search = Search { explicit: global.config.as_deref(), tasks: None, directory: &directory };
    let file = discover(&search, &process_env).map_err(Stop::usage)?;
    load(file.as_deref(), accounts, &process_env).map_err(Stop::usage)
}
