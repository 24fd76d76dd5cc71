//! Which words of the file mean what.

use chrono::DateTime;
use polpo_policy::health::{ClassHealth, Health};
use polpo_store::profiles::{Kind, Stored, Token};
use serde_json::{Value, json};

use crate::world::{at, clean, empty, json, key, limited, login, of, saying};

/// Every key of the format, and one of somebody else at each level.
fn full() -> Value {
    json!({
        "version": 1,
        "theirs": [1, 2],
        "profiles": {
            "anthropic:user@example.com": {
                "provider": "anthropic", "type": "oauth", "access": "access-1",
                "refresh": "refresh-1", "expires": 1_768_512_300_000_i64,
                "email": "user@example.com", "lastUsed": "2026-01-14T10:30:00.000Z",
                "createdAt": "2026-01-01T00:00:00.000Z", "extra": { "accountId": "a-1" },
            },
            "poe:work": { "provider": "poe", "type": "api_key", "key": "key-1", "createdAt": "then" },
        },
        "usageStats": {
            "anthropic:user@example.com": {
                "lastUsed": 1_768_386_600_000_i64, "cooldownUntil": 1_768_386_660_000_i64,
                "errorCount": 2, "lastErrorReason": "rate_limit",
                "disabledUntil": 1_768_404_600_000_i64, "disabledReason": "billing",
                "billingErrorCount": 1, "lastBillingFailureAt": 1_768_386_600_001_i64,
                "revokedAt": 1_768_386_600_002_i64, "clearedAt": 1_768_386_600_003_i64,
                "heldAt": 1_768_386_600_004_i64, "releasedAt": 1_768_386_600_005_i64,
                "organizationId": "org-1", "workspaceId": "wrkspc-1", "theirs": true,
                "classes": {
                    "opus-4": {
                        "cooldownUntil": 1_768_386_600_006_i64, "errorCount": 3, "theirs": null,
                    },
                    "sonnet-4": {
                        "blockedUntil": 8_640_000_000_000_000_i64,
                        "blockedAt": 1_768_386_600_007_i64,
                    },
                },
            },
        },
        "limits": {
            "org-1": { "opus-4": { "cooldownUntil": 1_768_386_600_006_i64, "theirs": "yes" } },
            "org-2": { "haiku-4": { "cooldownUntil": 5 }, "theirs": 1 },
        },
    })
}

fn ms(millis: i64) -> Option<DateTime<chrono::Utc>> {
    DateTime::from_timestamp_millis(millis)
}

fn health_of_full() -> Health {
    let opus = ClassHealth {
        cooldown_until: ms(1_768_386_600_006),
        error_count: 3,
        ..ClassHealth::default()
    };
    let sonnet = ClassHealth { blocked_at: ms(1_768_386_600_007), ..ClassHealth::default() };
    Health {
        last_used: ms(1_768_386_600_000),
        organization: Some("org-1".into()),
        workspace: Some("wrkspc-1".into()),
        last_error: Some("rate_limit".into()),
        cooldown_until: ms(1_768_386_660_000),
        error_count: 2,
        disabled_until: ms(1_768_404_600_000),
        billing_error_count: 1,
        last_billing_failure: ms(1_768_386_600_001),
        revoked_at: ms(1_768_386_600_002),
        cleared_at: ms(1_768_386_600_003),
        held_at: ms(1_768_386_600_004),
        released_at: ms(1_768_386_600_005),
        classes: [("opus-4".into(), opus), ("sonnet-4".into(), sonnet)].into(),
    }
}

#[test]
fn every_word_of_the_format_is_understood() {
    let (_directory, file) = saying(full().to_string());
    let contents = clean(&file);
    let [user, poe] = &contents.profiles[..] else { panic!("{contents:?}") };
    assert_eq!(
        (user.id.as_str(), user.provider.as_str()),
        ("anthropic:user@example.com", "anthropic")
    );
    assert_eq!((user.kind, &*user.access), (Kind::OAuth, "access-1"));
    assert_eq!(user.refresh.as_deref(), Some("refresh-1"));
    assert_eq!(user.expires, ms(1_768_512_300_000));
    assert_eq!(user.email.as_deref(), Some("user@example.com"));
    assert_eq!(user.created_at, "2026-01-01T00:00:00Z".parse::<DateTime<chrono::Utc>>().unwrap());
    assert_eq!((poe.kind, &*poe.access, &poe.expires), (Kind::ApiKey, "key-1", &None));
    assert_eq!(contents.health, of("anthropic:user@example.com", health_of_full()));
}

#[test]
fn what_is_written_is_what_others_read() {
    let (_directory, file) = empty();
    file.put(&login("anthropic:user@example.com"), at(1)).unwrap();
    file.put(&key("anthropic:work"), at(2)).unwrap();
    file.remember(of("anthropic:user@example.com", health_of_full())).unwrap();
    let until_cleared = Health { cleared_at: Some(at(1)), ..health_of_full() };
    file.remember(of("anthropic:user@example.com", until_cleared.clone())).unwrap();
    file.remember(of("anthropic:key-1f0c9a2b", limited(at(9)))).unwrap();
    assert_eq!(clean(&file).health[&"anthropic:user@example.com".into()], until_cleared);
    insta::assert_snapshot!(std::fs::read_to_string(file.path()).unwrap());
}

