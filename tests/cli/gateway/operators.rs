//! What those see and do who run a gateway.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ALICE, BOB, Gateway, keys};
use crate::http::send;
use crate::schema::error_of;
use crate::server::scenario;
use crate::support::{Process, World, wait_for};

const ADMIN: &str = "the-key-of-who-runs-it";

/// The key of the first account of the scenario, which nobody is to see.
const SECRET: &str = "sk-ant-api03-simulated-a";

fn gateway(world: &World) -> Gateway {
    // A request comes back after twelve seconds, and no sooner.
    let bob = json!({
        "requestsPerMinute": 5, "maxCostUsdPerDay": 2.5, "models": ["claude-haiku-*"],
        "maxConcurrency": 3,
    });
    let config = json!({"gateway": {"adminKey": ADMIN, "keys": keys(bob)}});
    Gateway::serve(world, config, json!({}))
}

fn status(gateway: &Gateway) -> Value {
    let answer = gateway.ask(ADMIN, "GET /api/v1/status", "");
    assert_eq!(answer.status, 200, "{answer:?}");
    for secret in [SECRET, ADMIN, ALICE, BOB] {
        assert!(!answer.body.contains(secret), "{}", answer.body);
    }
    answer.json()
}

fn ask(model: &str) -> String {
    let question = json!({"role": "user", "content": "What is 6 x 7?"});
    json!({"model": model, "max_tokens": 10, "messages": [question]}).to_string()
}

#[test]
fn the_status_tells_of_profiles_and_of_clients() {
    let world = World::new();
    let gateway = gateway(&world);
    assert_eq!(gateway.ask(BOB, "POST /v1/messages", &ask("claude-haiku-5-5")).status, 200);
    let status = status(&gateway);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&status["waiting"], &status["inFlight"]), (&json!(0), &json!(0)));
    assert_eq!(status["isDraining"], false);
    let profiles = status["profiles"].as_array().unwrap();
    assert!(
        profiles.iter().all(|it| it["state"] == "ready" && it["inFlight"] == 0),
        "{profiles:?}"
    );
    let used: Vec<_> = profiles.iter().filter(|it| !it["lastUsed"].is_null()).collect();
    assert_eq!(used.len(), 1);

    let names: Vec<_> = status["keys"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["alice", "bob"]);
    let bob = &status["keys"][1];
    assert_eq!((&bob["requestsPerMinute"], &bob["requestsRemaining"]), (&json!(5), &json!(4)));
    assert_eq!((&bob["maxCostUsdPerDay"], &bob["maxConcurrency"]), (&json!(2.5), &json!(3)));
    assert_eq!(bob["models"], json!(["claude-haiku-*"]));
    assert!(bob["spentTodayUsd"].as_f64().unwrap() > 0.0);
    assert_eq!((&bob["spentUsd"], &bob["reservedUsd"]), (&bob["spentTodayUsd"], &json!(0)));
}

#[test]
fn only_the_admin_key_opens_what_is_for_operators_and_no_key_is_none() {
    let world = World::new();
    let gateway = gateway(&world);
    let lines = ["GET /api/v1/status", "GET /api/v1/events", "POST /api/v1/profiles/a:b/disable"];
    for line in lines {
        for key in [ALICE, "nobody's", ""] {
            assert_eq!(error_of(&gateway.ask(key, line, "")).0, 401, "{line}");
        }
    }
    let bearer = format!("Bearer {ADMIN}");
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(send(gateway.address(), "GET /api/v1/status", &headers, "").status, 200);
    assert_eq!(gateway.ask(ADMIN, "GET /v1/models", "").status, 401, "it is no client's");

    let without = Gateway::open(&World::new());
    for line in lines {
        let (status, kind, message) = error_of(&without.ask("any", line, ""));
        assert_eq!((status, &*kind), (403, "permission_error"), "{line}");
        assert!(message.contains("gateway.adminKey"), "{message}");
    }
}

#[test]
fn metrics_are_for_this_machine_or_for_the_admin_key() {
    let world = World::new();
    let config = json!({"gateway": {"adminKey": ADMIN, "keys": keys(json!({}))}});
    world.write("polpo.json", config.to_string());
    world.write("scenario.json", scenario(json!({})));
    let gateway = Gateway::spawn(&world, &["serve", "--simulate", "--bind", "0.0.0.0:0"]);
    let of = |key: &str| gateway.ask(key, "GET /metrics", "").status;
    assert_eq!((of(ADMIN), of(ALICE), of("")), (200, 401, 401));
    assert_eq!(send(gateway.address(), "GET /healthz", &[], "").status, 200);

    let local = self::gateway(&World::new());
    assert_eq!(send(local.address(), "GET /metrics", &[], "").status, 200);
    let proxied = [("x-forwarded-for", "192.0.2.1")];
    assert_eq!(send(local.address(), "GET /metrics", &proxied, "").status, 401);
}

