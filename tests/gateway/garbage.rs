//! Garbage from several connections at once, and clients beside it that notice nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::client::{Client, body, request};
use crate::gateway::Gateway;
use crate::upstream::Upstream;

/// As many as there are cores to keep busy, and some more.
const CONNECTIONS: u64 = 8;

/// Bytes that nobody should send: noise, or a request with something wrong at chance.
fn garbage(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = request(&body("garbage", rng.bool())).into_bytes();
    match rng.u8(..6) {
        0 => bytes = (0..rng.usize(1..5000)).map(|_| rng.u8(..)).collect(),
        1 => bytes.truncate(rng.usize(..bytes.len())),
        2 => bytes.rotate_left(rng.usize(..200)),
        3 => {
            let (from, to) = (rng.usize(..200), rng.usize(200..bytes.len()));
            bytes.extend_from_within(from..to);
        }
        4 => bytes = request(&"[{\"\\u".repeat(rng.usize(1..1000))).into_bytes(),
        _ => {
            for _ in 0..rng.usize(1..20) {
                let at = rng.usize(..bytes.len());
                bytes[at] = rng.u8(..);
            }
        }
    }
    bytes
}

/// Throws garbage at the gateway until a time; tells how often.
fn throw(gateway: &Gateway, seed: u64, until: Instant) -> usize {
    let mut rng = Rng::with_seed(seed);
    let mut thrown = 0;
    while Instant::now() < until {
        let mut socket = TcpStream::connect(&gateway.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(rng.u64(1..20)))).unwrap();
        for _ in 0..rng.usize(1..4) {
            // It may be closed, or silent, or say anything.
            let _ = socket.write_all(&garbage(&mut rng));
            let _ = socket.read(&mut [0; 4096]);
            thrown += 1;
        }
    }
    thrown
}

/// Lets garbage rain for a time, and asks sensible things beside it.
fn rain(time: Duration) {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let until = Instant::now() + time;
    let thrown = AtomicUsize::new(0);
    let mut asked = 0;
    std::thread::scope(|scope| {
        for seed in 0..CONNECTIONS {
            let (gateway, thrown) = (&gateway, &thrown);
            scope.spawn(move || thrown.fetch_add(throw(gateway, seed, until), Ordering::Relaxed));
        }
        let mut kept = Client::connect(&gateway);
        while Instant::now() < until {
            kept.send(request(&body("sensible", false))).unwrap();
            assert_eq!(kept.answer().unwrap().status, 200);
            assert_eq!(Client::ask(&gateway, &body("sensible", false)).status, 200);
            asked += 2;
        }
    });
    let sensible = body("sensible", false);
    let seen = upstream.seen().into_iter().filter(|seen| seen.body == sensible.as_bytes());
    assert_eq!(seen.count(), asked);
    println!("{} pieces of garbage, {asked} requests", thrown.into_inner());
    let metrics = settled(&gateway);
    assert!(metrics.contains("polpo_queue_depth 0\n"), "{metrics}");
}

/// The metrics, once no lease is out any more.
fn settled(gateway: &Gateway) -> String {
    loop {
        let mut client = Client::connect(gateway);
        client.send("GET /metrics HTTP/1.1\r\nhost: gateway\r\n\r\n").unwrap();
        let metrics = String::from_utf8(client.answer().unwrap().body).unwrap();
        if metrics.contains("polpo_leases_in_flight 0\n") {
            return metrics;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn clients_notice_nothing_of_garbage_beside_them() {
    rain(Duration::from_secs(2));
}

#[test]
#[ignore = "takes a minute: cargo test --test gateway garbage -- --ignored --nocapture"]
fn a_minute_of_garbage_leaves_nothing_behind() {
    rain(Duration::from_secs(60));
}
