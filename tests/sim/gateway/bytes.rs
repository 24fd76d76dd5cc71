//! A client gets exactly the bytes of upstream, wherever they were cut on their way.

use std::time::Duration;

use super::front::{Ask, Front, Heard};
use super::pings::PING;
use crate::corpus::streams;
use crate::reply::{Canned, Step, stream};
use crate::system::simulate;

/// A stream that arrives in these parts.
fn parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Canned {
    let steps = parts.into_iter().map(|part| Step::Bytes(part.to_vec().into())).collect();
    Canned { steps, ..stream() }
}

/// Has all of the replies passed on: each must come as `bytes`.
fn passed(what: &str, bytes: &[u8], replies: impl IntoIterator<Item = Canned>) {
    simulate(async || {
        let front = Front::new(&["a"]).await;
        let ask = Ask::stream("hi");
        for (number, reply) in replies.into_iter().enumerate() {
            front.world.script.on("a", [reply]);
            let heard = front.hear(&ask).await;
            assert!(heard.bytes() == bytes, "{what}, {number}: {:?}", heard.bytes());
        }
        let rows = front.close().await;
        let is_good = |row: &polpo_store::journal::BookedCall| {
            (row.outcome, row.usage.input, row.usage.output) == ("succeeded", 100, 40)
        };
        assert!(rows.iter().all(is_good), "{what}: {rows:?}");
    });
}

/// Cuts of one request lie so far apart: about an event.
const APART: usize = 41;

#[test]
fn every_stream_arrives_as_it_was_sent_though_it_was_cut_at_any_byte() {
    for (what, bytes) in streams() {
        let replies = (0..APART).map(|first| {
            let (left, right) = bytes.split_at(first);
            parts([left].into_iter().chain(right.chunks(APART)))
        });
        passed(what, &bytes, replies);
    }
}

#[test]
#[ignore = "takes a minute: cargo test --test sim bytes -- --ignored"]
fn every_stream_arrives_as_it_was_sent_though_it_was_cut_in_two_at_any_byte() {
    for (what, bytes) in streams() {
        let halves = (0..=bytes.len()).map(|at| {
            let (left, right) = bytes.split_at(at);
            parts([left, right])
        });
        passed(what, &bytes, halves);
    }
}

#[test]
fn every_stream_cut_into_pieces_of_a_few_bytes_arrives_as_it_was_sent() {
    for (what, bytes) in streams() {
        passed(what, &bytes, [1, 2, 3, 7, 64].map(|size| parts(bytes.chunks(size))));
    }
}

#[test]
fn a_ping_of_ours_stands_between_two_events_wherever_upstream_falls_silent() {
    let some = ["text", "CRLF", "an event of several lines"];
    for (what, bytes) in streams().into_iter().filter(|(what, _)| some.contains(what)) {
        simulate(async || {
            let front = Front::new(&["a"]).await;
            let mut pings = 0;
            for at in (0..=bytes.len()).step_by(7) {
                let (left, right) = bytes.split_at(at);
                let mut reply = parts([left, right]);
                reply.steps.insert(1, Step::Sleep(Duration::from_secs(20)));
                front.world.script.on("a", [reply]);
                let heard = front.hear(&Ask::stream("hi")).await;
                if heard.bytes() == bytes {
                    continue; // It had not begun, or was over.
                }
                let (before, after) = without_ping(&heard, &bytes);
                assert_eq!([before.clone(), after].concat(), bytes, "{what}, {at}");
                let is_between = before.ends_with(b"\n\n") || before.ends_with(b"\n\r\n");
                assert!(is_between && before.len() <= at, "{what}, {at}");
                pings += 1;
            }
            assert!(pings > bytes.len() / 7 / 4, "{what}: {pings}");
            front.close().await;
        });
    }
}

/// What stands before and after the ping that is not upstream's.
fn without_ping(heard: &Heard, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let parts: Vec<_> = heard.parts().iter().map(|(_, part)| part.to_vec()).collect();
    let pings = (0..parts.len()).filter(|at| parts[*at] == PING.as_bytes());
    let mut splits = pings.map(|at| (parts[..at].concat(), parts[at + 1..].concat()));
    splits.find(|(before, after)| [&**before, after].concat() == bytes).expect("a ping of ours")
}
