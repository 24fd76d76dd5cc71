//! What a model says: thoughts, tool calls, structured output.

use futures_util::StreamExt as _;
use polpo_simulator::{InMemory, Simulator};
use polpo_upstream::transport::Transport as _;
use serde_json::{Value, json};

use crate::client::{
    KEY, assert_is_message, error_of, post, request, schema, send, signed, simulator,
};

const OTHER_KEY: &str = "sk-ant-api03-simulated-b";

fn weather() -> Value {
    json!({"name": "get_weather", "description": "The weather", "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
        "required": ["city"],
    }})
}

/// A message put together from the events of its stream, as an SDK does it.
fn assembled(events: &[(String, Value)]) -> Value {
    let validator = schema(include_str!("../schemas/stream_event.json"));
    let mut message = Value::Null;
    let mut json = String::new();
    for (_, event) in events.iter().filter(|(name, _)| name != "ping") {
        assert!(validator.is_valid(event), "{event}");
        let index = event["index"].as_u64().unwrap_or_default() as usize;
        let append = |message: &mut Value, name: &str| {
            let more = event["delta"][name].as_str().unwrap();
            let text = message["content"][index][name].as_str().unwrap().to_owned() + more;
            message["content"][index][name] = text.into();
        };
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                message["content"].as_array_mut().unwrap().push(event["content_block"].clone());
                json.clear();
            }
            "content_block_delta" => match event["delta"]["type"].as_str().unwrap() {
                "text_delta" => append(&mut message, "text"),
                "thinking_delta" => append(&mut message, "thinking"),
                "signature_delta" => append(&mut message, "signature"),
                _ => json += event["delta"]["partial_json"].as_str().unwrap(),
            },
            "content_block_stop" if !json.is_empty() => {
                message["content"][index]["input"] = serde_json::from_str(&json).unwrap();
            }
            "message_delta" => {
                for (name, value) in event["delta"].as_object().unwrap() {
                    message[name] = value.clone();
                }
                for (name, value) in event["usage"].as_object().unwrap() {
                    message["usage"][name] = value.clone();
                }
            }
            _ => {}
        }
    }
    message
}

#[tokio::test]
async fn a_stream_says_the_same_as_the_whole_message_whatever_is_in_it() {
    for more in [
        json!({"thinking": {"type": "adaptive"}}),
        json!({"thinking": {"type": "adaptive", "display": "omitted"}}),
        json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}),
        json!({"tools": [weather()]}),
        json!({"tools": [weather()], "thinking": {"type": "adaptive"}}),
        json!({"output_config": {"format": {"type": "json_schema", "schema": weather()["input_schema"]}}}),
        json!({"tools": [{"type": "web_search_20260209", "name": "web_search"}]}),
        json!({"max_tokens": 0}),
        json!({"max_tokens": 5, "thinking": {"type": "adaptive"}}),
    ] {
        let mut body = request(more);
        let whole = post(&simulator(json!({})), &body).await.json();
        assert_is_message(&whole);
        body["stream"] = true.into();
        let streamed = assembled(&post(&simulator(json!({})), &body).await.events());
        assert_eq!(streamed, whole, "{body}");
    }
}

