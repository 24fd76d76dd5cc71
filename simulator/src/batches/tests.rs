mod keeping;

use std::collections::BTreeMap;

use http::HeaderMap;
use polpo_upstream::transport::SILENCE;
use serde_json::{Value, json};

use super::batch::LEAST;
use super::*;
use crate::limiter::Caller;
use crate::request::Rules;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_hours(24);

/// What rounding may take from a share of a duration.
const NANOSECOND: Duration = Duration::from_nanos(1);

/// Batches, and what was asked of the one who answers.
struct World {
    batches: Batches,
    asked: Vec<String>,
    now: SimTime,
}

impl World {
    fn new(median: Duration, expired_rate: f64) -> Self {
        let batches = Batches::new(7, Clock::new(1000), Pace { median, expired_rate });
        Self { batches, asked: Vec::new(), now: SimTime::default() }
    }

    /// Lets time pass and looks.
    fn wait(&mut self, simulated: Duration) {
        self.now = self.now.after(simulated);
        let asked = &mut self.asked;
        let mut answer = |due: Due| {
            let say = due.params["say"].as_str().unwrap();
            asked.push(say.to_owned());
            match say {
                "fail" => Err(Problem::new(Kind::Internal, "Internal server error")),
                _ => Ok(RawValue::from_string(format!("{{\"z\":1,\"said\":\"{say}\"}}")).unwrap()),
            }
        };
        while self.batches.advance(self.now, &mut answer) {}
    }

    fn only(&self) -> &Batch {
        self.batches.batches.values().next().unwrap()
    }

    fn call_as(
        &mut self,
        workspace: usize,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<Reply, Problem> {
        if (&method, path) == (&Method::POST, "") {
            let caller = Caller { account: 3, organization: 2, workspace };
            let submission = Submission::read(7, caller, rules(), body.as_bytes()).unwrap();
            return self.batches.create(submission, self.now);
        }
        let path = format!("/v1/messages/batches{path}");
        let call =
            Call { method, path, headers: HeaderMap::new(), body: Bytes::new(), silence: SILENCE };
        self.batches.serve(&call, workspace, self.now)
    }

    fn call(&mut self, method: Method, path: &str) -> Value {
        json_of(self.call_as(0, method, path, "").unwrap())
    }

    fn refusal(&mut self, method: Method, path: &str) -> (u16, String) {
        let problem = self.call_as(0, method, path, "").unwrap_err();
        (problem.status().as_u16(), problem.message)
    }

    /// Submits requests that say their ids; the batch's id.
    fn submit(&mut self, ids: impl IntoIterator<Item = String>) -> String {
        let one = |id: String| json!({"custom_id": id, "params": {"say": id}});
        let body = json!({"requests": ids.into_iter().map(one).collect::<Vec<_>>()}).to_string();
        let batch = json_of(self.call_as(0, Method::POST, "", &body).unwrap());
        assert_eq!(batch["processing_status"], "in_progress");
        batch["id"].as_str().unwrap().to_owned()
    }

    fn get(&mut self, id: &str) -> Value {
        self.call(Method::GET, &format!("/{id}"))
    }

    /// The results in their order: id and outcome.
    fn results(&mut self, id: &str) -> Vec<(String, String)> {
        let reply = self.call_as(0, Method::GET, &format!("/{id}/results"), "").unwrap();
        assert_eq!(reply.content_type, "application/x-jsonl");
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        let line = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&line["custom_id"]), text(&line["result"]["type"]))
        };
        text.lines().map(line).collect()
    }

    fn outcomes(&mut self, id: &str) -> BTreeMap<String, usize> {
        let mut outcomes = BTreeMap::new();
        for (_, outcome) in self.results(id) {
            *outcomes.entry(outcome).or_default() += 1;
        }
        outcomes
    }
}

fn rules() -> Rules {
    let version = ("anthropic-version".parse().unwrap(), "2026-10-21".parse().unwrap());
    Rules::of(&HeaderMap::from_iter([version])).unwrap()
}

fn json_of(reply: Reply) -> Value {
    assert_eq!(reply.content_type, "application/json");
    serde_json::from_slice(&reply.body).unwrap()
}

fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

