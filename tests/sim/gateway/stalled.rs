//! A client that stops to read while it stays connected: over a socket and in real time, as it is the
//! kernel that cuts it off.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use polpo::http::gateway;
use tokio::time::{sleep, timeout};

use super::front::{Ask, Front};
use crate::reply::{Step, begins};
use crate::system::in_real_time;

/// More than all the buffers between a gateway and its client hold, by far.
const MUCH: usize = 64 * 1024 * 1024;

/// Much longer than a client may stall here, and than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until so many bodies of upstream are open.
async fn until_open(front: &Front, bodies: usize) {
    let is_so = async {
        while front.world.script.open_bodies() != bodies {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, is_so).await.expect("the stream begins and ends");
}

#[test]
fn a_client_that_takes_nothing_any_more_is_cut_off_and_gives_its_place_back() {
    in_real_time(async || {
        let front = Front::new(&["a"]).await;
        let event = Bytes::from(format!("event: x\ndata: {}\n\n", "x".repeat(64 * 1024)));
        let events = (0..MUCH / event.len()).map(|_| Step::Bytes(event.clone()));
        front
            .world
            .script
            .on("a", [events.fold(begins("so much to say"), |it, step| it.then(step))]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stall = Duration::from_millis(300);
        let server = gateway::server(listener, front.site.clone(), 1, stall).unwrap();
        let handle = server.handle();
        let asking = async {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(Ask::stream("hi").over_http().as_bytes()).unwrap();
            until_open(&front, 1).await;
            let mut begun = [0; 17];
            client.read_exact(&mut begun).unwrap();
            assert_eq!(&begun, b"HTTP/1.1 200 OK\r\n");
            until_open(&front, 0).await;
            handle.stop(false).await;
            drop(client); // It was there all the time.
        };
        let (ended, ()) = tokio::join!(server, asking);
        ended.unwrap();
        let rows = front.close().await;
        let outcomes: Vec<_> = rows.iter().map(|row| (row.outcome, row.is_lost)).collect();
        assert_eq!(outcomes, [("cancelled", false)]);
    });
}
