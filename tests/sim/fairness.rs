//! A crowd of one agent does not starve another.

use futures_util::future::join_all;

use crate::reply::says;
use crate::system::simulate;
use crate::world::{World, agent, pass};

#[test]
fn the_only_task_of_one_agent_is_served_soon_beside_a_thousand_of_another() {
    simulate(async || {
        let world = World::of(vec![agent("agent"), agent("single")], &["a", "b"], 2).await;
        world.script.otherwise(says("fine").after(1));
        let prompts: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let crowd = async {
            join_all(prompts.iter().map(|prompt| world.ask(prompt))).await;
            world.clock.now().timestamp()
        };
        let single = async {
            pass(10).await;
            let outcome = world.run("single", world.job("single")).await;
            (outcome.ended_at - outcome.started_at).num_seconds()
        };
        let (crowd, single) = tokio::join!(crowd, single);
        assert!((250..252).contains(&crowd), "{crowd} s: four at a time, a second each");
        assert!(single <= 2, "{single} s: the next free place, and its own second");
    });
}
