//! An answer in one piece over a real socket: the server keeps a connection on which nothing comes
//! for an hour. The clock of the thread that serves it is paused for that.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use polpo::http::gateway::{LONGEST_STALL, server};
use polpo_upstream::transport::{Call, Reply, Sending, Transport};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::front::{Ask, Front};
use crate::reply::says_whole;
use crate::script::Script;
use crate::system::simulate;
use crate::world::{SONNET, World};

/// Answers an hour after someone begins to listen, by the clock of whoever listens.
struct Slow;

impl Transport for Slow {
    fn send(&self, _: Call) -> Sending {
        let headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let body = stream::once(async {
            tokio::time::pause();
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Ok(Bytes::from(says_whole("fine").said(SONNET)))
        });
        Box::pin(async { Ok(Reply { status: StatusCode::OK, headers, body: Box::pin(body) }) })
    }
}

/// What the server says to a request until it has said `last`, or closes the connection.
fn asked(address: &str, body: &str, last: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: any\r\n";
    write!(socket, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(last.as_bytes()) {
        let mut part = [0; 1024];
        match socket.read(&mut part).unwrap() {
            0 => break,
            read => heard.extend_from_slice(&part[..read]),
        }
    }
    String::from_utf8(heard).unwrap()
}

#[test]
fn a_client_that_waits_an_hour_for_an_answer_in_one_piece_gets_it() {
    simulate(async || {
        let slow: Arc<dyn Transport> = Arc::new(Slow);
        let profiles = vec![("a", slow, "sk-none".to_owned())];
        let front = Front::over(World::with(Vec::new(), profiles, 1, Script::new()).await).await;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = server(listener, front.site.clone(), 1, LONGEST_STALL).unwrap();
        let (handle, runtime) = (server.handle(), Handle::current());
        let (body, last) = (Ask::whole("hi").body().to_owned(), says_whole("fine").said(SONNET));
        // The clock of the pool stands while something blocks.
        let client = spawn_blocking(move || {
            let heard = asked(&address, &body, &last);
            runtime.block_on(handle.stop(true));
            heard
        });
        let (heard, stopped) = tokio::join!(client, server);
        let heard = heard.unwrap();
        stopped.unwrap();
        assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
        assert!(heard.ends_with(&says_whole("fine").said(SONNET)), "{heard}");
        // The server's threads may hold it for a moment longer, so that it is not closed.
        drop(front);
    });
}
