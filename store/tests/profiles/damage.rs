//! Files that are not what they should be.

use std::fs;

use polpo_store::disk::DiskError;
use polpo_store::profiles::{ProfileFile, ProfileFileError, Token};
use serde_json::json;

use crate::world::{NAME, at, clean, empty, json, key, login, names, saying};

const SECRET: &str = "sk-ant-secret";

#[test]
fn a_damaged_file_is_moved_aside_and_said_so_whoever_finds_it() {
    let damaged = [
        format!("{{ \"version\": 1, \"profiles\": {{ \"a\": \"{SECRET}"),
        format!("[\"{SECRET}\"]"),
        format!("{{ \"access\": \"{SECRET}\" }}"),
        format!("{{ \"version\": \"{SECRET}\" }}"),
        format!("{{ \"version\": 0, \"profiles\": {{ \"a\": \"{SECRET}\" }} }}"),
        format!("{{ \"version\": 1, \"profiles\": [\"{SECRET}\"] }}"),
        "\0\0\0".into(),
    ];
    for text in damaged {
        for find in [
            |file: &ProfileFile| file.read().unwrap().warnings,
            |file: &ProfileFile| file.put(&key("anthropic:a"), at(0)).unwrap(),
        ] {
            let (directory, file) = saying(&text);
            let warnings = find(&file);
            let [warning] = &warnings[..] else { panic!("{text}: {warnings:?}") };
            assert!(warning.contains("auth-profiles.json.corrupt-2"), "{warning}");
            assert!(!warning.contains(SECRET), "{warning}");
            let names = names(directory.path());
            let aside = names.iter().find(|name| name.contains(".corrupt-")).unwrap();
            assert_eq!(fs::read_to_string(directory.path().join(aside)).unwrap(), text);
            assert!(file.put(&key("anthropic:b"), at(0)).unwrap().is_empty());
        }
    }
}

#[test]
fn no_two_damaged_files_are_moved_to_one_name() {
    let (directory, file) = empty();
    for count in 0..5 {
        fs::write(file.path(), format!("damaged {count}")).unwrap();
        file.read().unwrap();
    }
    let texts = names(directory.path()).into_iter();
    let mut texts: Vec<_> =
        texts.map(|name| fs::read_to_string(directory.path().join(name)).unwrap()).collect();
    texts.sort();
    assert_eq!(texts, [0, 1, 2, 3, 4].map(|count| format!("damaged {count}")));
}

#[test]
fn a_file_of_a_later_version_is_left_alone() {
    let text = json!({ "version": 2, "profiles": { "a": SECRET } }).to_string();
    let (directory, file) = saying(&text);
    for error in [
        file.read().unwrap_err(),
        file.put(&key("anthropic:a"), at(0)).unwrap_err(),
        file.remember([("anthropic:a".into(), Default::default())].into()).unwrap_err(),
    ] {
        assert!(matches!(error, ProfileFileError::Newer { known: 1, .. }), "{error}");
        assert!(
            error.to_string().ends_with("has version 2, this program knows version 1; upgrade it")
        );
        assert!(!format!("{error:?}").contains(SECRET));
    }
    assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
    assert_eq!(names(directory.path()), [NAME]);
}

#[test]
fn an_empty_file_holds_nothing_and_is_used() {
    for text in ["", " \n"] {
        let (directory, file) = saying(text);
        let contents = file.read().unwrap();
        assert!(contents.profiles.is_empty() && contents.health.is_empty());
        assert!(contents.warnings[0].contains("is empty"), "{:?}", contents.warnings);
        file.put(&key("anthropic:a"), at(0)).unwrap();
        assert!(clean(&file).profiles == [key("anthropic:a")]);
        assert_eq!(names(directory.path()), [NAME]);
    }
}

#[test]
fn entries_that_cannot_be_used_are_skipped_and_kept() {
    let entry =
        |access: &str| json!({ "provider": "anthropic", "type": "api_key", "access": access });
    let profiles = json!({
        "anthropic:good": entry("a"),
        "anthropic:empty": entry(""),
        "anthropic:long": entry(&"a".repeat(16_385)),
        "anthropic:control": entry("sk-ant-secret\n"),
        "anthropic:type": { "provider": "anthropic", "type": "token", "access": SECRET },
        "anthropic:provider": { "provider": "../x", "type": "oauth", "access": SECRET },
        "anthropic:refresh": { "provider": "x", "type": "oauth", "access": "a", "refresh": "sk-ant-secret\0" },
        "anthropic:text": SECRET,
        "anthropic:__proto__": entry("a"),
        "sk-ant-secret": entry("a"),
    });
    let stats = json!({ "sk-ant-secret": { "lastUsed": 5 }, "anthropic:a": SECRET });
    let (_directory, file) =
        saying(json!({ "version": 1, "profiles": profiles, "usageStats": stats }).to_string());
    let contents = file.read().unwrap();
    assert_eq!(contents.profiles.len(), 1);
    assert!(contents.health.is_empty());
    assert_eq!(contents.warnings.len(), 10, "{:#?}", contents.warnings);
    for warning in &contents.warnings {
        assert!(!warning.contains(SECRET), "{warning}");
        assert!(warning.contains(NAME), "{warning}");
    }
    file.put(&key("anthropic:b"), at(0)).unwrap();
    let json = json(&file);
    for (id, entry) in profiles.as_object().unwrap() {
        assert_eq!(&json["profiles"][id], entry);
    }
    assert_eq!(json["usageStats"]["sk-ant-secret"], stats["sk-ant-secret"]);
}

#[test]
fn what_could_not_be_read_again_is_not_stored() {
    let (_directory, file) = empty();
    let mut bad = login("anthropic:a");
    bad.access = format!("{SECRET}\r\n");
    let error = file.put(&bad, at(0)).unwrap_err();
    assert!(
        matches!(&error, ProfileFileError::Invalid { id, .. } if id == "anthropic:a"),
        "{error}"
    );
    assert!(!format!("{error} {error:?} {bad:?}").contains(SECRET));
    let no_id = login("anthropic:__proto__");
    assert!(matches!(file.put(&no_id, at(0)), Err(ProfileFileError::Invalid { .. })));
    let token = Token { access: SECRET.into(), refresh: Some(String::new()), expires: None };
    let error = file.update_token(&"anthropic:a".into(), &token).unwrap_err();
    assert!(matches!(error, ProfileFileError::Invalid { .. }), "{error}");
    assert!(!format!("{error} {error:?} {token:?}").contains(SECRET));
    assert!(!file.path().exists());
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let (_directory, file) = saying("");
    let large = fs::File::options().write(true).open(file.path()).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    let error = file.read().unwrap_err();
    assert!(
        matches!(error, ProfileFileError::Disk(DiskError::TooLarge { limit: 67_108_864, .. })),
        "{error}"
    );
    assert!(file.put(&key("anthropic:a"), at(0)).is_err());
    assert_eq!(fs::metadata(file.path()).unwrap().len(), (64 << 20) + 1);
}