fn counts(outcomes: &[(&str, usize)]) -> BTreeMap<String, usize> {
    outcomes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn requests_run_evenly_over_the_time_of_the_batch_and_are_counted_at_its_end() {
    let mut world = World::new(MINUTE, 0.0);
    let id = world.submit(ids("a", 60));
    let takes = world.only().takes;
    assert!((MINUTE / 3..MINUTE * 3).contains(&takes), "{takes:?}");
    world.wait(takes / 2 + NANOSECOND);
    assert_eq!(world.asked.len(), 30);
    let batch = world.get(&id);
    assert_eq!(batch["processing_status"], "in_progress");
    assert_eq!(
        batch["request_counts"],
        json!({"processing": 60, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0})
    );
    assert_eq!((&batch["ended_at"], &batch["results_url"]), (&Value::Null, &Value::Null));
    let none = (404, format!("Message Batch {id} has no available results."));
    assert_eq!(world.refusal(Method::GET, &format!("/{id}/results")), none);

    world.wait(takes / 2);
    let batch = world.get(&id);
    assert_eq!(batch["processing_status"], "ended");
    assert_eq!(batch["request_counts"]["succeeded"], 60);
    assert_eq!(batch["request_counts"]["processing"], 0);
    assert_eq!(world.outcomes(&id), counts(&[("succeeded", 60)]));
    world.wait(DAY);
    assert_eq!(world.asked.len(), 60, "each is answered once");
    assert_eq!(world.get(&id)["ended_at"], batch["ended_at"]);
}

#[test]
fn a_batch_that_takes_no_time_is_in_progress_until_time_passes() {
    let mut world = World::new(Duration::ZERO, 0.0);
    let id = world.submit(ids("a", 3));
    world.wait(Duration::ZERO);
    assert_eq!(world.get(&id)["processing_status"], "in_progress");
    world.wait(LEAST);
    assert_eq!(world.get(&id)["processing_status"], "ended");
    assert_eq!(world.asked.len(), 3);
}

#[test]
fn it_makes_no_difference_how_often_one_looks() {
    let mut often = World::new(MINUTE, 0.1);
    let mut late = World::new(MINUTE, 0.1);
    for world in [&mut often, &mut late] {
        world.submit(ids("a", 40));
        world.now = world.now.after(Duration::from_secs(5));
        world.submit(ids("b", 25));
    }
    (0..200).for_each(|_| often.wait(Duration::from_secs(1)));
    late.wait(Duration::from_secs(200));
    assert!(often.asked.len() > 50);
    assert_eq!(often.asked, late.asked);
    let mixed = often.asked.iter().skip_while(|id| id.starts_with('a'));
    assert!(mixed.clone().any(|id| id.starts_with('a')), "{:?}", often.asked);
    for (one, other) in often.batches.batches.values().zip(late.batches.batches.values()) {
        assert_eq!((&one.results, one.counts), (&other.results, other.counts));
    }
}

#[test]
fn chance_does_not_depend_on_the_order_of_arrival_but_a_second_submission_is_another_draw() {
    let mut one = World::new(MINUTE, 0.3);
    let mut other = World::new(MINUTE, 0.3);
    let (a, b) = (one.submit(ids("a", 50)), one.submit(ids("b", 50)));
    assert_eq!(other.submit(ids("b", 50)), b);
    assert_eq!(other.submit(ids("a", 50)), a);
    let again = one.submit(ids("a", 50));
    assert_ne!(again, a);
    one.wait(DAY);
    other.wait(DAY);
    assert_eq!(one.results(&a), other.results(&a));
    let sorted = |mut results: Vec<_>| {
        results.sort();
        results
    };
    assert_ne!(sorted(one.results(&a)), sorted(one.results(&again)));
    one.call(Method::DELETE, &format!("/{a}"));
    let third = one.submit(ids("a", 50));
    assert!(third != a && third != again, "a deleted batch is not forgotten in the draws");
}

#[test]
fn workspaces_that_submit_the_same_do_not_disturb_each_others_draws() {
    let body = json!({"requests": [{"custom_id": "a", "params": {"say": "a"}}]}).to_string();
    let submitted = |workspaces: [usize; 2]| {
        let mut world = World::new(MINUTE, 0.0);
        workspaces.map(|workspace| {
            let reply = world.call_as(workspace, Method::POST, "", &body).unwrap();
            json_of(reply)["id"].clone()
        })
    };
    let ([v, w], [other_w, other_v]) = (submitted([0, 1]), submitted([1, 0]));
    assert_eq!((&v, &w), (&other_v, &other_w));
    assert_ne!(v, w);
}

#[test]
fn results_come_in_another_order_than_requests_and_none_is_missing() {
    let mut world = World::new(MINUTE, 0.0);
    let id = world.submit(ids("a", 100));
    world.wait(DAY);
    let mut order: Vec<_> = world.results(&id).into_iter().map(|(id, _)| id).collect();
    assert_ne!(order, ids("a", 100));
    order.sort_by_key(|id| id[1..].parse::<u32>().unwrap());
    assert_eq!(order, ids("a", 100));
}

#[test]
fn a_canceled_batch_ends_soon_with_the_results_so_far() {
    let mut world = World::new(MINUTE, 0.0);
    let id = world.submit(ids("a", 100));
    let takes = world.only().takes;
    world.wait(takes / 4 + NANOSECOND);
    let canceling = world.call(Method::POST, &format!("/{id}/cancel"));
    assert_eq!(canceling["processing_status"], "canceling");
    assert_eq!(canceling["request_counts"]["processing"], 100);
    world.wait(takes / 20);
    let again = world.call(Method::POST, &format!("/{id}/cancel"));
    assert_eq!(again["cancel_initiated_at"], canceling["cancel_initiated_at"]);
    assert_eq!(again["processing_status"], "canceling");
    assert_eq!(world.refusal(Method::DELETE, &format!("/{id}")).0, 400);
    world.wait(takes / 19);
    assert_eq!(world.get(&id)["processing_status"], "ended");
    assert_eq!(world.outcomes(&id), counts(&[("canceled", 75), ("succeeded", 25)]));
    assert_eq!(world.asked.len(), 25);
    let ended = format!("Message Batch {id} cannot be canceled because it has already ended.");
    assert_eq!(world.refusal(Method::POST, &format!("/{id}/cancel")), (400, ended));
}

#[test]
fn what_has_not_run_within_a_day_expires() {
    let mut world = World::new(DAY * 2, 0.0);
    let id = world.submit(ids("a", 1000));
    let takes = world.only().takes;
    assert!(takes > DAY, "{takes:?}");
    world.wait(DAY - Duration::from_secs(1));
    assert_eq!(world.get(&id)["processing_status"], "in_progress");
    world.wait(DAY);
    let batch = world.get(&id);
    assert_eq!(batch["ended_at"], batch["expires_at"]);
    let ran = (1000.0 * DAY.as_secs_f64() / takes.as_secs_f64()) as usize;
    assert_eq!(world.outcomes(&id), counts(&[("expired", 1000 - ran), ("succeeded", ran)]));
    assert_eq!(world.asked.len(), ran);
}

#[test]
fn a_share_of_the_requests_expires_though_there_was_time() {
    let mut world = World::new(MINUTE, 0.1);
    let id = world.submit(ids("a", 2000));
    world.wait(MINUTE * 3);
    let expired = world.outcomes(&id)["expired"];
    assert!((150..250).contains(&expired), "{expired}");
    assert_eq!(world.asked.len(), 2000 - expired);
}

#[test]
fn a_request_that_fails_is_an_error_in_the_results() {
    let mut world = World::new(MINUTE, 0.0);
    let id = world.submit(["fail".to_owned(), "go".to_owned()]);
    world.wait(DAY);
    let reply = world.call_as(0, Method::GET, &format!("/{id}/results"), "").unwrap();
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            r#"{"custom_id":"fail","result":{"type":"errored","error":{"type":"error","error":{"type":"api_error","message":"Internal server error"},"request_id":null}}}"#,
            r#"{"custom_id":"go","result":{"type":"succeeded","message":{"z":1,"said":"go"}}}"#,
        ]
    );
    assert!(text.ends_with('\n'));
    assert_eq!(world.get(&id)["request_counts"]["errored"], 1);
}

