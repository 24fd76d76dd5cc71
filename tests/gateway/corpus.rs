//! Streams as the API sends them, and as it never has but may.

/// A stream and what is special about it.
pub(crate) type Stream = (&'static str, Vec<u8>);

const START: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"model":"claude-sonnet-4-6","id":"msg_01","type":"message","role":"assistant","#,
    r#""content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":100,"output_tokens":1}}   }"#,
    "\n\n",
);

const END: &str = concat!(
    "event: message_delta\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":40}      }"#,
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"              }\n\n",
);

const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// All of them. Each reads 100 tokens and writes 40.
pub(crate) fn streams() -> Vec<Stream> {
    let mut streams: Vec<Stream> =
        blocks().into_iter().map(|(what, middle)| (what, whole(&middle))).collect();
    let text = whole(&text("Sunny"));
    let plain = String::from_utf8(text.clone()).unwrap();
    let last = text.len();
    streams.extend([
        ("CRLF", plain.replace('\n', "\r\n").into_bytes()),
        ("CRLF and LF by turns", plain.replace("\ndata", "\r\ndata").into_bytes()),
        ("no last blank line", text[..last - 1].to_vec()),
        ("no last line feed at all", text[..last - 2].to_vec()),
        ("more after the end", [&*text, PING.as_bytes(), b": bye\n\n"].concat()),
        ("a byte order mark", [b"\xef\xbb\xbf", &*text].concat()),
        ("blank lines between", plain.replace("\n\n", "\n\n\n\n").into_bytes()),
        ("no space after the colon", plain.replace(": {", ":{").into_bytes()),
        ("pings before all", [PING, PING, &plain].concat().into_bytes()),
        ("no ping at all", plain.replace(PING, "").into_bytes()),
    ]);
    streams
}

fn whole(middle: &str) -> Vec<u8> {
    [START, middle, END].concat().into_bytes()
}

/// An event of a block, padded as the real ones are.
fn event(name: &str, rest: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\",\"index\":0{rest}   }}\n\n")
}

fn delta(delta: &str) -> String {
    event("content_block_delta", &format!(",\"delta\":{{{delta}}}"))
}

/// A block that begins like this, and what follows.
fn block(begin: &str, deltas: &[&str]) -> String {
    let begin = event("content_block_start", &format!(",\"content_block\":{{{begin}}}"));
    let deltas: String = deltas.iter().map(|text| delta(text)).collect();
    [begin, PING.to_owned(), deltas, event("content_block_stop", "")].concat()
}

fn text(text: &str) -> String {
    let said = format!(r#""type":"text_delta","text":"{text}""#);
    block(r#""type":"text","text":"""#, &[&said])
}

/// Everything that an answer is made of.
fn blocks() -> Vec<(&'static str, String)> {
    let json = |text: &str| format!(r#""type":"input_json_delta","partial_json":"{text}""#);
    let (empty, city, rest) = (json(""), json(r#"{\"city\": \"Os"#), json(r#"lo\"}"#));
    let tool = r#""type":"tool_use","id":"toolu_01","name":"get_weather","input":{}"#;
    let found = r#""type":"web_search_tool_result","tool_use_id":"srvtoolu_01","content":[{"type":"web_search_result","title":"A","url":"https://a.example","encrypted_content":"RXM=","page_age":null}]"#;
    let cited = r#""type":"citations_delta","citation":{"type":"char_location","cited_text":"sun","document_index":0,"document_title":null,"start_char_index":0,"end_char_index":3}"#;
    let thought =
        r#""type":"thinking_delta","thinking":"Let me check: \"event: message_stop\\n\\n\"""#;
    let signed = r#""type":"signature_delta","signature":"EqQBsim/+==""#;
    vec![
        ("text", text("Sunny with a chance of rain")),
        (
            "text of many bytes a letter",
            text("s\u{fc}\u{df} \u{2603}\u{fe0f} \u{1f991}\u{1f1f3}\u{1f1f4} \u{4f60}\u{597d}"),
        ),
        ("text with escapes", text(r#"\u2603 \n\n event: error \"data: \\"#)),
        (
            "thoughts",
            block(r#""type":"thinking","thinking":"","signature":"""#, &[thought, signed]),
        ),
        (
            "thoughts that are not shown",
            block(r#""type":"thinking","thinking":"","signature":"""#, &[signed]),
        ),
        ("redacted thoughts", block(r#""type":"redacted_thinking","data":"EmwKAhgB/+==""#, &[])),
        ("a tool", block(tool, &[&empty, &city, &rest])),
        (
            "a search and what it found",
            [
                block(
                    r#""type":"server_tool_use","id":"srvtoolu_01","name":"web_search","input":{}"#,
                    &[&empty],
                ),
                block(found, &[]),
            ]
            .concat(),
        ),
        ("a citation", block(r#""type":"text","text":"","citations":[]"#, &[cited])),
        (
            "a block that nobody knows",
            block(
                r#""type":"hologram","depth":3"#,
                &[r#""type":"hologram_delta","voxels":[1,2,3]"#],
            ),
        ),
        (
            "an event that nobody knows",
            "event: weather\nid: 7\nretry: 10\ndata: {\"type\":\"weather\"}\n\n".to_owned(),
        ),
        (
            "an event of several lines",
            "event: weather\ndata: {\"type\":\ndata: \"weather\"}\n\n".to_owned(),
        ),
        ("an event without a name", "data: {\"type\":\"nameless\"}\n\n".to_owned()),
        ("comments", [": a comment\n\n", &text("Sunny"), ": another\n: one more\n\n"].concat()),
        ("nothing", String::new()),
    ]
}
