//! The prompt caches: which prefixes are stored, and until when.

use std::collections::{BTreeSet, HashMap};

use crate::books::Tokens;
use crate::breakpoint::Ttl;
use crate::clock::SimTime;
use crate::draw::Digest;
use crate::prompt::{Prefix, Prompt};

/// The caches of all workspaces: none sees what another has stored.
#[derive(Debug, Default)]
pub(crate) struct Caches(HashMap<usize, Cache>);

/// The cache of a workspace.
#[derive(Debug, Default)]
struct Cache {
    entries: HashMap<Digest, Entry>,
    /// The entries by when they end.
    ends: BTreeSet<(SimTime, Digest)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    end: SimTime,
    ttl: Ttl,
}

/// Most entries of a workspace: four breakpoints of 200 requests a second for five minutes, in
/// about 40 MB. The one that ends first goes when another comes.
const MOST_ENTRIES: usize = 4 * 200 * 300;

impl Caches {
    /// How the input of a request that arrives now divides. Changes nothing: the request may yet
    /// be refused.
    pub(crate) fn split(&self, now: SimTime, workspace: usize, prompt: &Prompt) -> Tokens {
        let hit = self.0.get(&workspace).and_then(|cache| cache.hit(now, prompt));
        let read = hit.map_or(0, |prefix| prefix.tokens);
        let after = prompt.breakpoints().filter(|(prefix, _)| prefix.tokens > read);
        let (mut hour, mut last) = (read, read);
        for (prefix, ttl) in after {
            last = prefix.tokens;
            if ttl == Ttl::Hour {
                hour = prefix.tokens;
            }
        }
        Tokens {
            cache_read: read,
            cache_write_1h: hour - read,
            cache_write_5m: last - hour,
            input: prompt.tokens() - last,
            output: 0,
        }
    }

    /// Begins the lifetime of what an admitted request reads again: from its arrival.
    pub(crate) fn refresh(&mut self, now: SimTime, workspace: usize, prompt: &Prompt) {
        let Some(cache) = self.0.get_mut(&workspace) else { return };
        let hit = cache.hit(now, prompt).map(|prefix| prefix.key);
        for key in prompt.breakpoints().map(|(prefix, _)| prefix.key).chain(hit) {
            cache.refresh(now, &key);
        }
    }

    /// Stores what a request that arrived at `start` writes, once its answer begins.
    pub(crate) fn store(
        &mut self,
        start: SimTime,
        workspace: usize,
        prompt: &Prompt,
        split: &Tokens,
    ) {
        let mut written =
            prompt.breakpoints().filter(|it| it.0.tokens > split.cache_read).peekable();
        if written.peek().is_none() {
            return;
        }
        let cache = self.0.entry(workspace).or_default();
        cache.drop_ended(start);
        for (prefix, ttl) in written {
            cache.put(prefix.key, Entry { end: ttl.end(start), ttl });
        }
        cache.drop_beyond(MOST_ENTRIES);
    }
}

