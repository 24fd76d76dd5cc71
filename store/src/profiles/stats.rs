//! Health as `usageStats` keeps it: times in milliseconds since 1970, where 0 or none is never.

use chrono::{DateTime, Utc};
use polpo_policy::health::{ClassHealth, Health};
use polpo_policy::limits::Timestamp;
use serde_json::{Map, Value};

/// The latest time that is believed, the end of the year 9999: a later one may be a typing error,
/// and adding a jitter to it must not overflow.
const LATEST: i64 = 253_402_300_799_999;
/// The latest date of JavaScript: what is blocked is so until it is cleared.
const FOREVER: i64 = 8_640_000_000_000_000;
/// The most steps that are believed: more than any ladder has.
const MOST_STEPS: u64 = 1_000;

/// The time at `key`.
pub(super) fn time(map: &Map<String, Value>, key: &str) -> Option<Timestamp> {
    let millis = map.get(key)?.as_f64().filter(|millis| *millis >= 1.0)?;
    DateTime::from_timestamp_millis((millis as i64).min(LATEST))
}

/// Writes the time at `key`, or that there is none.
pub(super) fn set_time(map: &mut Map<String, Value>, key: &str, time: Option<Timestamp>) {
    set(map, key, time.map(|time| time.timestamp_millis().into()));
}

/// Writes the value at `key`, or that there is none.
pub(super) fn set(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    match value {
        Some(value) => map.insert(key.into(), value),
        None => map.remove(key),
    };
}

/// The text at `key`, unless it is empty.
pub(super) fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// Takes out the object at `key`, to be changed; there may be none yet.
pub(super) fn take(map: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    if let Some(Value::Object(object)) = map.remove(key) { object } else { Map::new() }
}

/// Puts an object back in, unless nothing is in it.
pub(super) fn put_back(map: &mut Map<String, Value>, key: &str, object: Map<String, Value>) {
    set(map, key, (!object.is_empty()).then_some(Value::Object(object)));
}

/// A time as the file keeps it.
pub(super) fn kept(time: Timestamp) -> Timestamp {
    DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time)
}

/// A health as the file keeps it, so that what is merged or compared has one precision.
#[must_use]
pub fn as_kept(health: &Health) -> Health {
    let mut stats = Map::new();
    write(&mut stats, health);
    read(&stats)
}

/// The health of a profile.
pub(super) fn read(stats: &Map<String, Value>) -> Health {
    let time = |key| time(stats, key);
    let classes = stats.get("classes").and_then(Value::as_object).into_iter().flatten();
    let classes = classes.filter_map(|(class, health)| {
        let health = read_class(health.as_object()?);
        (health != ClassHealth::default()).then(|| (class.as_str().into(), health))
    });
    Health {
        last_used: time("lastUsed"),
        organization: text(stats, "organizationId").map(Into::into),
        workspace: text(stats, "workspaceId").map(Into::into),
        last_error: text(stats, "lastErrorReason").map(Into::into),
        cooldown_until: time("cooldownUntil"),
        error_count: count(stats, "errorCount"),
        disabled_until: time("disabledUntil"),
        billing_error_count: count(stats, "billingErrorCount"),
        // Polpo keeps the first failure of a window, not the last one.
        last_billing_failure: time("lastBillingFailureAt").or_else(|| time("failureWindowStart")),
        revoked_at: time("revokedAt"),
        cleared_at: time("clearedAt"),
        held_at: time("heldAt"),
        released_at: time("releasedAt"),
        classes: classes.collect(),
    }
}

/// Writes the health of a profile over the one that is there; fields of others stay.
pub(super) fn write(stats: &mut Map<String, Value>, health: &Health) {
    for (key, time) in [
        ("lastUsed", health.last_used),
        ("cooldownUntil", health.cooldown_until),
        ("disabledUntil", health.disabled_until),
        ("lastBillingFailureAt", health.last_billing_failure),
        ("failureWindowStart", None),
        ("revokedAt", health.revoked_at),
        ("clearedAt", health.cleared_at),
        ("heldAt", health.held_at),
        ("releasedAt", health.released_at),
    ] {
        set_time(stats, key, time);
    }
    set_count(stats, "errorCount", health.error_count);
    set_count(stats, "billingErrorCount", health.billing_error_count);
    for (key, text) in [
        ("organizationId", health.organization.as_ref().map(|id| id.as_str())),
        ("workspaceId", health.workspace.as_ref().map(|id| id.as_str())),
        ("lastErrorReason", health.last_error.as_deref()),
        ("disabledReason", health.disabled_until.map(|_| "billing")),
    ] {
        set(stats, key, text.map(Into::into));
    }
    let mut classes = take(stats, "classes");
    let there = classes.keys().map(|class| class.as_str().into()).collect::<Vec<_>>();
    for class in there.iter().chain(health.classes.keys()) {
        let mut fields = take(&mut classes, class.as_str());
        write_class(&mut fields, health.classes.get(class).copied().unwrap_or_default());
        put_back(&mut classes, class.as_str(), fields);
    }
    put_back(stats, "classes", classes);
}

fn read_class(fields: &Map<String, Value>) -> ClassHealth {
    // Whoever blocked it may have said until when, and not since when.
    let now = Utc::now();
    let is_blocked = time(fields, "blockedUntil").is_some_and(|until| until > now);
    ClassHealth {
        cooldown_until: time(fields, "cooldownUntil"),
        error_count: count(fields, "errorCount"),
        blocked_at: is_blocked.then(|| time(fields, "blockedAt").unwrap_or_else(|| kept(now))),
    }
}

fn write_class(fields: &mut Map<String, Value>, health: ClassHealth) {
    set_time(fields, "cooldownUntil", health.cooldown_until);
    set_count(fields, "errorCount", health.error_count);
    set(fields, "blockedUntil", health.blocked_at.map(|_| FOREVER.into()));
    set_time(fields, "blockedAt", health.blocked_at);
}

fn count(map: &Map<String, Value>, key: &str) -> u32 {
    let steps = map.get(key).and_then(Value::as_u64).unwrap_or(0).min(MOST_STEPS);
    u32::try_from(steps).unwrap_or(0)
}

fn set_count(map: &mut Map<String, Value>, key: &str, count: u32) {
    set(map, key, (count > 0).then(|| count.into()));
}
