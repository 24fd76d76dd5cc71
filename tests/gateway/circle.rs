//! Gateways whose calls come back to them, and gateways behind gateways.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, OnceLock};

use serde_json::json;

use crate::client::{Client, body};
use crate::gateway::Gateway;
use crate::upstream::{Upstream, whole};

/// A proxy before a server that is named later.
struct Proxy {
    upstream: Upstream,
    server: Arc<OnceLock<String>>,
}

impl Proxy {
    /// One that answers a prompt of "short" itself.
    fn start() -> Self {
        let server = Arc::<OnceLock<String>>::default();
        let behind = server.clone();
        let upstream = Upstream::start(move |seen, socket| {
            if seen.prompt() == "short" {
                return whole(socket, "fine");
            }
            let mut server = TcpStream::connect(behind.get().unwrap()).unwrap();
            let head = seen.head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            server.write_all(&[head.as_bytes(), &seen.body].concat()).unwrap();
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).unwrap();
            socket.write_all(&answer).unwrap();
            let _ = socket.shutdown(Shutdown::Both);
        });
        Self { upstream, server }
    }

    fn leads_to(&self, gateway: &Gateway) {
        self.server.set(gateway.address.clone()).unwrap();
    }
}

/// Has a gateway be asked in vain, and hear why from itself.
fn comes_back(gateway: &Gateway) {
    for is_stream in [true, false] {
        let answer = Client::ask(gateway, &body("long", is_stream));
        assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_request_error"));
        assert_eq!(answer.header("x-should-retry"), "false");
        let told = String::from_utf8(answer.body).unwrap();
        assert!(told.contains("asked by itself") && told.contains("baseUrl"), "{told}");
    }
    let answer = Client::ask(gateway, &body("short", false));
    assert_eq!(answer.status, 200, "nobody cools for it");
}

#[test]
fn a_gateway_that_asks_itself_says_so_at_once_and_its_profiles_stay_as_they_are() {
    let proxy = Proxy::start();
    let keys = json!([{"name": "client", "key": "key-of-the-client"}]);
    let gateway = Gateway::with(&proxy.upstream, json!({"keys": keys}));
    proxy.leads_to(&gateway);
    comes_back(&gateway);
    assert_eq!(proxy.upstream.seen().len(), 3, "once each");
}

#[test]
fn two_gateways_that_ask_each_other_notice_it_too() {
    let (first, second) = (Proxy::start(), Proxy::start());
    let (one, other) = (Gateway::start(&first.upstream), Gateway::start(&second.upstream));
    first.leads_to(&other);
    second.leads_to(&one);
    comes_back(&one);
    assert_eq!((first.upstream.seen().len(), second.upstream.seen().len()), (3, 2), "once each");
}

#[test]
fn a_gateway_behind_another_is_asked_and_marks_add_up() {
    let far = Upstream::good();
    let proxy = Proxy::start();
    let (near, behind) = (Gateway::start(&proxy.upstream), Gateway::start(&far));
    proxy.leads_to(&behind);
    assert_eq!(Client::ask(&near, &body("long", false)).status, 200);
    let marks = [&proxy.upstream, &far].map(|upstream| {
        let head = upstream.seen().remove(0).head;
        head.lines().filter(|line| line.starts_with("x-polpo-gateway: ")).count()
    });
    assert_eq!(marks, [1, 2]);
}