#[test]
fn unknown_fields_survive_every_write() {
    let (_directory, file) = saying(full().to_string());
    let id = "anthropic:user@example.com";
    file.put(&login(id), at(0)).unwrap();
    file.put(&key("poe:work"), at(0)).unwrap();
    let token = Token { access: "access-2".into(), refresh: None, expires: None };
    assert!(file.update_token(&id.into(), &token).unwrap());
    let health = Health { cleared_at: Some(at(0)), ..limited(at(60_000)) };
    file.remember(of(id, health)).unwrap();
    let json = json(&file);
    assert_eq!(json["theirs"], json!([1, 2]));
    assert_eq!(json["profiles"][id]["extra"], json!({ "accountId": "a-1" }));
    assert_eq!(json["profiles"][id]["createdAt"], "2026-01-01T00:00:00.000Z");
    let stats = &json["usageStats"][id];
    assert_eq!(stats["theirs"], true);
    assert_eq!(stats["classes"]["opus-4"].get("theirs"), Some(&Value::Null));
    assert_eq!(stats["classes"]["opus-4"]["errorCount"], 1);
    assert_eq!(stats["classes"].get("sonnet-4"), None);
    assert_eq!(json["limits"]["org-1"]["opus-4"]["theirs"], "yes");
    assert_eq!(json["limits"]["org-2"], full()["limits"]["org-2"]);
    // A key under its old name would be a second secret.
    assert_eq!(json["profiles"]["poe:work"]["access"], "key-of-poe:work");
    assert_eq!(json["profiles"]["poe:work"].get("key"), None);
}

#[test]
fn a_refreshed_token_replaces_the_old_one_and_keeps_what_was_not_sent() {
    let (_directory, file) = empty();
    let id = "anthropic:user@example.com".into();
    let token = Token { access: "access-2".into(), refresh: None, expires: Some(at(9)) };
    assert!(!file.update_token(&id, &token).unwrap(), "nobody is logged in");
    assert!(!file.path().exists());

    file.put(&login(id.as_str()), at(0)).unwrap();
    assert!(file.update_token(&id, &token).unwrap());
    let expected = Stored { access: "access-2".into(), expires: Some(at(9)), ..login(id.as_str()) };
    assert!(clean(&file).profiles == [expected.clone()]);

    let rotated = Token { refresh: Some("refresh-2".into()), expires: None, ..token.clone() };
    assert!(file.update_token(&id, &rotated).unwrap());
    let expected = Stored { refresh: Some("refresh-2".into()), expires: None, ..expected };
    assert!(clean(&file).profiles == [expected]);

    let removed = file.remove(&["anthropic:other".into(), id.clone()]).unwrap();
    assert!(!file.update_token(&id, &token).unwrap(), "logged out meanwhile");
    assert_eq!(removed, [id]);
    assert!(clean(&file).profiles.is_empty() && clean(&file).health.is_empty());
}

#[test]
fn the_words_of_an_older_polpo_are_understood() {
    let stats = json!({ "billingErrorCount": 1, "failureWindowStart": 7_000, "lastUsed": 0 });
    let entry = json!({ "provider": "anthropic", "type": "api_key", "access": "a", "lastUsed": "1970-01-01T00:00:05Z" });
    let (_directory, file) = saying(
        json!({ "version": 1, "profiles": { "anthropic:a": entry }, "usageStats": { "anthropic:a": stats } })
            .to_string(),
    );
    let health = clean(&file).health[&"anthropic:a".into()].clone();
    assert_eq!((health.last_used, health.last_billing_failure), (ms(5_000), ms(7_000)));

    file.put(&key("anthropic:a"), at(0)).unwrap();
    let health = clean(&file).health[&"anthropic:a".into()].clone();
    assert_eq!((health.last_used, health.last_billing_failure), (ms(5_000), None));
    assert_eq!(json(&file)["usageStats"]["anthropic:a"]["lastUsed"], 5_000);
}

#[test]
fn a_class_is_blocked_until_a_date_that_is_to_come() {
    let classes = json!({
        "past": { "blockedUntil": 1_000, "blockedAt": 500 },
        "never": { "blockedUntil": 0 },
        "ended": { "blockedAt": 500 },
        "to-come": { "blockedUntil": 253_402_300_799_000_i64 },
        "since": { "blockedUntil": 253_402_300_799_000_i64, "blockedAt": 500.0 },
    });
    let (_directory, file) = saying(
        json!({ "version": 1, "usageStats": { "anthropic:a": { "classes": classes } } })
            .to_string(),
    );
    let classes = clean(&file).health[&"anthropic:a".into()].classes.clone();
    assert_eq!(
        classes.keys().map(|class| class.as_str()).collect::<Vec<_>>(),
        ["since", "to-come"]
    );
    assert_eq!(classes[&"since".into()].blocked_at, ms(500));
    assert!(classes[&"to-come".into()].blocked_at.is_some());
}

#[test]
fn numbers_that_cannot_be_are_cut_to_what_can_be_counted_with() {
    let (_directory, file) = saying(
        r#"{ "version": 1, "usageStats": { "anthropic:a": { "cooldownUntil": 1e300, "lastUsed": -5,
            "errorCount": 18446744073709551615, "billingErrorCount": "2", "revokedAt": "now" } } }"#,
    );
    let health = clean(&file).health[&"anthropic:a".into()].clone();
    let latest = ms(253_402_300_799_999);
    let expected = Health { cooldown_until: latest, error_count: 1_000, ..Health::default() };
    assert_eq!(health, expected);
}