#[tokio::test]
async fn thoughts_come_first_and_are_counted_and_only_shown_if_wanted() {
    let think = async |display: &str| {
        let thinking = json!({"type": "adaptive", "display": display});
        let body = request(json!({"thinking": thinking, "stream": true}));
        post(&simulator(json!({})), &body).await
    };
    let shown = assembled(&think("summarized").await.events());
    let kinds = |message: &Value| {
        let content = message["content"].as_array().unwrap();
        content.iter().map(|block| block["type"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&shown), ["thinking", "text"]);
    assert!(shown["content"][0]["thinking"].as_str().unwrap().len() > 40);
    let usage = &shown["usage"];
    let thinking = usage["output_tokens_details"]["thinking_tokens"].as_u64().unwrap();
    assert!(thinking >= 10 && thinking < usage["output_tokens"].as_u64().unwrap());

    let heard = think("omitted").await;
    let omitted = assembled(&heard.events());
    assert_eq!(omitted["content"][0]["thinking"], "");
    assert_eq!(omitted["usage"], *usage, "hidden thoughts are paid for all the same");
    let deltas: Vec<_> = heard
        .events()
        .into_iter()
        .filter(|(name, event)| name == "content_block_delta" && event["index"] == 0)
        .map(|(_, event)| event["delta"]["type"].clone())
        .collect();
    assert_eq!(deltas, ["signature_delta"]);
}

#[tokio::test]
async fn thoughts_are_only_taken_back_unchanged_and_by_the_organisation_that_got_them() {
    let simulator = simulator(json!({}));
    let body = request(json!({"thinking": {"type": "adaptive"}}));
    let said = post(&simulator, &body).await.json();
    let turns = |content: &Value| {
        request(json!({"thinking": {"type": "adaptive"}, "messages": [
            body["messages"][0],
            {"role": "assistant", "content": content},
            {"role": "user", "content": "Go on."},
        ]}))
    };
    let same = turns(&said["content"]);
    assert_eq!(post(&simulator, &same).await.status, 200);
    let foreign = send(&simulator, signed(OTHER_KEY, &same)).await;
    let (status, _, message) = error_of(&foreign);
    let expected = "messages.1.content.0: Invalid `signature` in `thinking` block";
    assert_eq!((status, message.as_str()), (400, expected));
    let mut edited = said["content"].clone();
    edited[0]["thinking"] = "Something else.".into();
    let (status, _, message) = error_of(&post(&simulator, &turns(&edited)).await);
    assert_eq!(status, 400);
    assert!(message.contains("cannot be modified"), "{message}");
    assert_eq!(simulator.books().total.invalid, 2);
}

#[tokio::test]
async fn a_tool_is_called_with_what_its_schema_wants_and_its_result_is_answered() {
    let simulator = simulator(json!({}));
    let mut body = request(json!({"tools": [weather()]}));
    let said = post(&simulator, &body).await.json();
    assert_eq!(said["stop_reason"], "tool_use");
    let validator = jsonschema::validator_for(&weather()["input_schema"]).unwrap();
    let calls = said["content"].as_array().unwrap().clone();
    for call in &calls {
        assert_eq!((&call["type"], &call["name"]), (&json!("tool_use"), &json!("get_weather")));
        validator.validate(&call["input"]).unwrap();
        assert!(call["id"].as_str().unwrap().starts_with("toolu_01"));
    }
    let results: Vec<_> = calls
        .iter()
        .map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "Rain"}))
        .collect();
    let turns = body["messages"].as_array_mut().unwrap();
    turns.push(json!({"role": "assistant", "content": calls}));
    turns.push(json!({"role": "user", "content": results}));
    let said = post(&simulator, &body).await.json();
    assert_eq!(said["stop_reason"], "end_turn", "a loop of tool calls ends");
    assert_eq!(said["content"][0]["type"], "text");
}

#[tokio::test]
async fn the_choice_of_tools_is_the_client_s() {
    let simulator = simulator(json!({"toolUseRate": 0}));
    let second = json!({"name": "second", "input_schema": {"type": "object"}});
    let stop = async |choice: Value| {
        let body = request(json!({"tools": [weather(), second], "tool_choice": choice}));
        let said = post(&simulator, &body).await.json();
        (said["stop_reason"].as_str().unwrap().to_owned(), said["content"].clone())
    };
    assert_eq!(stop(json!({"type": "auto"})).await.0, "end_turn", "the rate is zero");
    assert_eq!(stop(json!({"type": "none"})).await.0, "end_turn");
    assert_eq!(stop(json!({"type": "any"})).await.0, "tool_use");
    let (reason, content) = stop(json!({"type": "tool", "name": "second"})).await;
    assert_eq!((reason.as_str(), content.as_array().unwrap().len()), ("tool_use", 1));
    assert_eq!((&content[0]["name"], &content[0]["input"]), (&json!("second"), &json!({})));
}

#[tokio::test]
async fn several_tools_are_called_at_once_unless_the_client_does_not_want_that() {
    let calls = async |choice: Value| {
        let simulator = simulator(json!({}));
        let mut most = 0;
        for n in 0..30 {
            let body = request(json!({"tools": [weather()], "tool_choice": choice,
                "messages": [{"role": "user", "content": n.to_string()}]}));
            let said = post(&simulator, &body).await.json();
            let ids: std::collections::BTreeSet<_> =
                said["content"].as_array().unwrap().iter().map(|c| c["id"].to_string()).collect();
            assert_eq!(ids.len(), said["content"].as_array().unwrap().len());
            most = most.max(ids.len());
        }
        most
    };
    assert_eq!(calls(json!({"type": "any"})).await, 2);
    assert_eq!(calls(json!({"type": "any", "disable_parallel_tool_use": true})).await, 1);
}

#[tokio::test]
async fn structured_output_follows_its_schema() {
    let schema = weather()["input_schema"].clone();
    let body =
        request(json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}));
    let said = post(&simulator(json!({})), &body).await.json();
    let value: Value = serde_json::from_str(said["content"][0]["text"].as_str().unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap().validate(&value).unwrap();
}

