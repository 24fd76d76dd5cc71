//! Shapes on the wire: messages, events, headers, ids.

use http::Method;
use serde_json::{Value, json};

use crate::client::{
    KEY, assert_is_message, call, error_of, post, request, saying, schema, send, signed, simulator,
};

#[tokio::test]
async fn a_message_has_the_shape_and_the_key_order_of_the_real_one() {
    let heard = post(&simulator(json!({})), &request(json!({}))).await;
    assert_eq!((heard.status, heard.header("content-type")), (200, Some("application/json")));
    assert_is_message(&heard.json());
    let text = heard.text();
    let keys = [
        "\"model\":\"claude-opus-4-6\"",
        "\"id\":\"msg_01",
        "\"type\":\"message\"",
        "\"role\":\"assistant\"",
        "\"content\":[{\"type\":\"text\",\"text\":",
        "\"stop_reason\":\"end_turn\"",
        "\"stop_sequence\":null",
        "\"usage\":{\"input_tokens\":",
        "\"cache_creation_input_tokens\":0",
        "\"cache_read_input_tokens\":0",
        "\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":0}",
        "\"output_tokens\":",
        "\"service_tier\":\"standard\"",
        "\"inference_geo\":\"global\"}}",
    ];
    let places: Vec<_> = keys
        .iter()
        .map(|key| text.find(key).unwrap_or_else(|| panic!("{key} in {text}")))
        .collect();
    assert!(places.is_sorted(), "{text}");
    assert_eq!(places[0], 1);
}

