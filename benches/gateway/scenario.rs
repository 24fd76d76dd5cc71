//! What is asked of each subject, and what is measured of it.

use std::time::Duration;

use crate::canned;
use crate::client::Question;
use crate::measure::{Place, Ran};
use crate::report::{Columns, Figures, Unit};
use crate::subject::Kind;
use crate::upstream::Pace;

/// Connections where there are many.
const CONNECTIONS: usize = 64;

/// Events of a stream around those that carry text.
const FRAME: usize = 6;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Of each measurement, less warming up.
    pub(crate) time: Duration,
    /// Streams that are open at once.
    pub(crate) streams: usize,
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) subjects: &'static [Kind],
    pub(crate) pace: Pace,
    /// Whether the upstream is behind an HTTP/2 front.
    pub(crate) front: bool,
    /// Whether it matters what each adds to the upstream.
    pub(crate) compared: bool,
    pub(crate) columns: Columns,
    pub(crate) measure: fn(&Place<'_>, Extent) -> Figures,
}

const REQUESTS: Columns = &[
    ("requests a second", Unit::Count),
    ("CPU a request", Unit::Seconds),
    ("of it in the kernel", Unit::Seconds),
    ("requests a CPU second", Unit::Count),
    ("generator's CPU", Unit::Seconds),
    ("upstream's CPU", Unit::Seconds),
];

const STREAMS: Columns = &[
    ("events a second", Unit::Count),
    ("CPU an event", Unit::Seconds),
    ("of it in the kernel", Unit::Seconds),
    ("first byte, median", Unit::Seconds),
    ("99 %", Unit::Seconds),
    ("generator's CPU", Unit::Seconds),
    ("upstream's CPU", Unit::Seconds),
];

const DEFAULT: Scenario = Scenario {
    name: "",
    title: "",
    subjects: &Kind::ALL,
    pace: Pace { deltas: 200, gap: 0 },
    front: false,
    compared: false,
    columns: REQUESTS,
    measure: |place, extent| requests(place, extent, 1024),
};

pub(crate) const ALL: [Scenario; 7] = [
    Scenario { name: "small", title: "Requests of 1 KiB over 64 connections", ..DEFAULT },
    Scenario {
        name: "large",
        title: "Requests of 90 KiB over 64 connections",
        measure: |place, extent| requests(place, extent, 90 * 1024),
        ..DEFAULT
    },
    Scenario {
        name: "alone",
        title: "One connection",
        compared: true,
        columns: &[
            ("a message, median", Unit::Seconds),
            ("99 %", Unit::Seconds),
            ("first byte of a stream, median", Unit::Seconds),
            ("99 %", Unit::Seconds),
        ],
        measure: alone,
        ..DEFAULT
    },
    Scenario {
        name: "burst",
        title: "Streams of 206 events in one write, over 64 connections",
        columns: STREAMS,
        measure: streams,
        ..DEFAULT
    },
    Scenario {
        name: "paced",
        title: "Streams of 206 events, 5 ms apart in the mean, over 64 connections",
        pace: Pace { deltas: 200, gap: 5 },
        columns: STREAMS,
        measure: streams,
        ..DEFAULT
    },
    Scenario {
        name: "open",
        title: "Streams open at once, each with an event a second",
        pace: Pace { deltas: 200, gap: 1000 },
        subjects: &[Kind::Nginx, Kind::Bare, Kind::Polpo],
        columns: &[
            ("streams", Unit::Count),
            ("resident when idle", Unit::Memory),
            ("with all streams", Unit::Memory),
            ("a stream", Unit::Memory),
        ],
        measure: open,
        ..DEFAULT
    },
    Scenario {
        name: "h2",
        title: "300 streams of 2 s to an upstream that allows 100 on a connection of HTTP/2",
        pace: Pace { deltas: 20, gap: 100 },
        front: true,
        subjects: &[Kind::Bare, Kind::Polpo],
        columns: &[
            ("connections over HTTP/1.1", Unit::Count),
            ("over HTTP/2", Unit::Count),
            ("first byte, median", Unit::Seconds),
            ("the last", Unit::Seconds),
        ],
        measure: h2,
        ..DEFAULT
    },
];

fn message(size: usize) -> Question {
    Question { request: canned::request(size, false), answer: canned::message().len() }
}

fn stream(pace: Pace) -> Question {
    let answer = canned::events(pace.deltas).iter().map(String::len).sum();
    Question { request: canned::request(1024, true), answer }
}

fn requests(place: &Place<'_>, extent: Extent, size: usize) -> Figures {
    let ran = place.run(CONNECTIONS, &message(size), extent.time);
    let asked = ran.took.len() as f64;
    let cpu = ran.subject.map(|used| used.cpu() / asked);
    vec![
        Some(asked / ran.seconds),
        cpu,
        ran.subject.map(|used| used.system / asked),
        cpu.map(|cpu| 1.0 / cpu),
        Some(ran.generator.cpu() / asked),
        Some(ran.upstream.cpu() / asked),
    ]
}

fn alone(place: &Place<'_>, extent: Extent) -> Figures {
    let message = place.run(1, &message(1024), extent.time / 2);
    let stream = place.run(1, &stream(place.pace), extent.time / 2);
    let (message, first) = (message.sorted(|took| took.whole), stream.sorted(|took| took.first));
    vec![
        Ran::share(&message, 0.5),
        Ran::share(&message, 0.99),
        Ran::share(&first, 0.5),
        Ran::share(&first, 0.99),
    ]
}

fn streams(place: &Place<'_>, extent: Extent) -> Figures {
    let ran = place.run(CONNECTIONS, &stream(place.pace), extent.time);
    let events = (ran.took.len() * (place.pace.deltas + FRAME)) as f64;
    let first = ran.sorted(|took| took.first);
    vec![
        Some(events / ran.seconds),
        ran.subject.map(|used| used.cpu() / events),
        ran.subject.map(|used| used.system / events),
        Ran::share(&first, 0.5),
        Ran::share(&first, 0.99),
        Some(ran.generator.cpu() / events),
        Some(ran.upstream.cpu() / events),
    ]
}

fn open(place: &Place<'_>, extent: Extent) -> Figures {
    // Whoever has served a request is idle; who has not may not be ready.
    place.run(1, &message(1024), Duration::ZERO);
    let idle = place.subject().map(|used| used.memory);
    let held = place.hold(extent.streams, &stream(place.pace), extent.time);
    let held = held.map(|used| used.memory);
    let streams = extent.streams as f64;
    let each = idle.zip(held).map(|(idle, held)| (held - idle) / streams);
    vec![Some(streams), idle, held, each]
}

fn h2(place: &Place<'_>, _: Extent) -> Figures {
    const STREAMS: usize = 300;
    let ran = place.run(STREAMS, &stream(place.pace), Duration::ZERO);
    let first = ran.sorted(|took| took.first);
    let [old, new] = place.spoken();
    vec![Some(old), Some(new), Ran::share(&first, 0.5), Ran::share(&first, 1.0)]
}