#[test]
fn a_profile_that_is_taken_out_stays_out_until_it_is_given_back() {
    let world = World::new();
    let gateway = gateway(&world);
    let profiles = status(&gateway)["profiles"].clone();
    let ids: Vec<_> =
        profiles.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    let tend = |gateway: &Gateway, act: &str| {
        for id in &ids {
            let line = format!("POST /api/v1/profiles/{id}/{act}");
            assert_eq!(gateway.ask(ADMIN, &line, "").json()["profiles"], json!([id]));
        }
    };
    let is_ready =
        |gateway: &Gateway| send(gateway.address(), "GET /readyz", &[], "").status == 200;
    assert!(is_ready(&gateway));
    tend(&gateway, "disable");
    assert!(!is_ready(&gateway));
    assert!(
        status(&gateway)["profiles"].as_array().unwrap().iter().all(|it| it["state"] == "disabled")
    );
    let answer = gateway.ask(ALICE, "POST /v1/messages", &ask("claude-opus-5"));
    assert_eq!(error_of(&answer).0, 503);
    wait_for("it is not written down", || {
        let auth = world.run(&["auth", "status", "--simulate", "--json"]).ended(0);
        let path = world.path("state/simulated/auth-profiles.json");
        let file = std::fs::read_to_string(path).ok()?; // It may not be there yet.
        (file.matches("heldAt").count() == ids.len()).then_some(auth)
    });
    drop(gateway); // Killed.

    let gateway = self::gateway(&world);
    assert!(!is_ready(&gateway));
    tend(&gateway, "enable");
    assert!(is_ready(&gateway));
    tend(&gateway, "clear");
    assert_eq!(gateway.ask(ALICE, "POST /v1/messages", &ask("claude-opus-5")).status, 200);
    for (path, message) in
        [("anthropic:none/clear", "profile: anthropic:none"), ("a:b/x", "cleared")]
    {
        let (status, _, told) =
            error_of(&gateway.ask(ADMIN, &format!("POST /api/v1/profiles/{path}"), ""));
        assert!(status == 404 && told.contains(message), "{told}");
    }
}

#[test]
fn a_profile_that_rests_is_used_again_as_soon_as_it_is_cleared() {
    let world = World::new();
    let config = json!({"gateway": {"adminKey": ADMIN, "keys": keys(json!({}))}});
    let limit = json!({"fault": "rateLimit", "times": 1, "retryAfterSeconds": 600});
    let changes = json!({
        "accounts": [{"name": "a", "apiKey": SECRET}],
        "faults": {"overloadedRate": 0, "rules": [limit]},
    });
    let gateway = Gateway::serve(&world, config, changes);
    let asked = || gateway.ask(ALICE, "POST /v1/messages", &ask("claude-opus-5"));
    for _ in 0..2 {
        let refused = asked();
        let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert_eq!((refused.status, refused.header("x-should-retry")), (429, Some("false")));
        assert!((580..=600).contains(&after), "{after}");
    }
    let id = status(&gateway)["profiles"][0]["id"].as_str().unwrap().to_owned();
    let line = format!("POST /api/v1/profiles/{id}/clear");
    assert_eq!(gateway.ask(ADMIN, &line, "").json()["profiles"], json!([id]));
    assert_eq!(asked().status, 200);
}

#[test]
fn events_tell_the_status_at_once_and_when_it_changes() {
    let world = World::new();
    let gateway = gateway(&world);
    let mut socket = TcpStream::connect(gateway.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(socket, "GET /api/v1/events HTTP/1.1\r\nhost: x\r\nx-api-key: {ADMIN}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(socket).lines().map(|line| line.unwrap());
    let mut next = || -> Value {
        let data = lines.find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
        serde_json::from_str(&data.unwrap()).unwrap()
    };
    let first = next();
    assert_eq!(first, status(&gateway));
    assert_eq!(gateway.ask(ALICE, "POST /v1/messages", &ask("claude-opus-5")).status, 200);
    let spent = |status: &Value| status["keys"][0]["spentUsd"].as_f64().unwrap();
    // It may have been looked while the request was under way.
    let second = std::iter::repeat_with(next).find(|status| spent(status) > spent(&first));
    assert_eq!(second.unwrap()["inFlight"], 0);
}

#[test]
fn a_second_gateway_over_one_state_directory_says_that_it_does_not_know_what_the_first_spends() {
    let world = World::new();
    let begin = |log| {
        let command = world.polpo(&["serve", "--simulate", "--bind", "127.0.0.1:0"]);
        let process = Process::logged(command, &world.path(log));
        wait_for("it serves", || world.read(log).contains("any key is taken").then_some(()));
        (process, world.read(log).contains("another gateway runs"))
    };
    let (first, is_warned) = begin("first");
    assert!(!is_warned);
    let (second, is_warned) = begin("second");
    assert!(is_warned);
    drop((first, second));
    assert!(!begin("third").1);
}

#[test]
fn a_gateway_with_few_file_descriptors_says_for_how_many_clients_they_are() {
    let world = World::new();
    let mut command = world.command("sh");
    command.args(["-c", "ulimit -n 256; exec \"$0\" serve --simulate --bind 127.0.0.1:0"]);
    command.arg(env!("CARGO_BIN_EXE_polpo"));
    let _gateway = Process::logged(command, &world.path("log"));
    wait_for("it serves", || world.read("log").contains("any key is taken").then_some(()));
    assert!(world.read("log").contains("clients at once"), "{}", world.read("log"));
}
