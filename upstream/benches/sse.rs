//! What it costs to meter a stream while it passes.
//!
//! Each stream has 1,000 events, so that its time in microseconds is an event's in nanoseconds.
//! Copying the same chunks is what the relay could not do without.

#![expect(clippy::unwrap_used, reason = "a measurement fails by panicking")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use polpo_upstream::meter::Meter;
use polpo_upstream::sse::Decoder;

/// Text deltas as the API writes them, padded with a changing number of spaces.
fn deltas(length: usize) -> Vec<u8> {
    let words = "Each apple is sold at the market on a sunny day. ".repeat(length / 49 + 1);
    let event = |number: usize| {
        let (text, padding) = (&words[..length], number * 7 % 17);
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\
             \"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}{:padding$}}}\n\n",
            ""
        )
    };
    (0..1000).flat_map(|number| event(number).into_bytes()).collect()
}

fn streams(criterion: &mut Criterion) {
    for (name, length) in [("text deltas", 20), ("large deltas", 2000)] {
        let stream = deltas(length);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(stream.len() as u64));
        for chunk in [1024, 16 * 1024] {
            group.bench_with_input(BenchmarkId::new("metered", chunk), &chunk, |bench, _| {
                let (mut decoder, mut meter) = (Decoder::default(), Meter::default());
                bench.iter(|| {
                    for chunk in stream.chunks(chunk) {
                        decoder.feed(chunk, |event| meter.observe(&event)).unwrap();
                    }
                });
            });
            group.bench_with_input(BenchmarkId::new("copied", chunk), &chunk, |bench, _| {
                let mut copy = Vec::new();
                bench.iter(|| {
                    for chunk in stream.chunks(chunk) {
                        copy.clear();
                        copy.extend_from_slice(std::hint::black_box(chunk));
                    }
                });
            });
        }
    }
}

criterion_group!(benches, streams);
criterion_main!(benches);
