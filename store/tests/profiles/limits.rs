//! The windows that the profiles of an organisation share.

use polpo_policy::health::Health;
use polpo_policy::id::ProfileId;
use polpo_store::profiles::ProfileFile;

use crate::world::{at, clean, empty, json, key, limited, of};

const ONE: &str = "anthropic:one";
const TWO: &str = "anthropic:two";

fn member(health: Health) -> Health {
    Health { organization: Some("org-1".into()), ..health }
}

fn window(file: &ProfileFile, id: &str) -> Option<i64> {
    let id: ProfileId = id.into();
    let contents = clean(file);
    let until = contents.health.get(&id)?.classes.get(&"opus-4".into())?.cooldown_until?;
    Some((until - at(0)).num_milliseconds())
}

fn clear(file: &ProfileFile, id: &str, now: i64) {
    let mut health = clean(file).health[&id.into()].clone();
    health.clear(at(now));
    file.remember(of(id, health)).unwrap();
}

#[test]
fn what_one_profile_learns_all_of_its_organisation_know() {
    let (_directory, file) = empty();
    file.remember(of(TWO, member(Health::default()))).unwrap();
    file.remember(of("anthropic:other", Health::default())).unwrap();
    file.remember(of(ONE, member(limited(at(9_000))))).unwrap();
    assert_eq!(window(&file, TWO), Some(9_000));
    assert_eq!(window(&file, "anthropic:other"), None);
    let together = file.remember(of(TWO, member(limited(at(4_000))))).unwrap();
    assert_eq!(together, of(TWO, member(limited(at(9_000)))));
    let kept = &json(&file)["usageStats"][TWO]["classes"]["opus-4"]["cooldownUntil"];
    assert_eq!(kept.as_i64(), Some(at(4_000).timestamp_millis()), "what it learned by itself");
}

#[test]
fn a_profile_that_leaves_does_not_take_the_limit_along() {
    let (_directory, file) = empty();
    file.put(&key(ONE), at(0)).unwrap();
    file.remember(of(ONE, Health { cleared_at: Some(at(0)), ..member(limited(at(9_000))) }))
        .unwrap();
    file.remove(&[ONE.into()]).unwrap();
    file.remember(of(TWO, member(Health::default()))).unwrap();
    assert_eq!(window(&file, TWO), Some(9_000));
}

#[test]
fn clearing_the_profile_that_learned_it_ends_the_window_for_all() {
    let (_directory, file) = empty();
    file.remember(of(ONE, member(limited(at(9_000))))).unwrap();
    let known_by_two = file.remember(of(TWO, member(Health::default()))).unwrap();
    assert_eq!(window(&file, TWO), Some(9_000));
    file.remember(known_by_two.clone()).unwrap();
    clear(&file, ONE, 100);
    assert_eq!((window(&file, ONE), window(&file, TWO)), (None, None));
    file.remember(known_by_two).unwrap();
    assert_eq!((window(&file, ONE), window(&file, TWO)), (None, None), "only hearsay");
    file.remember(of(TWO, member(limited(at(8_000))))).unwrap();
    assert_eq!((window(&file, ONE), window(&file, TWO)), (Some(8_000), Some(8_000)));
}

#[test]
fn the_window_that_another_profile_learned_outlives_a_clear() {
    let (_directory, file) = empty();
    file.remember(of(ONE, member(limited(at(9_000))))).unwrap();
    file.remember(of(TWO, member(limited(at(5_000))))).unwrap();
    clear(&file, ONE, 100);
    assert_eq!((window(&file, ONE), window(&file, TWO)), (Some(5_000), Some(5_000)));
    file.put(&key(TWO), at(200)).unwrap();
    assert_eq!((window(&file, ONE), window(&file, TWO)), (None, None));
}
