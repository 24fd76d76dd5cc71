//! Which batches there are, for whom, and for how long.

use super::*;
use crate::draw::sha256;

#[test]
fn submissions_whose_batches_are_gone_are_forgotten_when_there_are_too_many() {
    let mut world = World::new(MINUTE, 0.0);
    let first = world.submit(ids("a", 1));
    let gone = (0..MAX_CONTENTS).map(|n| (sha256(&n.to_le_bytes()), 1));
    world.batches.submissions.extend(gone);
    world.submit(ids("b", 1));
    assert_eq!(world.batches.submissions.len(), 2);
    assert_ne!(world.submit(ids("a", 1)), first);
}

#[test]
fn results_are_kept_for_29_days_and_the_batch_remains() {
    let mut world = World::new(MINUTE, 0.0);
    let id = world.submit(ids("a", 5));
    world.wait(DAY * 29 - Duration::from_secs(1));
    assert_eq!(world.results(&id).len(), 5);
    assert_eq!(world.get(&id)["archived_at"], Value::Null);
    world.wait(Duration::from_secs(1));
    assert_eq!(world.refusal(Method::GET, &format!("/{id}/results")).0, 404);
    let batch = world.get(&id);
    assert!(batch["archived_at"].is_string() && batch["results_url"].is_null());
    assert_eq!(batch["request_counts"]["succeeded"], 5);
    assert!(world.only().results.is_empty());
    assert!(world.batches.agenda.is_empty(), "nothing happens to it any more");
}

#[test]
fn only_an_ended_batch_can_be_deleted() {
    let mut world = World::new(MINUTE, 0.0);
    let id = world.submit(ids("a", 5));
    let message = "In progress batches cannot be deleted. Consider canceling the batch instead.";
    assert_eq!(world.refusal(Method::DELETE, &format!("/{id}")), (400, message.to_owned()));
    world.wait(DAY);
    let deleted = world.call(Method::DELETE, &format!("/{id}"));
    assert_eq!(deleted, json!({"id": id, "type": "message_batch_deleted"}));
    let missing = (404, format!("Message Batch {id} not found."));
    assert_eq!(world.refusal(Method::GET, &format!("/{id}")), missing);
    assert_eq!(world.refusal(Method::DELETE, &format!("/{id}")), missing);
}

#[test]
fn another_workspace_sees_nothing_of_a_batch() {
    let mut world = World::new(MINUTE, 0.0);
    let id = world.submit(ids("a", 5));
    world.wait(DAY);
    for (method, tail) in [
        (Method::GET, ""),
        (Method::GET, "/results"),
        (Method::POST, "/cancel"),
        (Method::DELETE, ""),
    ] {
        let problem = world.call_as(1, method, &format!("/{id}{tail}"), "").unwrap_err();
        assert_eq!(problem, Problem::new(Kind::NotFound, format!("Message Batch {id} not found.")));
    }
    let listed = json_of(world.call_as(1, Method::GET, "", "").unwrap());
    assert_eq!(listed, json!({"data": [], "has_more": false, "first_id": null, "last_id": null}));
    assert_eq!(world.results(&id).len(), 5);
}

#[test]
fn batches_are_listed_by_pages_newest_first() {
    let mut world = World::new(MINUTE, 0.0);
    let mut submitted: Vec<_> = (0..5).map(|n| world.submit(ids("a", n + 1))).collect();
    submitted.reverse();
    let listed = |page: &Value| -> Vec<String> {
        let batches = page["data"].as_array().unwrap();
        batches.iter().map(|batch| batch["id"].as_str().unwrap().to_owned()).collect()
    };
    let page = world.call(Method::GET, "?limit=2");
    assert_eq!((listed(&page), &page["has_more"]), (submitted[..2].to_vec(), &json!(true)));
    let rest = world.call(Method::GET, &format!("?after_id={}", submitted[1]));
    assert_eq!((listed(&rest), &rest["has_more"]), (submitted[2..].to_vec(), &json!(false)));
    let message = "limit: Input should be greater than or equal to 1".to_owned();
    assert_eq!(world.refusal(Method::GET, "?limit=0"), (400, message));
}

