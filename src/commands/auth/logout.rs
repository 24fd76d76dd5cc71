//! `polpo auth logout`: stored profiles, removed.

use polpo_policy::id::ProfileId;

use crate::cli::{Global, LogoutArgs};
use crate::commands::keyring::Keyring;
use crate::exit::{Exit, Stop};
use crate::out::say;

/// Runs the command.
///
/// # Errors
/// When there is no such stored profile, or the profile file cannot be written.
pub(super) fn logout(global: &Global, args: &LogoutArgs) -> Result<Exit, Stop> {
    let keyring = Keyring::open(global, &args.simulation)?;
    // A stored key that polpo.json has, too, is one entry of the keyring; here it is what is stored.
    let stored = keyring.file.read().map_err(Stop::usage)?.profiles.into_iter();
    let ids: Vec<ProfileId> = match args.name.as_deref() {
        Some(name) => stored
            .filter(|it| it.id.as_str() == name || it.provider.as_str() == name)
            .map(|it| it.id)
            .collect(),
        None => stored.map(|it| it.id).collect(),
    };
    if let (Some(name), true) = (args.name.as_deref(), ids.is_empty()) {
        let others = keyring.named(Some(name))?;
        let ids: Vec<_> = others.iter().map(|it| it.id.as_str()).collect();
        return Err(Stop::usage(format!(
            "{} cannot be logged out: its key is not stored, but in {}; remove it there",
            ids.join(", "),
            others.first().map_or("", |it| it.place()),
        )));
    }
    let removed = keyring.file.remove(&ids).map_err(Stop::not_written)?;
    if removed.is_empty() {
        say("no profile is stored")?;
    }
    for id in removed {
        say(format_args!("removed {id}"))?;
    }
    Ok(Exit::Success)
}
