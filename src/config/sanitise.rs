//! The messages of the JSON library, without the values it quotes: any value may be a secret.
//!
//! Nothing of a message passes unless it is known to be the library's own words or ours.

use super::error::Fault;
use super::nearest::{nearest, shown_key};
use super::path::{JsonPath, Step};

/// A message of the parser without the position at its end, which it counts in other text.
pub(super) fn without_position(message: &str) -> String {
    let message = message.rfind(" at line ").map_or(message, |at| &message[..at]);
    message.replace("EOF while parsing", "the file ends inside")
}

/// What a message about a value at `path` means, in our words.
pub(super) fn readable(mut path: JsonPath, message: &str) -> Fault {
    if let Some(rest) = message.strip_prefix("unknown field `") {
        // From the right: the key itself may have the library's words in it.
        let (key, known) = rest.rsplit_once("`, expected ").unwrap_or((rest, ""));
        path.pop_key(key);
        return unknown_key(&path, key, &quoted(known));
    }
    if let Some(name) = message.strip_prefix("missing field `") {
        let problem = format!("the key `{}` is missing", name.trim_end_matches('`'));
        return Fault::at(&path, problem, "add it");
    }
    let Some(wanted) = expected(message) else {
        return Fault::at(&path, "the value does not fit", "see `polpo config schema`");
    };
    if message.starts_with("unknown variant ") {
        let problem = format!("this is none of {}", quoted(wanted).join(", "));
        return Fault::at(&path, problem, "use one of them");
    }
    let got = message.strip_prefix("invalid type: ").map(got).unwrap_or("");
    let problem = format!("must be {}{got}", wanted_words(wanted));
    Fault::at(&path, problem, "correct the value")
}

fn unknown_key(parent: &JsonPath, key: &str, known: &[&str]) -> Fault {
    let path = parent.key(key);
    let Some(shown) = shown_key(key) else {
        let problem = "unknown key (not shown, as it may be a secret)";
        return Fault::at(&path, problem, "secrets belong in providers.<name>.apiKey");
    };
    if is_reserved(parent, key) {
        let problem = format!("this version of polpo has no `{shown}` yet");
        return Fault::at(&path, problem, "remove it");
    }
    let advice = match nearest(shown, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys here are {}", known.join(", ")),
    };
    Fault::at(&path, format!("unknown key `{shown}`"), &advice)
}

/// Keys that the contract names for a later version.
fn is_reserved(parent: &JsonPath, key: &str) -> bool {
    let keys: Vec<&str> = parent
        .steps()
        .iter()
        .filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
        .collect();
    match keys[..] {
        ["settings"] => key == "maxCostUsd",
        [.., "agents"] => ["reasoning", "cache", "maxCostUsd", "outputSchema"].contains(&key),
        _ => false,
    }
}

/// What the message says was expected. The last such words: a quoted value may have them too.
fn expected(message: &str) -> Option<&str> {
    message.rfind(", expected ").map(|at| &message[at + ", expected ".len()..])
}

/// The names in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The kind of the value, from the library's words before it.
fn got(description: &str) -> &'static str {
    const KINDS: [(&str, &str); 8] = [
        ("null", ", not null"),
        ("unit", ", not null"),
        ("boolean", ", not a boolean"),
        ("integer", ", not a number"),
        ("floating", ", not a fraction"),
        ("string", ", not a string"),
        ("map", ", not an object"),
        ("sequence", ", not an array"),
    ];
    KINDS.iter().find(|(word, _)| description.starts_with(word)).map_or("", |(_, words)| words)
}

/// The words for a type of ours; the names of Rust say nothing to a user.
fn wanted_words(wanted: &str) -> &str {
    match wanted {
        "u32" | "u64" => "a whole number that is not negative",
        "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        "a boolean" => "true or false",
        "string" => "a string",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("enum ") => "a string",
        other => other,
    }
}
