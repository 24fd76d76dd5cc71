//! Reasoning of a drawn length about nothing in particular, and the answer at its end.

use crate::draw::Draws;
use crate::estimate;
use crate::request::Ask;
use crate::scenario::Scenario;

/// Median length of an answer in tokens, and the spread of its logarithm.
const LENGTH: (f64, f64) = (120.0, 0.5);

/// Median length of a thought in tokens, and the spread of its logarithm.
const THOUGHT: (f64, f64) = (60.0, 0.5);

/// What the model says: the right last line as often as the scenario wants, if the question is in
/// its book.
pub(crate) fn answer(scenario: &Scenario, ask: &Ask, draws: Draws) -> String {
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
    written(last_line.as_deref(), draws.lognormal("length", LENGTH.0, LENGTH.1), draws, "sentence")
}

/// What the model thinks before it speaks.
pub(crate) fn thought(draws: Draws) -> String {
    written(None, draws.lognormal("thought length", THOUGHT.0, THOUGHT.1), draws, "thought")
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

fn written(last_line: Option<&str>, tokens: f64, draws: Draws, purpose: &str) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
    let length = estimate::bytes_of(tokens as u64);
    let reserved = last_line.map_or(0, |line| line.len() + 1);
    let mut text = String::with_capacity(length + 80);
    for index in 0.. {
        let at = draws.below(purpose, index, SENTENCES.len() as u64);
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
