//! The cache against a naive one, for any requests.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Caches;
use super::tests::{at, tokens};
use crate::books::Tokens;
use crate::breakpoint::Ttl;
use crate::catalogue::find;
use crate::prompt::Prompt;

/// The same rules with whole prefixes instead of sums, and nothing ever dropped.
#[derive(Default)]
struct Naive(Vec<(usize, Vec<u8>, Ttl, u64)>);

/// A request: how much later, in which workspace, which blocks, which of them with a
/// breakpoint, and how many breakpoints are for an hour.
type Request = (u64, usize, Vec<u8>, Vec<bool>, usize);

fn marked((_, _, blocks, marks, hours): &Request) -> Vec<(usize, Ttl)> {
    let marked = (0..blocks.len()).filter(|&block| marks[block]).take(4).enumerate();
    marked
        .map(|(nth, block)| (block, if nth < *hours { Ttl::Hour } else { Ttl::FiveMinutes }))
        .collect()
}

impl Naive {
    fn send(&mut self, now: u64, request: &Request) -> Tokens {
        let (_, workspace, blocks, ..) = request;
        let marked = marked(request);
        let find = |entries: &[(usize, Vec<u8>, Ttl, u64)], length: usize| {
            entries.iter().rposition(|(of, prefix, ttl, start)| {
                of == workspace && *prefix == blocks[..length] && ttl.end(at(*start)) > at(now)
            })
        };
        let window = |end: usize| (1..=end).rev().take(20);
        let hit = marked.iter().flat_map(|(block, _)| window(block + 1));
        let hit = hit.filter(|&length| find(&self.0, length).is_some()).max().unwrap_or(0);
        for length in marked.iter().map(|(block, _)| block + 1).chain([hit]) {
            if let Some(found) = find(&self.0, length) {
                self.0[found].3 = now;
            }
        }
        let (mut hour, mut last) = (hit, hit);
        for (block, ttl) in marked.into_iter().filter(|(block, _)| *block >= hit) {
            last = block + 1;
            hour = if ttl == Ttl::Hour { last } else { hour };
            self.0.push((*workspace, blocks[..last].to_vec(), ttl, now));
        }
        let count = |from: usize, to: usize| {
            2 * (to - from) as u64 + if from == 0 && to > 0 { 3 } else { 0 }
        };
        tokens(count(0, hit), count(hit, hour), count(hour, last), count(last, blocks.len()))
    }
}

fn read(request: &Request) -> Prompt {
    let mut content: Vec<Value> = request
        .2
        .iter()
        .map(|letter| json!({"type": "text", "text": format!("{letter:08}")}))
        .collect();
    for (block, ttl) in marked(request) {
        let ttl = if ttl == Ttl::Hour { "1h" } else { "5m" };
        content[block]["cache_control"] = json!({"type": "ephemeral", "ttl": ttl});
    }
    let body = json!({"messages": [{"role": "user", "content": content}]});
    let mut any_length = find("claude-opus-5").unwrap().clone();
    any_length.cache_min_tokens = Some(0);
    Prompt::read(body.as_object().unwrap(), &any_length).unwrap()
}

fn request() -> impl Strategy<Value = Request> {
    let blocks = prop_oneof![
        prop::collection::vec(0..2_u8, 1..5),
        (18..26_usize).prop_map(|length| vec![0; length]),
    ];
    let marks = prop::collection::vec(prop::bool::weighted(0.3), 26);
    (0..200_u64, 0..2_usize, blocks, marks, 0..3_usize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_token_is_in_one_class_and_the_classes_are_those_of_the_naive_cache(
        requests in prop::collection::vec(request(), 1..25)
    ) {
        let (mut caches, mut naive, mut now) = (Caches::default(), Naive::default(), 0);
        let mut written = 0;
        for request in &requests {
            now += request.0;
            let prompt = read(request);
            let split = caches.send(at(now), request.1, &prompt);
            let cached = split.cache_read + split.cache_write_1h + split.cache_write_5m;
            prop_assert_eq!(cached + split.input, prompt.tokens());
            prop_assert!(split.cache_read <= written, "nothing is read that was not written");
            written = written.max(cached);
            prop_assert_eq!(split, naive.send(now, request));
        }
    }
}
