//! `polpo gateway key revoke`: a client key, taken back.

use chrono::Utc;
use polpo_policy::id::KeyName;
use polpo_store::keys::Revocation;

use super::{Desk, refuse_key};
use crate::cli::KeyRevokeArgs;
use crate::commands::when::told;
use crate::config::nearest;
use crate::exit::{Exit, Stop};
use crate::out::say;

/// Runs the command.
///
/// # Errors
/// When there is no such key in the key file, or it cannot be written.
pub(super) fn revoke(desk: &Desk, args: &KeyRevokeArgs) -> Result<Exit, Stop> {
    let (now, name) = (Utc::now(), args.name.as_str());
    refuse_key(name)?;
    let (revocation, warnings) =
        desk.file.revoke(&KeyName::from(name), now).map_err(Stop::not_written)?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    match revocation {
        Revocation::Done => say(format_args!("revoked {name}"))?,
        Revocation::Before(at) => {
            say(format_args!("{name} was revoked before: {}", told(at, now)))?;
        }
        Revocation::Unknown if desk.is_configured(name) => {}
        Revocation::Unknown => return Err(unknown(desk, name)?),
    }
    if desk.is_configured(name) {
        return Err(Stop::usage(format!(
            "polpo.json has a client key named {name}, which is good still: remove it there"
        )));
    }
    Ok(Exit::Success)
}

fn unknown(desk: &Desk, name: &str) -> Result<Stop, Stop> {
    let contents = desk.file.read().map_err(Stop::usage)?;
    let known = contents.keys.iter().map(|key| key.name.as_str());
    let advice = match nearest(name, known) {
        Some(near) => format!("did you mean {near}?"),
        None => "`polpo gateway key list` shows those there are".to_owned(),
    };
    Ok(Stop::usage(format!("there is no client key named `{name}`; {advice}")))
}
