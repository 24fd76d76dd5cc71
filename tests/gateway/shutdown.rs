//! The end of a gateway: what is under way ends well, and nothing new begins.

use std::sync::Mutex;
use std::sync::mpsc;

use crate::client::{Client, body, request};
use crate::corpus::streams;
use crate::gateway::Gateway;
use crate::upstream::{Upstream, begin, end, send};

#[test]
fn a_stream_under_way_ends_well_and_a_new_request_is_sent_elsewhere() {
    let (go, went) = mpsc::channel::<()>();
    let went = Mutex::new(went);
    let upstream = Upstream::start(move |_, socket| {
        let bytes = streams().remove(0).1;
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        begin(socket);
        send(socket, first).unwrap();
        went.lock().unwrap().recv().unwrap();
        send(socket, rest).unwrap();
        end(socket);
    });
    let gateway = Gateway::start(&upstream);
    let mut idle = Client::connect(&gateway);
    let mut client = Client::connect(&gateway);
    client.send(request(&body("hi", true))).unwrap();
    assert_eq!(client.head().unwrap().status, 200);
    let mut heard = client.part();
    gateway.signal("TERM");
    let refused = loop {
        idle.send("GET /readyz HTTP/1.1\r\nhost: gateway\r\n\r\n").unwrap();
        if idle.answer().unwrap().status == 503 {
            idle.send(request(&body("too late", true))).unwrap();
            break idle.answer().unwrap();
        }
    };
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.error(), "api_error");
    go.send(()).unwrap();
    loop {
        let part = client.part();
        if part.is_empty() {
            break;
        }
        heard.extend(part);
    }
    assert!(heard == streams().remove(0).1);
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(gateway.end().code(), Some(0));
}