#[tokio::test]
async fn a_stream_tells_the_same_story_as_the_whole_message() {
    let whole = post(&simulator(json!({})), &request(json!({}))).await.json();
    let heard = post(&simulator(json!({})), &request(json!({"stream": true}))).await;
    assert_eq!(heard.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(heard.header("cache-control"), Some("no-cache"));

    let events = heard.events();
    let validator = schema(include_str!("../schemas/stream_event.json"));
    for (name, data) in &events {
        assert_eq!(data["type"], **name);
        if name != "ping" {
            validator.validate(data).unwrap_or_else(|error| panic!("{data}: {error}"));
        }
    }
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let deltas = &events[3..events.len() - 3];
    assert!((2..=12).contains(&deltas.len()));
    let text: String =
        deltas.iter().map(|(_, data)| data["delta"]["text"].as_str().unwrap()).collect();

    let start = &events[0].1["message"];
    assert_eq!(start["content"], json!([]));
    assert_eq!(
        (&start["stop_reason"], &start["usage"]["output_tokens"]),
        (&Value::Null, &json!(1))
    );
    let end = &events[events.len() - 2].1;
    let mut told = start.clone();
    told["content"] = json!([{"type": "text", "text": text}]);
    told["stop_reason"] = end["delta"]["stop_reason"].clone();
    told["usage"]["output_tokens"] = end["usage"]["output_tokens"].clone();
    assert_eq!(told, whole);
    assert_eq!(end["usage"]["input_tokens"], whole["usage"]["input_tokens"]);
}

#[tokio::test]
async fn events_are_padded_before_their_last_brace_and_pings_are_not() {
    let heard = post(&simulator(json!({})), &request(json!({"stream": true}))).await;
    let text = heard.text();
    assert!(text.contains("event: ping\ndata: {\"type\": \"ping\"}\n\n"));
    let padding = |line: &str| {
        let inner = line.strip_suffix('}').unwrap();
        inner.len() - inner.trim_end_matches(' ').len()
    };
    let data = text.lines().filter(|line| line.starts_with("data: ") && !line.contains("ping"));
    let paddings: Vec<_> = data.map(padding).collect();
    assert!(paddings.iter().any(|&spaces| spaces > 0));
    assert!(paddings.iter().any(|&spaces| spaces != paddings[0]), "{paddings:?}");
}

#[tokio::test]
async fn output_tokens_correspond_to_the_text_and_stay_within_max_tokens() {
    for max_tokens in [0, 1, 5, 40, 4000] {
        let body = request(json!({"max_tokens": max_tokens}));
        let message = post(&simulator(json!({})), &body).await.json();
        assert_is_message(&message);
        let text = message["content"][0]["text"].as_str().unwrap_or_default();
        let tokens = message["usage"]["output_tokens"].as_u64().unwrap();
        assert_eq!(tokens, text.len().div_ceil(4) as u64);
        assert!(tokens <= max_tokens);
        let reason = if max_tokens < 4000 { "max_tokens" } else { "end_turn" };
        assert_eq!(message["stop_reason"], reason);

        let body = request(json!({"max_tokens": max_tokens, "stream": true}));
        let events = post(&simulator(json!({})), &body).await.events();
        let end = &events[events.len() - 2].1;
        assert_eq!(end["usage"]["output_tokens"], tokens);
        assert_eq!(end["delta"]["stop_reason"], reason);
    }
}

#[tokio::test]
async fn a_stop_sequence_is_named_and_not_part_of_the_text() {
    let whole = post(&simulator(json!({})), &request(json!({}))).await.json();
    let body = request(json!({"stop_sequences": ["."]}));
    let message = post(&simulator(json!({})), &body).await.json();
    assert_is_message(&message);
    assert_eq!(
        (&message["stop_reason"], &message["stop_sequence"]),
        (&json!("stop_sequence"), &json!("."))
    );
    let text = whole["content"][0]["text"].as_str().unwrap();
    assert_eq!(message["content"][0]["text"], text.split('.').next().unwrap());
}

#[tokio::test]
async fn every_answer_says_which_request_organization_and_workspace_it_belongs_to() {
    let simulator = simulator(json!({}));
    let first = post(&simulator, &request(json!({}))).await;
    let second = post(&simulator, &request(json!({}))).await;
    let refused = post(&simulator, &json!({})).await;
    let id = |heard: &crate::client::Heard| heard.header("request-id").unwrap().to_owned();
    for heard in [&first, &second, &refused] {
        assert!(id(heard).starts_with("req_011C") && id(heard).len() == 28);
        let organization = heard.header("anthropic-organization-id").unwrap();
        assert_eq!(organization, simulator.scenario().accounts()[0].organization_id);
        let workspace = heard.header("anthropic-workspace-id").unwrap();
        assert!(workspace.starts_with("wrkspc_01") && workspace.len() == 31);
    }
    assert!(id(&first) != id(&second) && id(&second) != id(&refused));
    assert_ne!(first.json()["id"], second.json()["id"]);
    assert_eq!(first.json()["id"].as_str().unwrap().len(), "msg_01".len() + 22);
}

#[tokio::test]
async fn the_key_may_come_in_either_header_and_x_api_key_wins() {
    let simulator = simulator(json!({}));
    let body = request(json!({})).to_string();
    let version = ("anthropic-version", "2023-06-01");
    let bearer = format!("Bearer {KEY}");
    let ask = async |credentials: &[(&str, &str)]| {
        let headers: Vec<_> = credentials.iter().copied().chain([version]).collect();
        send(&simulator, call(&headers, body.clone())).await
    };
    assert_eq!(ask(&[("x-api-key", KEY)]).await.status, 200);
    assert_eq!(ask(&[("authorization", &bearer)]).await.status, 200);
    assert_eq!(ask(&[("authorization", "Bearer nonsense"), ("x-api-key", KEY)]).await.status, 200);

    let both = ask(&[("authorization", &bearer), ("x-api-key", "nonsense")]).await;
    assert_eq!(error_of(&both), (401, "authentication_error".into(), "invalid x-api-key".into()));
    assert_eq!(both.header("anthropic-organization-id"), None);
    assert_eq!(both.header("anthropic-workspace-id"), None);
    assert_eq!(error_of(&ask(&[]).await).2, "x-api-key header is required");
    assert_eq!(
        error_of(&ask(&[("authorization", "Bearer no")]).await).2,
        "Invalid authentication credentials"
    );
    assert_eq!(simulator.books().unauthenticated, 3);
}

#[tokio::test]
async fn any_key_can_be_accepted_and_then_always_belongs_to_the_same_account() {
    let simulator = simulator(json!({"acceptAnyKey": true}));
    let mut organizations = std::collections::BTreeSet::new();
    for index in 0..20 {
        let key = format!("key-{index}");
        let first = send(&simulator, signed(&key, &request(json!({})))).await;
        let again = send(&simulator, signed(&key, &request(json!({})))).await;
        assert_eq!(first.status, 200);
        let organization = first.header("anthropic-organization-id").map(str::to_owned);
        assert_eq!(organization.as_deref(), again.header("anthropic-organization-id"));
        organizations.insert(organization);
    }
    assert_eq!(organizations.len(), 3);
    let named = send(&simulator, signed(KEY, &request(json!({})))).await;
    let own = &simulator.scenario().accounts()[0].organization_id;
    assert_eq!(named.header("anthropic-organization-id"), Some(own.as_str()));
}

#[tokio::test]
async fn the_query_is_ignored_hello_is_answered_and_other_paths_are_not_found() {
    let simulator = simulator(json!({}));
    let at = |method: Method, path: &str| {
        let mut call = signed(KEY, &saying("Hello"));
        (call.method, call.path) = (method, path.to_owned());
        send(&simulator, call)
    };
    assert_eq!(at(Method::POST, "/v1/messages?beta=true").await.status, 200);
    let hello = at(Method::HEAD, "/api/hello").await;
    assert_eq!((hello.status, hello.text().as_str()), (200, ""));
    for (method, path) in
        [(Method::GET, "/v1/messages"), (Method::POST, "/v1/complete"), (Method::GET, "/")]
    {
        let (status, kind, _) = error_of(&at(method, path).await);
        assert_eq!((status, kind.as_str()), (404, "not_found_error"));
    }
}

#[tokio::test]
async fn terms_that_change_the_price_are_in_the_usage() {
    let simulator = simulator(json!({}));
    let usage = async |model: &str, more: Value| {
        let mut body = request(more);
        body["model"] = json!(model);
        let message = post(&simulator, &body).await.json();
        assert_is_message(&message);
        (message["usage"]["inference_geo"].clone(), message["usage"].get("speed").cloned())
    };
    assert_eq!(usage("claude-opus-4-6", json!({"inference_geo": "us"})).await, (json!("us"), None));
    let fast = json!({"speed": "fast"});
    assert_eq!(usage("claude-opus-5", fast.clone()).await, (json!("global"), Some(json!("fast"))));
    assert_eq!(usage("claude-opus-4-6", fast).await.1, Some(json!("standard")));
    assert_eq!(usage("claude-haiku-4-5", json!({})).await, (json!("not_available"), None));
}

#[tokio::test]
async fn an_alias_is_answered_with_the_dated_model() {
    let body = request(json!({"model": "claude-sonnet-4-5"}));
    let message = post(&simulator(json!({})), &body).await.json();
    assert_eq!(message["model"], "claude-sonnet-4-5-20250929");
}

#[tokio::test]
async fn every_answer_has_the_headers_of_the_edge() {
    let simulator = simulator(json!({}));
    for body in [request(json!({})), request(json!({"stream": true})), json!({})] {
        let heard = post(&simulator, &body).await;
        for (name, value) in [
            ("server", "cloudflare"),
            ("cf-cache-status", "DYNAMIC"),
            ("x-robots-tag", "none"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(heard.header(name), Some(value));
        }
        assert!(heard.header("strict-transport-security").is_some());
    }
}