impl Cache {
    /// The longest stored prefix of a prompt.
    fn hit<'a>(&self, now: SimTime, prompt: &'a Prompt) -> Option<&'a Prefix> {
        prompt.readable().find(|prefix| self.live(now, &prefix.key).is_some())
    }

    fn live(&self, now: SimTime, key: &Digest) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.end > now)
    }

    fn refresh(&mut self, now: SimTime, key: &Digest) {
        if let Some(&Entry { ttl, .. }) = self.live(now, key) {
            self.put(*key, Entry { end: ttl.end(now), ttl });
        }
    }

    /// Adds an entry, or prolongs the one that is there.
    fn put(&mut self, key: Digest, mut entry: Entry) {
        if let Some(old) = self.entries.get(&key) {
            self.ends.remove(&(old.end, key));
            entry = Entry { end: old.end.max(entry.end), ttl: old.ttl.max(entry.ttl) };
        }
        self.entries.insert(key, entry);
        self.ends.insert((entry.end, key));
    }

    fn drop_ended(&mut self, now: SimTime) {
        while self.ends.first().is_some_and(|(end, _)| *end <= now) {
            self.drop_first();
        }
    }

    fn drop_beyond(&mut self, most: usize) {
        while self.entries.len() > most {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, key)) = self.ends.pop_first() {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod laws;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::catalogue::find;

    const SECOND: u64 = 1_000_000_000;

    pub(super) fn at(seconds: u64) -> SimTime {
        SimTime(seconds * SECOND)
    }

    /// A prompt of blocks of a thousand tokens, some with a breakpoint. Three tokens come first.
    fn prompt(blocks: &[(&str, Option<&str>)]) -> Prompt {
        let block = |(text, ttl): &(&str, Option<&str>)| {
            let marker = ttl.map(|ttl| json!({"type": "ephemeral", "ttl": ttl}));
            let text = text.repeat(4_000 / text.len());
            json!({"type": "text", "text": text, "cache_control": marker})
        };
        let content: Vec<Value> = blocks.iter().map(block).collect();
        let body = json!({"messages": [{"role": "user", "content": content}]});
        Prompt::read(body.as_object().unwrap(), find("claude-opus-5").unwrap()).unwrap()
    }

    pub(super) fn tokens(
        cache_read: u64,
        cache_write_1h: u64,
        cache_write_5m: u64,
        input: u64,
    ) -> Tokens {
        Tokens { cache_read, cache_write_1h, cache_write_5m, input, output: 0 }
    }

    impl Caches {
        /// A request that is admitted, and answered at once.
        pub(super) fn send(&mut self, now: SimTime, workspace: usize, prompt: &Prompt) -> Tokens {
            let split = self.split(now, workspace, prompt);
            self.refresh(now, workspace, prompt);
            self.store(now, workspace, prompt, &split);
            split
        }
    }

    const FIVE: Option<&str> = Some("5m");
    const HOUR: Option<&str> = Some("1h");

    #[test]
    fn what_one_request_writes_the_next_one_reads_and_writes_on_from_there() {
        let mut caches = Caches::default();
        let first = prompt(&[("a", FIVE), ("q", None)]);
        assert_eq!(caches.send(at(0), 0, &first), tokens(0, 0, 1_003, 1_000));
        assert_eq!(caches.send(at(1), 0, &first), tokens(1_003, 0, 0, 1_000));
        let longer = prompt(&[("a", None), ("b", FIVE), ("q", None)]);
        assert_eq!(caches.send(at(2), 0, &longer), tokens(1_003, 0, 1_000, 1_000));
    }

    #[test]
    fn only_what_ends_at_a_breakpoint_is_there_to_be_read() {
        let mut caches = Caches::default();
        caches.send(at(0), 0, &prompt(&[("a", None), ("b", FIVE)]));
        let other = prompt(&[("a", None), ("c", FIVE)]);
        assert_eq!(caches.send(at(1), 0, &other), tokens(0, 0, 2_003, 0));
    }

    #[test]
    fn parallel_requests_miss_until_the_first_answer_begins() {
        let mut caches = Caches::default();
        let prompt = prompt(&[("a", FIVE)]);
        let first = caches.split(at(0), 0, &prompt);
        assert_eq!(caches.split(at(1), 0, &prompt), tokens(0, 0, 1_003, 0));
        caches.store(at(0), 0, &prompt, &first);
        assert_eq!(caches.split(at(1), 0, &prompt), tokens(1_003, 0, 0, 0));
    }

    #[test]
    fn five_minutes_count_from_the_start_of_the_request_that_wrote_or_read() {
        let mut caches = Caches::default();
        let prompt = prompt(&[("a", FIVE)]);
        caches.send(at(0), 0, &prompt);
        assert_eq!(caches.send(at(299), 0, &prompt).cache_read, 1_003);
        assert_eq!(caches.send(at(598), 0, &prompt).cache_read, 1_003, "the hit refreshed it");
        assert_eq!(caches.send(at(898), 0, &prompt).cache_read, 0);
    }

    #[test]
    fn a_hit_before_the_breakpoint_is_refreshed_too() {
        let mut caches = Caches::default();
        caches.send(at(0), 0, &prompt(&[("a", FIVE)]));
        caches.send(at(299), 0, &prompt(&[("a", None), ("b", FIVE)]));
        assert_eq!(caches.split(at(301), 0, &prompt(&[("a", FIVE)])).cache_read, 1_003);
    }

    #[test]
    fn a_request_that_is_refused_refreshes_nothing() {
        let mut caches = Caches::default();
        let prompt = prompt(&[("a", FIVE)]);
        caches.send(at(0), 0, &prompt);
        assert_eq!(caches.split(at(299), 0, &prompt).cache_read, 1_003);
        assert_eq!(caches.split(at(300), 0, &prompt).cache_read, 0);
    }

    #[test]
    fn an_entry_of_an_hour_lives_an_hour_and_stays_one_when_it_is_read_with_five_minutes() {
        let mut caches = Caches::default();
        caches.send(at(0), 0, &prompt(&[("a", HOUR)]));
        let shorter = prompt(&[("a", FIVE)]);
        assert_eq!(caches.send(at(3_599), 0, &shorter).cache_read, 1_003);
        assert_eq!(caches.split(at(7_198), 0, &shorter).cache_read, 1_003);
        assert_eq!(caches.split(at(7_199), 0, &shorter).cache_read, 0);
    }

    #[test]
    fn an_entry_of_five_minutes_is_not_prolonged_to_an_hour_for_nothing() {
        let mut caches = Caches::default();
        caches.send(at(0), 0, &prompt(&[("a", FIVE)]));
        let longer = prompt(&[("a", HOUR)]);
        assert_eq!(caches.send(at(1), 0, &longer), tokens(1_003, 0, 0, 0));
        assert_eq!(caches.send(at(302), 0, &longer), tokens(0, 1_003, 0, 0));
    }

    #[test]
    fn what_two_parallel_requests_write_lives_as_long_as_the_longer_of_them_paid_for() {
        let mut caches = Caches::default();
        let (hour, minutes) = (prompt(&[("a", HOUR)]), prompt(&[("a", FIVE)]));
        let (first, second) = (caches.split(at(0), 0, &hour), caches.split(at(0), 0, &minutes));
        caches.store(at(0), 0, &hour, &first);
        caches.store(at(0), 0, &minutes, &second);
        assert_eq!(caches.send(at(3_599), 0, &minutes).cache_read, 1_003);
        assert_eq!(caches.split(at(7_198), 0, &minutes).cache_read, 1_003);
    }

    #[test]
    fn a_hit_further_on_keeps_the_entries_at_the_breakpoints_before_it_alive() {
        let mut caches = Caches::default();
        let whole = prompt(&[("a", FIVE), ("b", FIVE)]);
        caches.send(at(0), 0, &whole);
        caches.send(at(299), 0, &whole);
        let other = prompt(&[("a", FIVE), ("c", FIVE)]);
        assert_eq!(caches.send(at(301), 0, &other), tokens(1_003, 0, 1_000, 0));
    }

    #[test]
    fn an_entry_is_found_twenty_positions_back_but_not_twenty_one() {
        let mut caches = Caches::default();
        caches.send(at(0), 0, &prompt(&[("a", FIVE)]));
        let longer = |count: usize| {
            let mut blocks = vec![("a", None)];
            blocks.extend(vec![("b", None); count - 2]);
            blocks.push(("c", FIVE));
            prompt(&blocks)
        };
        assert_eq!(caches.split(at(1), 0, &longer(20)).cache_read, 1_003);
        assert_eq!(caches.split(at(1), 0, &longer(21)).cache_read, 0);
        let mut helped = vec![("a", None), ("b", FIVE)];
        helped.extend(vec![("b", None); 18]);
        helped.push(("c", FIVE));
        assert_eq!(
            caches.split(at(1), 0, &prompt(&helped)).cache_read,
            1_003,
            "a second breakpoint"
        );
    }

    #[test]
    fn workspaces_do_not_share() {
        let mut caches = Caches::default();
        let prompt = prompt(&[("a", FIVE)]);
        caches.send(at(0), 0, &prompt);
        assert_eq!(caches.split(at(1), 1, &prompt).cache_read, 0);
    }

    #[test]
    fn two_lifetimes_are_billed_from_the_hit_to_the_last_hour_and_on_to_the_last_breakpoint() {
        let mut caches = Caches::default();
        let first = prompt(&[("a", HOUR), ("b", FIVE), ("q", None)]);
        assert_eq!(caches.send(at(0), 0, &first), tokens(0, 1_003, 1_000, 1_000));
        let second = prompt(&[("a", HOUR), ("b", HOUR), ("c", FIVE), ("q", None)]);
        assert_eq!(caches.send(at(1), 0, &second), tokens(2_003, 0, 1_000, 1_000));
        let third = prompt(&[("a", None), ("x", HOUR), ("y", FIVE), ("q", None)]);
        assert_eq!(caches.send(at(2), 0, &third), tokens(1_003, 1_000, 1_000, 1_000));
    }

    #[test]
    fn entries_that_ended_are_dropped() {
        let mut caches = Caches::default();
        caches.send(at(0), 0, &prompt(&[("a", HOUR), ("b", FIVE)]));
        caches.send(at(300), 0, &prompt(&[("c", FIVE)]));
        let cache = &caches.0[&0];
        assert_eq!((cache.entries.len(), cache.ends.len()), (2, 2));
    }

    #[test]
    fn a_full_cache_drops_what_ends_first() {
        let mut cache = Cache::default();
        for (key, end) in [(1, 20), (2, 10), (3, 30)] {
            cache.put([key; 32], Entry { end: at(end), ttl: Ttl::FiveMinutes });
        }
        cache.drop_beyond(2);
        assert_eq!((cache.entries.len(), cache.ends.len()), (2, 2));
        assert!(!cache.entries.contains_key(&[2; 32]));
    }
}
