//! What is remembered of profiles when everything is started anew, and how often it is written.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use polpo_policy::health::Health;
use polpo_store::profiles::ProfileFile;
use tokio::time::sleep;

use crate::reply::{limited, says};
use crate::script::Script;
use crate::system::simulate;
use crate::world::{World, agent, keyed, pass};

/// The same profiles in new actors, after the old ones have written what they know.
pub(crate) async fn restarted(old: &World, profiles: &[&str], file: &ProfileFile) -> World {
    old.actors.flush().await;
    let health = file.read().unwrap().health;
    let script = Script::new();
    let outlets = profiles.iter().map(|name| {
        let mut outlet = keyed(name, script.wire(name), "sk-none", 64);
        outlet.health = health.get(&outlet.id).cloned().unwrap_or_default();
        outlet
    });
    let place = (old.clock.clone(), file.clone());
    World::start(vec![agent("agent")], outlets.collect(), place, script.clone()).await
}

#[test]
fn the_order_of_use_and_what_rests_survive_a_restart() {
    simulate(async || {
        let profiles = ["a", "b", "c"];
        let old = World::new(&profiles).await;
        pass(10).await;
        old.script.on("a", [limited(300)]);
        old.ask("one").await;
        let used: Vec<String> = old.trace().into_iter().map(|(_, profile)| profile).collect();
        assert_eq!(used, ["a", "b"]);
        let new = restarted(&old, &profiles, &old.file).await;
        for prompt in ["two", "three", "four"] {
            pass(1).await;
            new.ask(prompt).await;
        }
        let used: Vec<String> = new.trace().into_iter().map(|(_, profile)| profile).collect();
        assert_eq!(used, ["c", "b", "c"], "the oldest first, and a rests");
        pass(300).await;
        new.ask("five").await;
        assert_eq!(new.trace()[3].1, "a");
    });
}

#[test]
fn what_another_process_has_learned_is_heard_with_the_next_write() {
    simulate(async || {
        let world = World::new(&["a", "b"]).await;
        pass(10).await;
        let until = world.clock.now() + Duration::from_secs(600);
        let health = Health { cooldown_until: Some(until), error_count: 1, ..Health::default() };
        world.file.remember([("anthropic:a".into(), health)].into()).unwrap();
        world.ask("one").await; // Its use of `a` is written, and what the file says is heard.
        pass(2).await;
        for prompt in ["two", "three"] {
            world.ask(prompt).await;
        }
        let used: Vec<String> = world.trace().into_iter().map(|(_, profile)| profile).collect();
        assert_eq!(used, ["a", "b", "b"]);
    });
}

#[test]
fn a_thousand_calls_are_a_handful_of_writes() {
    simulate(async || {
        let world = World::new(&["a", "b"]).await;
        world.script.otherwise(says("fine").after(1));
        let prompts: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let calls = join_all(prompts.iter().map(|prompt| world.ask(prompt)));
        let mut states = BTreeSet::new();
        let count = async {
            loop {
                states.insert(format!("{:?}", world.file.stamp()));
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            outcomes = calls => assert_eq!(outcomes.len(), 1000),
            () = count => {}
        }
        let seconds = world.clock.now().timestamp() as usize;
        assert!((3..=seconds + 2).contains(&states.len()), "{} in {seconds} s", states.len());
        assert_eq!(world.calls().len(), 1000);
    });
}

#[test]
fn where_nothing_can_be_written_the_work_goes_on_and_what_was_learned_is_written_later() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        std::fs::create_dir_all(world.file.path()).unwrap();
        pass(10).await;
        for _ in 0..5 {
            world.ask("one").await;
            pass(2).await;
        }
        world.actors.flush().await;
        std::fs::remove_dir(world.file.path()).unwrap();
        world.actors.flush().await;
        let used = world.file.read().unwrap().health[&"anthropic:a".into()].last_used;
        assert_eq!(used.unwrap().timestamp(), 18);
        assert_eq!(world.calls().len(), 5);
    });
}
