//! The transport over HTTP.

use std::time::Duration;

use futures_util::stream::try_unfold;
use reqwest::{Client, redirect};
use thiserror::Error;
use tokio::time::timeout;

use crate::error::TransportError;
use crate::transport::{Call, Reply, Sending, Transport};

/// A connection that is not there after this long will not come; the official SDKs wait 5 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps connections through NATs that forget a silent one after a few minutes, and finds one whose
/// other end is gone.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Says why no client could be made.
#[derive(Debug, Error)]
#[error("cannot set up TLS: the system's certificates could not be read")]
pub struct SetupError;

/// Sends calls over HTTP/1.1 to one base URL. Each profile has its own, and so its own connections.
#[derive(Debug)]
pub struct HttpTransport {
    client: Client,
    base_url: String,
}

impl HttpTransport {
    /// A transport to `base_url`, which may have a path prefix.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(base_url: &str) -> Result<Self, SetupError> {
        // Err means that it is installed already, by an earlier transport.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            .tcp_nodelay(true)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("polpo/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| SetupError)?;
        Ok(Self { client, base_url: base_url.trim_end_matches('/').to_owned() })
    }
}

impl Transport for HttpTransport {
    fn send(&self, call: Call) -> Sending {
        let url = format!("{}{}", self.base_url, call.path);
        let request =
            self.client.request(call.method, url).headers(call.headers).body(call.body).send();
        let silence = call.silence;
        Box::pin(async move {
            let mut response = within(silence, request).await?;
            Ok(Reply {
                status: response.status(),
                headers: std::mem::take(response.headers_mut()),
                body: Box::pin(try_unfold(response, move |mut response| async move {
                    let chunk = within(silence, response.chunk()).await?;
                    Ok(chunk.map(|chunk| (chunk, response)))
                })),
            })
        })
    }
}

/// What comes before it has been silent for too long.
async fn within<T>(
    silence: Duration,
    coming: impl Future<Output = reqwest::Result<T>>,
) -> Result<T, TransportError> {
    match timeout(silence, coming).await {
        Ok(come) => come.map_err(|error| reason(&error)),
        Err(_) => Err(TransportError::Idle),
    }
}

/// Keeps reqwest's errors, and the URLs in their texts, inside this crate.
fn reason(error: &reqwest::Error) -> TransportError {
    if error.is_builder() {
        TransportError::Invalid
    } else if error.is_connect() {
        TransportError::Connect
    } else if error.is_timeout() {
        TransportError::Idle
    } else {
        TransportError::Broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures_util::TryStreamExt;
    use http::{HeaderMap, Method, StatusCode};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::sleep;

    use crate::transport::{SILENCE, SILENCE_OF_WHOLE};

    fn call() -> Call {
        Call {
            method: Method::POST,
            path: "/v1/messages".into(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"{}"),
            silence: SILENCE,
        }
    }

    /// Answers one connection with `answer` and tells the first line it was asked with.
    async fn server(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        slow_server(vec![(0, answer)]).await
    }

    /// The same with parts of an answer, each after so many seconds.
    async fn slow_server(
        parts: Vec<(u64, &'static str)>,
    ) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/prefix/", listener.local_addr().unwrap());
        let task = async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = socket.read(&mut request).await.unwrap();
            for (seconds, part) in parts {
                sleep(Duration::from_secs(seconds)).await;
                // Whoever asked may have given up.
                let _ = socket.write_all(part.as_bytes()).await;
            }
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            text.lines().next().unwrap_or_default().to_owned()
        };
        #[expect(clippy::disallowed_methods, reason = "joined by the test")]
        (url, tokio::spawn(task))
    }

    #[tokio::test]
    async fn a_base_url_with_a_path_prefix_is_kept_and_a_redirect_is_not_followed() {
        let (url, asked) =
            server("HTTP/1.1 307 Temporary Redirect\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n")
                .await;
        let reply = HttpTransport::new(&url).unwrap().send(call()).await.unwrap();
        assert_eq!(reply.status, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(asked.await.unwrap(), "POST /prefix/v1/messages HTTP/1.1");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_lost_after_too_much_silence_and_may_else_take_as_long_as_it_takes() {
        const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
        for silence in [SILENCE, SILENCE_OF_WHOLE] {
            let (short, long) = (silence.as_secs() - 1, silence.as_secs() + 1);
            for (head, first, last, is_whole) in [
                (short, short, short, true),
                (long, 0, 0, false),
                (0, long, 0, false),
                (0, 0, long, false),
            ] {
                let (url, _) = slow_server(vec![(head, HEAD), (first, "{"), (last, "}")]).await;
                let sent = HttpTransport::new(&url).unwrap().send(Call { silence, ..call() }).await;
                let read: Result<Vec<Bytes>, _> = match sent {
                    Ok(reply) => reply.body.try_collect().await,
                    Err(error) => Err(error),
                };
                let expected = if is_whole { Ok("{}".into()) } else { Err(TransportError::Idle) };
                let read = read.map(|chunks| Bytes::from(chunks.concat()));
                assert_eq!(read, expected, "{head}, {first}, {last} of {silence:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_stream_that_is_cut_off_is_broken_and_a_closed_port_cannot_be_connected_to() {
        let (url, _asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nevent: ").await;
        let reply = HttpTransport::new(&url).unwrap().send(call()).await.unwrap();
        let read: Result<Vec<Bytes>, _> = reply.body.try_collect().await;
        assert_eq!(read.unwrap_err(), TransportError::Broken);

        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let transport = HttpTransport::new(&format!("http://{closed}")).unwrap();
        assert_eq!(transport.send(call()).await.unwrap_err(), TransportError::Connect);
    }
}
