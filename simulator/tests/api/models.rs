//! The models API: what is listed, in which order, and by pages.

use http::Method;
use polpo_simulator::Simulator;
use serde_json::{Value, json};

use crate::client::{Heard, KEY, call, error_of, schema, send, signed, simulator};

async fn get(simulator: &Simulator, path: &str) -> Heard {
    let mut call = signed(KEY, &Value::Null);
    (call.method, call.path) = (Method::GET, path.to_owned());
    send(simulator, call).await
}

fn ids(page: &Value) -> Vec<&str> {
    let models = page["data"].as_array().unwrap();
    models.iter().map(|model| model["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_model_has_the_shape_of_the_real_ones_newest_first() {
    let query =
        "/v1/models?limit=1000&lifecycle[]=active&lifecycle[]=deprecated&lifecycle[]=retired";
    let heard = get(&simulator(json!({})), query).await;
    assert_eq!((heard.status, heard.header("content-type")), (200, Some("application/json")));
    assert!(heard.header("anthropic-workspace-id").is_some());
    let page = heard.json();
    let validator = schema(include_str!("../schemas/model_info.json"));
    let models = page["data"].as_array().unwrap();
    for model in models {
        validator.validate(model).unwrap_or_else(|error| panic!("{model}: {error}"));
        assert_eq!(model["capabilities"]["thinking"]["types"].as_object().unwrap().len(), 4);
        assert_eq!(model["deprecated_at"].is_null(), model["lifecycle"] == "active", "{model}");
    }
    let dates: Vec<_> = models.iter().map(|model| model["created_at"].as_str().unwrap()).collect();
    assert!(dates.is_sorted_by(|newer, older| newer >= older), "{dates:?}");
    assert_eq!(page["has_more"], false);
    assert_eq!(page["first_id"], *ids(&page).first().unwrap());
    assert_eq!(page["last_id"], "claude-3-haiku-20240307");

    let keys = ["type", "id", "display_name", "created_at", "lifecycle", "line", "deprecated_at"];
    let text = heard.text();
    let places: Vec<_> =
        keys.iter().map(|key| text.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
}

#[tokio::test]
async fn retired_models_are_listed_only_when_they_are_asked_for() {
    let simulator = simulator(json!({}));
    let listed = async |query: &str| {
        let page = get(&simulator, &format!("/v1/models?limit=1000&{query}")).await.json();
        let lifecycle = |model: &Value| model["lifecycle"].as_str().unwrap().to_owned();
        let lifecycles = page["data"].as_array().unwrap().iter().map(lifecycle);
        (
            page["data"].as_array().unwrap().len(),
            lifecycles.collect::<std::collections::BTreeSet<_>>(),
        )
    };
    let (served, lifecycles) = listed("").await;
    assert_eq!(lifecycles, ["active", "deprecated"].map(str::to_owned).into());
    let (retired, lifecycles) = listed("lifecycle%5B%5D=retired").await;
    assert_eq!(lifecycles, ["retired"].map(str::to_owned).into());
    let (active, _) = listed("lifecycle[]=active").await;
    let (both, _) = listed("lifecycle[]=retired&lifecycle%5B%5D=active").await;
    assert!(retired >= 2 && active < served);
    assert_eq!(both, retired + active);
}

#[tokio::test]
async fn a_client_that_follows_last_id_sees_every_model_once() {
    let simulator = simulator(json!({}));
    let whole = get(&simulator, "/v1/models?limit=1000").await.json();
    let mut seen = Vec::new();
    let mut path = "/v1/models?limit=7".to_owned();
    loop {
        let page = get(&simulator, &path).await.json();
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        if page["has_more"] == false {
            break;
        }
        assert_eq!(ids(&page).len(), 7);
        path = format!("/v1/models?limit=7&after_id={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(seen, ids(&whole));
    let back = format!("/v1/models?limit=2&before_id={}", seen[3]);
    assert_eq!(ids(&get(&simulator, &back).await.json()), seen[1..3]);
    assert_eq!(ids(&get(&simulator, "/v1/models").await.json()).len(), 20.min(seen.len()));
}

#[tokio::test]
async fn a_model_is_found_by_id_and_by_alias_even_a_retired_one() {
    let simulator = simulator(json!({}));
    for (name, id) in [
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-opus-4-1", "claude-opus-4-1-20250805"),
    ] {
        let model = get(&simulator, &format!("/v1/models/{name}")).await.json();
        schema(include_str!("../schemas/model_info.json")).validate(&model).unwrap();
        assert_eq!(model["id"], id);
    }
    let sonnet = get(&simulator, "/v1/models/claude-sonnet-4-5").await.json();
    assert_eq!(sonnet["retires_at"], "2026-11-30T00:00:00Z");
    assert_eq!(sonnet["deprecated_at"], "2026-10-01T00:00:00Z");
    let missing = get(&simulator, "/v1/models/claude-opus-4.8").await;
    let expected = (404, "not_found_error".to_owned(), "model: claude-opus-4.8".to_owned());
    assert_eq!(error_of(&missing), expected);
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused_in_the_words_of_the_api() {
    let simulator = simulator(json!({}));
    let four = "lifecycle[]=active&".repeat(4);
    for (query, message) in [
        ("limit=0", "limit: Input should be greater than or equal to 1"),
        ("limit=1001", "limit: Input should be less than or equal to 1000"),
        (
            "lifecycle[]=active&lifecycle[]=old",
            "lifecycle.1: Input should be 'active', 'deprecated' or 'retired'",
        ),
        (&four, "lifecycle: List should have at most 3 items after validation, not 4"),
    ] {
        let heard = get(&simulator, &format!("/v1/models?{query}")).await;
        let expected = (400, "invalid_request_error".to_owned(), message.to_owned());
        assert_eq!(error_of(&heard), expected);
    }
}

#[tokio::test]
async fn a_list_needs_a_key_and_is_in_no_books() {
    let simulator = simulator(json!({}));
    let mut anonymous = call(&[("anthropic-version", "2026-10-21")], "");
    (anonymous.method, anonymous.path) = (Method::GET, "/v1/models".to_owned());
    assert_eq!(error_of(&send(&simulator, anonymous).await).0, 401);
    get(&simulator, "/v1/models").await;
    let books = simulator.books();
    assert_eq!((books.unauthenticated, books.total.requests), (1, 0));
}
