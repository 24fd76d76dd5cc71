//! What the model says: reasoning of a drawn length, then an answer that is right as often as
//! the scenario wants.

use crate::draw::Draws;
use crate::estimate;
use crate::request::Ask;
use crate::scenario::Scenario;

/// A finished answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) stop: Stop,
    /// Tokens that were generated; a stop sequence is generated, but not part of the text.
    pub(crate) output_tokens: u64,
}

/// Why generation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    EndTurn,
    MaxTokens,
    Sequence(String),
}

impl Stop {
    /// As `stop_reason` has it.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::EndTurn => "end_turn",
            Self::MaxTokens => "max_tokens",
            Self::Sequence(_) => "stop_sequence",
        }
    }

    /// As `stop_sequence` has it.
    pub(crate) fn sequence(&self) -> Option<&str> {
        match self {
            Self::EndTurn | Self::MaxTokens => None,
            Self::Sequence(sequence) => Some(sequence),
        }
    }
}

/// Median length of an answer in tokens, and the spread of its logarithm.
const LENGTH: (f64, f64) = (120.0, 0.5);

/// Answers a request.
pub(crate) fn answer(scenario: &Scenario, ask: &Ask, draws: Draws) -> Answer {
    let last_line = scenario.answers.get(&ask.first).map(|right| {
        // Not by the count of requests: asking the same again gets the same answer, and only a
        // conversation that went on gets another chance.
        let draws = Draws::new(scenario.seed, &ask.first, &ask.model.id, ask.turns);
        let accuracy = scenario.accuracy.get(&ask.model.class).copied().unwrap_or(1.0);
        match draws.uniform("right") < accuracy {
            true => format!("#### {right}"),
            false => format!("#### {}", wrong_answer(right, draws)),
        }
    });
    let whole = written(last_line.as_deref(), draws);
    cut(whole, ask)
}

/// Another number than the right one.
fn wrong_answer(right: &str, draws: Draws) -> String {
    let off = 1 + draws.below("wrong", 0, 9);
    let digits: String = right.chars().filter(|&c| c != ',' && c != '$').collect();
    match digits.trim().parse::<i64>() {
        Ok(number) => number.saturating_sub_unsigned(off).to_string(),
        Err(_) => off.to_string(),
    }
}