#[test]
fn requests_are_asked_at_their_own_time_for_the_caller_and_by_the_rules_of_their_batch() {
    let mut world = World::new(MINUTE, 0.0);
    world.submit(ids("a", 2));
    let (takes, mut asked) = (world.only().takes, Vec::new());
    world.batches.advance(world.now.after(DAY), |due| {
        asked.push((due.at, due.caller, due.rules));
        Err(Problem::invalid("no"))
    });
    let caller = Caller { account: 3, organization: 2, workspace: 0 };
    let at = |time| (SimTime::default().after(time), caller, rules());
    assert_eq!(asked, [at(takes / 2), at(takes)]);
}

#[test]
fn others_get_their_turn_while_much_is_answered_and_two_who_look_answer_nothing_twice() {
    let mut world = World::new(MINUTE, 0.0);
    let id = world.submit(ids("a", 3 * MAX_STEPS));
    let now = world.now.after(DAY);
    let mut asked = Vec::new();
    let mut turn = |now| {
        let before = asked.len();
        let more = world.batches.advance(now, |due| {
            asked.push(due.at);
            Err(Problem::invalid("no"))
        });
        (asked.len() - before, more)
    };
    assert_eq!(turn(now), (MAX_STEPS, true));
    assert_eq!(turn(now.after(MINUTE)), (MAX_STEPS, true), "somebody else");
    assert_eq!(turn(now), (MAX_STEPS, true));
    assert_eq!([turn(now), turn(now.after(MINUTE))], [(0, false); 2]);
    assert!(asked.is_sorted());
    assert_eq!(world.get(&id)["request_counts"]["errored"], 3 * MAX_STEPS);
}