#[tokio::test]
async fn a_search_of_the_web_raises_the_input_on_the_way_and_costs_a_cent() {
    let simulator = simulator(json!({}));
    let tools = json!([{"type": "web_search_20260209", "name": "web_search"}]);
    let events = post(&simulator, &request(json!({"tools": tools, "stream": true}))).await.events();
    let begun = &events[0].1["message"]["usage"];
    let ended = &events[events.len() - 2].1["usage"];
    let count = |usage: &Value, name: &str| usage[name].as_u64().unwrap();
    let (input, output) = (count(ended, "input_tokens"), count(ended, "output_tokens"));
    assert!(input > count(begun, "input_tokens") + 400, "{begun} {ended}");
    assert_eq!(ended["server_tool_use"]["web_search_requests"], 1);
    assert!(begun.get("server_tool_use").is_none());
    let nanodollars = input * 5_000 + output * 25_000 + 10_000_000;
    assert_eq!(simulator.books().total.nanodollars, i64::try_from(nanodollars).unwrap());
}

#[tokio::test]
async fn a_search_is_paid_for_once_it_was_told() {
    let tools = json!([{"type": "web_search_20260209", "name": "web_search"}]);
    let searches = async |after: u32| {
        let rule = json!({"fault": "drop", "afterEvents": after});
        let simulator = simulator(json!({"faults": {"overloadedRate": 0, "rules": [rule]}}));
        let call = signed(KEY, &request(json!({"tools": tools, "stream": true})));
        let mut body = InMemory::new(simulator.clone()).send(call).await.unwrap().body;
        let mut heard = Vec::new();
        while let Some(Ok(chunk)) = body.next().await {
            heard.extend(chunk);
        }
        drop(body);
        let is_told = String::from_utf8(heard).unwrap().contains("web_search_tool_result");
        (is_told, simulator.books().total.nanodollars >= 10_000_000)
    };
    assert_eq!(searches(4).await, (false, false));
    assert_eq!(searches(9).await, (true, true));
}

#[tokio::test]
async fn a_token_count_is_what_the_message_then_costs_and_has_a_limit_of_its_own() {
    let simulator = simulator(json!({"limits": {"requestsPerMinute": 1, "countTokensPerMinute": 2,
        "inputTokensPerMinute": null, "outputTokensPerMinute": null}}));
    let body = request(json!({"tools": [weather()], "max_tokens": null}));
    let count = async || {
        let mut call = signed(KEY, &body);
        call.path = "/v1/messages/count_tokens".into();
        send(&simulator, call).await
    };
    let counted = count().await.json();
    schema(include_str!("../schemas/tokens_count.json")).validate(&counted).unwrap();
    let said = post(&simulator, &request(json!({"tools": [weather()]}))).await.json();
    assert_eq!(said["usage"]["input_tokens"], counted["input_tokens"]);
    assert_eq!(count().await.status, 200, "counts have their own limit");
    let refused = count().await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("30")));
    let books = simulator.books();
    assert_eq!((books.total.counted, books.total.refused, books.total.served), (2, 1, 1));
}

#[tokio::test]
async fn an_answer_ends_where_the_window_of_the_model_does() {
    let simulator = simulator(json!({}));
    let prompt = "x".repeat(4 * (200_000 - 3 - 10));
    let body = request(json!({"model": "claude-haiku-4-5", "max_tokens": 64_000,
        "messages": [{"role": "user", "content": prompt}]}));
    let said = post(&simulator, &body).await.json();
    assert_is_message(&said);
    assert_eq!(said["stop_reason"], "model_context_window_exceeded");
    assert_eq!(said["usage"]["output_tokens"], 10);
}

#[tokio::test]
async fn a_tool_s_input_begins_with_an_empty_piece_and_a_thought_ends_with_its_signature() {
    let body =
        request(json!({"tools": [weather()], "thinking": {"type": "adaptive"}, "stream": true}));
    let events = post(&simulator(json!({})), &body).await.events();
    let deltas = |index: u64| {
        let of_block = |event: &&Value| event["index"] == index && !event["delta"].is_null();
        let events = events.iter().map(|(_, event)| event).filter(of_block);
        events.map(|event| event["delta"].clone()).collect::<Vec<_>>()
    };
    let (thought, call) = (deltas(0), deltas(1));
    assert_eq!(thought[0]["type"], "thinking_delta");
    assert_eq!(thought.last().unwrap()["type"], "signature_delta");
    assert_eq!(call[0], json!({"type": "input_json_delta", "partial_json": ""}));
    assert!(call.len() > 1);
}

#[tokio::test]
async fn the_turns_of_a_conversation_have_ids_of_their_own_even_if_nothing_is_remembered() {
    let simulator = Simulator::forgetful(simulator(json!({})).scenario().clone());
    let mut body = request(json!({}));
    let mut ids = std::collections::BTreeSet::new();
    for turn in 1..=3 {
        let said = post(&simulator, &body).await.json();
        ids.insert(said["id"].to_string());
        assert_eq!(ids.len(), turn);
        let turns = body["messages"].as_array_mut().unwrap();
        turns.push(json!({"role": "assistant", "content": said["content"]}));
        turns.push(json!({"role": "user", "content": "And now?"}));
    }
}