#[test]
fn other_paths_and_methods_are_not_found() {
    let mut world = World::new(MINUTE, 0.0);
    let id = world.submit(ids("a", 1));
    for (method, path) in [
        (Method::PUT, String::new()),
        (Method::GET, format!("/{id}/cancel")),
        (Method::POST, format!("/{id}/results")),
        (Method::GET, format!("/{id}/results/more")),
        (Method::GET, "way".to_owned()),
    ] {
        assert_eq!(world.refusal(method, &path), (404, "Not Found".to_owned()), "{path}");
    }
}

#[test]
fn the_oldest_ended_batches_make_room_and_running_ones_do_not() {
    let mut world = World::new(MINUTE, 0.0);
    let first = world.submit(ids("a", 50));
    let second = world.submit(ids("b", 50));
    let kept = world.batches.bytes;
    world.batches.make_room(MAX_BYTES - kept).unwrap();
    let problem = world.batches.make_room(MAX_BYTES - kept + 1).unwrap_err();
    assert_eq!(problem.status().as_u16(), 429);
    world.wait(DAY);
    let kept = world.batches.bytes;
    world.batches.make_room(MAX_BYTES - kept + 1).unwrap();
    assert_eq!(world.refusal(Method::GET, &format!("/{first}")).0, 404);
    assert_eq!(world.get(&second)["processing_status"], "ended");
}

#[test]
fn a_batch_weighs_what_may_become_of_its_requests_and_then_what_did() {
    let mut world = World::new(MINUTE, 0.0);
    let id = world.submit(ids("a", 50));
    assert!(world.batches.bytes > 50 * 2048, "{}", world.batches.bytes);
    world.wait(DAY);
    let text = world.call_as(0, Method::GET, &format!("/{id}/results"), "").unwrap().body;
    assert_eq!(world.batches.bytes, size_of::<Batch>() + text.len());
    world.wait(DAY * 29);
    assert_eq!(world.batches.bytes, size_of::<Batch>());
    world.call(Method::DELETE, &format!("/{id}"));
    assert_eq!((world.batches.bytes, world.batches.agenda.len()), (0, 0));
}

#[test]
fn results_that_outgrow_the_room_take_that_of_the_oldest_ended_batch() {
    let mut world = World::new(MINUTE, 0.0);
    let first = world.submit(ids("a", 2));
    world.wait(DAY);
    let second = world.submit(ids("b", 2));
    world.batches.bytes += MAX_BYTES;
    world.wait(DAY);
    assert_eq!(world.refusal(Method::GET, &format!("/{first}")).0, 404);
    assert_eq!(world.results(&second).len(), 2);
}

#[test]
fn no_more_than_ten_thousand_batches_are_kept() {
    let mut world = World::new(MINUTE, 0.0);
    let caller = Caller { account: 0, organization: 0, workspace: 0 };
    let body = br#"{"requests": [{"custom_id": "a", "params": {"say": "a"}}]}"#;
    let create = |batches: &mut Batches| {
        let submission = Submission::read(7, caller, rules(), body).unwrap();
        batches.create(submission, SimTime::default())
    };
    for _ in 0..MAX_BATCHES {
        create(&mut world.batches).unwrap();
    }
    let problem = create(&mut world.batches).unwrap_err();
    assert_eq!(problem.status().as_u16(), 429);
    let first = world.only().id.clone();
    let end = world.only().next().unwrap();
    while world.batches.advance(end, |_| Err(Problem::invalid("no"))) {}
    create(&mut world.batches).unwrap();
    assert_eq!(world.batches.batches.len(), MAX_BATCHES);
    assert!(world.batches.batches.values().all(|batch| batch.id != first));
}

#[test]
fn results_are_shared_by_all_who_read_them() {
    let mut world = World::new(MINUTE, 0.0);
    let id = world.submit(ids("a", 5));
    world.wait(DAY);
    let mut read = || world.call_as(0, Method::GET, &format!("/{id}/results"), "").unwrap().body;
    assert_eq!(read().as_ptr(), read().as_ptr());
}
