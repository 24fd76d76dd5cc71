//! What the profile file says. What is not understood is kept as it is.

use std::collections::{BTreeMap, BTreeSet};

use polpo_policy::health::Health;
use polpo_policy::id::{LimitClass, OrganizationId, ProfileId};
use polpo_policy::limits::Timestamp;
use serde_json::{Map, Value};

use super::limits::Limits;
use super::stats::{as_kept, kept, put_back, read, set, set_time, take, text, time, write};
use super::{Contents, Kind, Stored, Token, names};
use crate::disk::{self, Damage};
use crate::iso::{iso, parse_iso};

/// The version that is read and written.
pub(super) const VERSION: u32 = 1;

/// The document, its sections apart.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Document {
    profiles: Map<String, Value>,
    stats: Map<String, Value>,
    limits: Limits,
    rest: Map<String, Value>,
}

impl Document {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Damage> {
        let mut rest = disk::parse(text, VERSION)?;
        let mut section = |name: &str| match rest.remove(name) {
            Some(Value::Object(section)) => Ok(section),
            None | Some(Value::Null) => Ok(Map::new()),
            Some(_) => Err(Damage::Corrupt(format!("its {name:?} is no JSON object"))),
        };
        let (profiles, stats) = (section("profiles")?, section("usageStats")?);
        let limits = Limits(section("limits")?);
        Ok(Self { profiles, stats, limits, rest })
    }

    pub(super) fn into_text(self) -> String {
        let mut all = self.rest;
        all.insert("version".into(), VERSION.into());
        let Limits(limits) = self.limits;
        for (name, section) in
            [("profiles", self.profiles), ("usageStats", self.stats), ("limits", limits)]
        {
            all.insert(name.into(), section.into());
        }
        format!("{:#}\n", Value::Object(all))
    }

    pub(super) fn contents(&self) -> Contents {
        let mut contents = Contents::default();
        for (id, entry) in &self.profiles {
            match stored(id, entry) {
                Ok(profile) => contents.profiles.push(profile),
                // An id that is none may be a secret in the wrong place.
                Err(fault) if !names::is_id(id) => {
                    contents.warnings.push(format!("a profile was skipped: {fault}; correct it"));
                }
                Err(fault) => contents.warnings.push(format!(
                    "the profile {id} was skipped: {fault}; correct it, or log out of it and in again"
                )),
            }
        }
        let lost = self.stats.keys().filter(|id| !names::is_id(id)).count();
        if lost > 0 {
            contents.warnings.push(format!(
                "{lost} of its usageStats were skipped: their ids are not provider:identifier; correct them"
            ));
        }
        let known = self.stats.keys().chain(self.profiles.keys()).filter(|id| names::is_id(id));
        for id in known.collect::<BTreeSet<_>>() {
            let health = self.health(id);
            if health != Health::default() {
                contents.health.insert(id.as_str().into(), health);
            }
        }
        contents
    }

    pub(super) fn put(&mut self, profile: &Stored, now: Timestamp) {
        let id = profile.id.as_str();
        let mut entry = take(&mut self.profiles, id);
        if entry.get("createdAt").and_then(parse_iso).is_none() {
            entry.insert("createdAt".into(), iso(profile.created_at));
        }
        let kind = match profile.kind {
            Kind::OAuth => "oauth",
            Kind::ApiKey => "api_key",
        };
        entry.insert("provider".into(), profile.provider.as_str().into());
        entry.insert("type".into(), kind.into());
        set_access(&mut entry, &profile.access);
        set(&mut entry, "refresh", profile.refresh.clone().map(Into::into));
        set(&mut entry, "email", profile.email.clone().map(Into::into));
        set_time(&mut entry, "expires", profile.expires);
        put_back(&mut self.profiles, id, entry);

        let own = self.own_health(id);
        let mut health = own.clone();
        health.clear(kept(now));
        self.set_health(id, &own, &health);
    }

    /// Whether the profile is there.
    pub(super) fn update_token(&mut self, id: &ProfileId, token: &Token) -> bool {
        let entry = self.profiles.get_mut(id.as_str()).and_then(Value::as_object_mut);
        let Some(entry) = entry else { return false };
        set_access(entry, &token.access);
        if let Some(refresh) = &token.refresh {
            entry.insert("refresh".into(), refresh.as_str().into());
        }
        set_time(entry, "expires", token.expires);
        true
    }