fn written(last_line: Option<&str>, draws: Draws) -> String {
    let tokens = draws.lognormal("length", LENGTH.0, LENGTH.1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
    let length = estimate::bytes_of(tokens as u64);
    let reserved = last_line.map_or(0, |line| line.len() + 1);
    let mut text = String::with_capacity(length + 80);
    for index in 0.. {
        let at = draws.below("sentence", index, SENTENCES.len() as u64);
        let sentence = usize::try_from(at).ok().and_then(|at| SENTENCES.get(at)).unwrap_or(&"So.");
        if index >= 2 && text.len() + reserved + sentence.len() / 2 > length {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(sentence);
    }
    if let Some(line) = last_line {
        text.push('\n');
        text.push_str(line);
    }
    text
}

/// Ends a text where `max_tokens` or a stop sequence ends it.
fn cut(mut text: String, ask: &Ask) -> Answer {
    let mut stop = Stop::EndTurn;
    let room = estimate::bytes_of(ask.max_tokens);
    if text.len() > room {
        text.truncate(text.floor_char_boundary(room));
        stop = Stop::MaxTokens;
    }
    let found = ask.stop_sequences.iter().filter_map(|s| text.find(s).map(|at| (at, s)));
    if let Some((at, sequence)) = found.min_by_key(|(at, _)| *at) {
        text.truncate(at + sequence.len());
        let output_tokens = estimate::text(&text);
        text.truncate(at);
        return Answer { text, stop: Stop::Sequence(sequence.clone()), output_tokens };
    }
    let output_tokens = estimate::text(&text);
    Answer { text, stop, output_tokens }
}

/// Sentences that could be said of any problem.
const SENTENCES: [&str; 20] = [
    "Let me work through this step by step.",
    "First I write down what is given and what is asked.",
    "The quantities are related, so I take them one at a time.",
    "I start with the part that does not depend on anything else.",
    "That gives an intermediate result which the next step needs.",
    "Now I combine it with the second quantity.",
    "The units agree, so the numbers can be added directly.",
    "Next comes the part that changes over time.",
    "I multiply before I subtract, because the total has to be known first.",
    "This is where a careless reading would go wrong.",
    "Checking the other direction leads to the same figure.",
    "What remains is the difference between the two amounts.",
    "Dividing it evenly leaves nothing over.",
    "I keep the exact value and round only at the end.",
    "The remaining condition is already satisfied.",
    "Putting the pieces together, the picture is complete.",
    "A quick estimate confirms the order of magnitude.",
    "Each of the cases contributes the same share.",
    "The last step follows from the previous two.",
    "So the result can now be stated.",
];

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::draw::{hex, sha256};

    fn ask(more: Value) -> Ask {
        let mut body = json!({
            "model": "claude-opus-4-6",
            "max_tokens": 4096,
            "messages": [{"role": "user", "content": "What is 6 x 7?"}],
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-version", "2026-10-21".parse().unwrap());
        Ask::read(&headers, body.to_string().as_bytes()).unwrap()
    }

    fn scenario(accuracy: f64) -> Scenario {
        let hash = hex(&sha256(b"What is 6 x 7?"));
        let text = json!({"answers": {hash: "1,042"}, "accuracy": {"opus": accuracy}}).to_string();
        Scenario::from_json(&text, "test").unwrap()
    }

    fn say(scenario: &Scenario, ask: &Ask, nth: u64) -> Answer {
        answer(scenario, ask, Draws::new(scenario.seed, &ask.first, &ask.model.id, nth))
    }

    #[test]
    fn a_right_answer_is_the_last_line_after_some_reasoning() {
        let said = say(&scenario(1.0), &ask(json!({})), 0);
        assert!(said.text.ends_with("\n#### 1,042"), "{}", said.text);
        assert!(said.text.lines().next().unwrap().matches('.').count() >= 2);
        assert_eq!(said.stop, Stop::EndTurn);
        assert_eq!(said.output_tokens, said.text.len().div_ceil(4) as u64);
    }

    #[test]
    fn a_wrong_answer_ends_with_another_number() {
        let said = say(&scenario(0.0), &ask(json!({})), 0);
        let number: i64 = said.text.rsplit_once("\n#### ").unwrap().1.parse().unwrap();
        assert_ne!(number, 1042);
    }

    #[test]
    fn the_same_question_is_answered_alike_and_only_a_longer_conversation_gets_another_chance() {
        let scenario = scenario(0.5);
        let is_right = |turns: usize, nth: u64| {
            let mut messages = vec![json!({"role": "user", "content": "What is 6 x 7?"})];
            messages.extend((1..turns).map(|_| json!({"role": "user", "content": "Again."})));
            say(&scenario, &ask(json!({"messages": messages})), nth).text.ends_with("1,042")
        };
        let by_turns: Vec<_> = (1..40).map(|turns| is_right(turns, 0)).collect();
        assert!(by_turns.contains(&true) && by_turns.contains(&false));
        for turns in 1..40 {
            assert_eq!(is_right(turns, 7), by_turns[turns - 1]);
        }
    }

    #[test]
    fn max_tokens_cuts_the_answer_and_its_last_line_is_lost() {
        let said = say(&scenario(1.0), &ask(json!({"max_tokens": 10})), 0);
        assert_eq!((said.text.len(), said.output_tokens), (40, 10));
        assert_eq!(said.stop, Stop::MaxTokens);
        let nothing = say(&scenario(1.0), &ask(json!({"max_tokens": 0})), 0);
        assert_eq!((nothing.text.as_str(), nothing.output_tokens), ("", 0));
        assert_eq!(nothing.stop, Stop::MaxTokens);
    }

    #[test]
    fn the_earliest_stop_sequence_ends_the_text_before_itself() {
        let whole = say(&scenario(1.0), &ask(json!({})), 0);
        let said = say(&scenario(1.0), &ask(json!({"stop_sequences": ["#", "zzz", "\n####"]})), 0);
        assert_eq!(said.stop, Stop::Sequence("\n####".into()));
        assert_eq!(said.text, whole.text.split_once('\n').unwrap().0);
        assert_eq!(said.output_tokens, (said.text.len() + 5).div_ceil(4) as u64);
    }

    #[test]
    fn an_answer_to_something_that_is_not_in_the_book_is_plausible_text_around_120_tokens() {
        let (scenario, ask) = (Scenario::default_scenario(), ask(json!({})));
        let mut lengths: Vec<_> =
            (0..1001).map(|nth| say(&scenario, &ask, nth).output_tokens).collect();
        lengths.sort_unstable();
        assert!((95..130).contains(&lengths[500]), "median {}", lengths[500]);
        assert!(lengths[1000] < 600 && lengths[0] >= 10);
        assert!(!say(&scenario, &ask, 0).text.contains("####"));
    }
}
