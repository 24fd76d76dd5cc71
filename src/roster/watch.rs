//! Notices keys that are added, removed or changed while the program runs.

use std::time::Duration;

use polpo_agents::clock::Clock;
use polpo_agents::messages::{Care, Found, Leave, Tend};
use polpo_store::disk::Stamp;
use polpo_store::profiles::ProfileFile;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::{Member, Roster, Supply};
use crate::config::{Accounts, Config, load};
use crate::exit::Stop;
use crate::wiring::Actors;

/// How often it is looked: whoever has edited a file or typed a command looks up after about as
/// long, and reading two small files costs nothing beside one call.
const EVERY: Duration = Duration::from_secs(2);

/// Watches polpo.json, the key files it names, and the profile file.
pub struct Watch {
    /// The configuration as it was last read; only its providers are followed.
    pub config: Config,
    /// The environment.
    pub env: fn(&str) -> Option<String>,
    /// The profile file.
    pub file: ProfileFile,
    /// The time.
    pub clock: Clock,
    /// Makes outlets of new profiles.
    pub supply: Supply,
    /// Who is there.
    pub roster: Roster,
    /// The state of the profile file when that was found.
    pub stamp: Option<Stamp>,
    /// What was wrong the last time.
    pub complaint: Option<String>,
}

impl Watch {
    /// Tells the actors of every change, for as long as it is polled.
    pub async fn keep(mut self, actors: Actors) {
        loop {
            sleep(EVERY).await;
            // Tokens expire, and windows end, by the time of day, also after the machine slept.
            self.clock.reanchor();
            let looking = spawn_blocking(move || {
                let seen = self.look();
                (self, seen)
            });
            // It only ever fails if it panics, or the program ends.
            let Ok((this, seen)) = looking.await else { return std::future::pending().await };
            self = this;
            match seen {
                Ok(Some(roster)) => self.follow(roster, &actors).await,
                Ok(None) => {}
                Err(stop) => self.complain(stop.message),
            }
        }
    }

    /// The profiles there are now, if anything may have changed.
    fn look(&mut self) -> Result<Option<Roster>, Stop> {
        let config = match &self.config.origin {
            Some(path) => load(Some(path), Accounts::Real, &self.env).map_err(Stop::usage)?,
            None => self.config.clone(),
        };
        let (stamp, now) = (self.file.stamp(), self.clock.now());
        let is_over = self.roster.next_end.is_some_and(|end| end <= now);
        let is_same = stamp == self.stamp && config.providers == self.config.providers;
        if is_same && !is_over && self.complaint.is_none() {
            return Ok(None);
        }
        let roster = Roster::find(&config, &self.file, &self.env, now)?;
        (self.config, self.stamp, self.complaint) = (config, stamp, None);
        Ok(Some(roster))
    }

    async fn follow(&mut self, roster: Roster, actors: &Actors) {
        for warning in &roster.warnings {
            if !self.roster.warnings.contains(warning) {
                tracing::warn!("{warning}");
            }
        }
        let before = std::mem::take(&mut self.roster);
        for member in &roster.members {
            let known = before.member(&member.id);
            if known != Some(member) {
                self.take_in(member, known, &roster, actors).await;
            }
        }
        // Only now, so that nobody is refused between two keys.
        for member in before.members.iter().filter(|it| roster.member(&it.id).is_none()) {
            tracing::info!(profile = %member.id, "profile removed");
            let _ = actors.scheduler.send(Leave(member.id.clone())).await;
        }
        let _ = actors.keeper.send(Found(roster.health.clone())).await;
        self.roster = roster;
    }

    /// Takes in a profile that is new, or is to be used in another way than the one it was `known`
    /// in.
    async fn take_in(
        &mut self,
        member: &Member,
        known: Option<&Member>,
        roster: &Roster,
        actors: &Actors,
    ) {
        let outlet = match self.supply.outlet(member, roster) {
            Ok(outlet) => outlet,
            Err(stop) => return tracing::warn!("{}", stop.message),
        };
        let profile = member.id.clone();
        tracing::info!(%profile, is_new = known.is_none(), "profile added or changed");
        if known.is_some_and(|known| known.provider != member.provider) {
            let _ = actors.scheduler.send(Leave(profile.clone())).await;
        }
        actors.join(outlet);
        if known.is_some_and(|known| known.means != member.means) {
            let _ = actors.scheduler.send(Tend { profile, care: Care::Clear }).await;
        }
    }

    fn complain(&mut self, complaint: String) {
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::warn!("profiles stay as they were: {complaint}");
        }
        self.complaint = Some(complaint);
    }
}
