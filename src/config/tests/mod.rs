//! What a user of polpo.json can rely on.

mod credentials;
mod errors;
mod secrets;
mod values;

use std::path::PathBuf;

use super::document::Document;
use super::effective::Config;
use super::error::ConfigError;
use super::load::{Accounts, from_document};

/// Reads a text as `polpo.json` with these variables.
fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    read_for(text, Accounts::Real, variables)
}

fn read_for(
    text: &str,
    accounts: Accounts,
    variables: &[(&str, &str)],
) -> Result<Config, ConfigError> {
    let document = Document::parse(PathBuf::from("polpo.json"), text.to_owned())?;
    from_document(&document, accounts, &env(variables))
}

fn env<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}
