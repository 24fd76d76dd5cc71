//! `polpo auth clear`, `disable` and `enable`: in the profile file and in every running process.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{TimeDelta, Utc};
use polpo_policy::health::Health;
use polpo_policy::id::ProfileId;
use polpo_policy::limits::Timestamp;

pub(super) use polpo_agents::messages::Care;

use crate::cli::{Global, TendArgs};
use crate::commands::keyring::{Keyring, unknown};
use crate::commands::standing::standings;
use crate::control::{Answer, Ask, ask_all};
use crate::exit::{Exit, Stop};
use crate::out::say;

/// Runs the command.
///
/// # Errors
/// When there is no such profile, or the profile file cannot be written.
pub(super) async fn tend(global: &Global, args: &TendArgs, care: Care) -> Result<Exit, Stop> {
    let keyring = Keyring::open(global, &args.simulation)?;
    // Others may be used by a process that runs elsewhere, or remembered of a key that was here.
    let standings = standings(&keyring, Utc::now()).await;
    let known: BTreeSet<_> = standings.into_keys().chain(keyring.health.keys().cloned()).collect();
    let profiles: Vec<ProfileId> = if args.all {
        known.into_iter().collect()
    } else {
        let find = |name: &String| match known.get(&ProfileId::from(name.as_str())) {
            Some(profile) => Ok(profile.clone()),
            None => Err(unknown(name, known.iter().map(ProfileId::as_str))),
        };
        args.profiles.iter().map(find).collect::<Result<_, _>>()?
    };
    let profiles = match care {
        Care::Clear => with_those_who_met_their_limits(profiles, &keyring.health),
        Care::Hold | Care::Release => profiles,
    };
    let pids = apply(&keyring, &profiles, care).await?;
    let done = match care {
        Care::Clear => "cleared",
        Care::Hold => "disabled",
        Care::Release => "enabled",
    };
    for profile in &profiles {
        let told: Vec<_> = pids.get(profile).into_iter().flatten().map(u32::to_string).collect();
        match told.join(", ").as_str() {
            "" => say(format_args!("{done} {profile}"))?,
            pids => say(format_args!("{done} {profile}, also in the running process {pids}"))?,
        }
    }
    if profiles.is_empty() {
        say("there are no profiles")?;
    }
    Ok(Exit::Success)
}

/// A limit is its organisation's, and remembered by the profile that met it: to end it for one, it
/// is ended there, too, unless there is more against that profile.
fn with_those_who_met_their_limits(
    profiles: Vec<ProfileId>,
    health: &BTreeMap<ProfileId, Health>,
) -> Vec<ProfileId> {
    let organization = |profile: &ProfileId| health.get(profile)?.organization.as_ref();
    let organizations: BTreeSet<_> = profiles.iter().filter_map(organization).collect();
    let met = health.iter().filter(|(_, known)| {
        let shares = known.organization.as_ref().is_some_and(|it| organizations.contains(it));
        let has_limits = known.classes.values().any(|class| class.cooldown_until.is_some());
        shares && has_limits && known.revoked_at.is_none() && known.disabled_until.is_none()
    });
    let all: BTreeSet<_> = met.map(|(profile, _)| profile.clone()).chain(profiles).collect();
    all.into_iter().collect()
}

/// Does it, and says which running processes have done it to which profile.
///
/// # Errors
/// When the profile file cannot be written.
pub(super) async fn apply(
    keyring: &Keyring,
    profiles: &[ProfileId],
    care: Care,
) -> Result<BTreeMap<ProfileId, Vec<u32>>, Stop> {
    let now = Utc::now();
    let wanted = profiles.iter().map(|profile| {
        let known = keyring.health.get(profile).cloned().unwrap_or_default();
        (profile.clone(), tended(known, care, now))
    });
    keyring.file.remember(wanted.collect()).map_err(Stop::not_written)?;
    let profiles = profiles.to_vec();
    let ask = match care {
        Care::Clear => Ask::Clear { profiles },
        Care::Hold => Ask::Disable { profiles },
        Care::Release => Ask::Enable { profiles },
    };
    let mut pids: BTreeMap<ProfileId, Vec<u32>> = BTreeMap::new();
    for heard in ask_all(&keyring.state, &ask).await {
        if let Answer::Tended(tended) = heard.answer {
            tended.into_iter().for_each(|id| pids.entry(id).or_default().push(heard.pid));
        }
    }
    Ok(pids)
}

/// The health of a profile after it was tended.
fn tended(mut health: Health, care: Care, now: Timestamp) -> Health {
    // The later word holds, also within the millisecond that the file keeps.
    let after = |word: Option<Timestamp>| {
        Some(word.map_or(now, |word| now.max(word + TimeDelta::milliseconds(1))))
    };
    match care {
        Care::Clear => health.clear(now),
        Care::Hold => health.held_at = after(health.released_at),
        Care::Release => health.released_at = after(health.held_at),
    }
    health
}

#[cfg(test)]
mod tests {
    use super::*;
    use polpo_policy::health::ClassHealth;

    #[test]
    fn a_limit_is_cleared_where_it_was_met_unless_there_is_more_against_that_profile() {
        let met =
            ClassHealth { cooldown_until: Some(Timestamp::UNIX_EPOCH), ..ClassHealth::default() };
        let of = |organization: &str, met: Option<ClassHealth>| Health {
            organization: Some(organization.into()),
            classes: met.into_iter().map(|met| ("opus-5".into(), met)).collect(),
            ..Health::default()
        };
        let unpaid = Health { disabled_until: Some(Timestamp::UNIX_EPOCH), ..of("org", Some(met)) };
        let health = [
            ("a:1", of("org", None)),
            ("a:2", of("org", Some(met))),
            ("a:3", of("other", Some(met))),
            ("a:4", unpaid),
        ];
        let health = health.map(|(id, health)| (id.into(), health)).into();
        let cleared = with_those_who_met_their_limits(vec!["a:1".into()], &health);
        assert_eq!(cleared, ["a:1", "a:2"].map(ProfileId::from));
    }

    #[test]
    fn the_last_word_holds_also_within_a_millisecond() {
        let now = Timestamp::UNIX_EPOCH;
        let held = tended(Health::default(), Care::Hold, now);
        assert!(held.is_held());
        let released = tended(held, Care::Release, now);
        assert!(!released.is_held());
        assert!(tended(released, Care::Hold, now).is_held());
    }

    #[test]
    fn what_is_cleared_is_no_longer_revoked_but_still_held() {
        let now = Timestamp::UNIX_EPOCH;
        let revoked = Health { revoked_at: Some(now), held_at: Some(now), ..Health::default() };
        let cleared = tended(revoked, Care::Clear, now);
        assert_eq!((cleared.revoked_at, cleared.cleared_at), (None, Some(now)));
        assert!(cleared.is_held());
    }
}