    /// Those that were there.
    pub(super) fn remove(&mut self, ids: &[ProfileId]) -> Vec<ProfileId> {
        let there = ids.iter().filter(|id| {
            let was_there = self.profiles.remove(id.as_str()).is_some();
            if was_there {
                self.stats.remove(id.as_str());
            }
            was_there
        });
        there.cloned().collect()
    }

    pub(super) fn remember(
        &mut self,
        known: BTreeMap<ProfileId, Health>,
    ) -> BTreeMap<ProfileId, Health> {
        for (id, known) in &known {
            let own = self.own_health(id.as_str());
            let mut health = own.clone().merge(as_kept(known));
            self.limits.take_from(&mut health, &own);
            self.set_health(id.as_str(), &own, &health);
        }
        let together = |id: ProfileId| {
            let health = self.health(id.as_str());
            (id, health)
        };
        known.into_keys().map(together).collect()
    }

    fn health(&self, id: &str) -> Health {
        let mut health = self.own_health(id);
        self.limits.add_to(&mut health);
        health
    }

    /// What is known of a profile by itself, without the windows of its organisation.
    fn own_health(&self, id: &str) -> Health {
        let stats = self.stats.get(id).and_then(Value::as_object);
        let mut health = stats.map(read).unwrap_or_default();
        if health.last_used.is_none() {
            let entry = self.profiles.get(id).and_then(Value::as_object);
            health.last_used = entry.and_then(|entry| parse_iso(entry.get("lastUsed")?));
        }
        health
    }

    fn set_health(&mut self, id: &str, before: &Health, health: &Health) {
        let mut stats = take(&mut self.stats, id);
        write(&mut stats, health);
        put_back(&mut self.stats, id, stats);
        if let (Some(at), Some(Value::Object(entry))) =
            (health.last_used, self.profiles.get_mut(id))
        {
            entry.insert("lastUsed".into(), iso(at));
        }
        self.set_limits(before, health);
    }

    /// Lets the windows of the organisation follow those of a profile, whose health is written.
    fn set_limits(&mut self, before: &Health, health: &Health) {
        if let Some(organization) = &before.organization {
            for (class, known) in &before.classes {
                let left = health.classes.get(class).and_then(|left| left.cooldown_until);
                if left < known.cooldown_until {
                    let others = self.longest_window(organization, class);
                    self.limits.end(organization, class, others);
                }
            }
        }
        let Some(organization) = &health.organization else { return };
        for (class, known) in &health.classes {
            if let Some(until) = known.cooldown_until {
                self.limits.raise(organization, class, until);
            }
        }
    }

    /// The longest window that a profile of the organisation learned.
    fn longest_window(&self, id: &OrganizationId, class: &LimitClass) -> Option<Timestamp> {
        let known = self.stats.values().filter_map(Value::as_object).map(read);
        let members = known.filter(|health| health.organization.as_ref() == Some(id));
        members.filter_map(|health| health.classes.get(class)?.cooldown_until).max()
    }
}

/// The credential of an entry, or what is wrong with it.
fn stored(id: &str, entry: &Value) -> Result<Stored, &'static str> {
    let entry = entry.as_object().ok_or("it is no JSON object")?;
    let kind = match text(entry, "type") {
        Some("oauth") => Kind::OAuth,
        Some("api_key") => Kind::ApiKey,
        Some(_) | None => return Err("its type is neither oauth nor api_key"),
    };
    // OpenClaw keeps a key in a field of its own.
    let access = text(entry, "access").or_else(|| match kind {
        Kind::OAuth => None,
        Kind::ApiKey => text(entry, "key"),
    });
    let profile = Stored {
        id: id.into(),
        provider: text(entry, "provider").unwrap_or_default().into(),
        kind,
        access: access.unwrap_or_default().into(),
        refresh: text(entry, "refresh").map(Into::into),
        expires: time(entry, "expires"),
        email: text(entry, "email").map(Into::into),
        created_at: entry.get("createdAt").and_then(parse_iso).unwrap_or_default(),
    };
    names::fault_of(&profile).map_or(Ok(profile), Err)
}

fn set_access(entry: &mut Map<String, Value>, access: &str) {
    entry.insert("access".into(), access.into());
    entry.remove("key"); // It would be a second secret, and an old one.
}
