//! The transport over HTTP.

use std::time::Duration;

use futures_util::TryStreamExt;
use reqwest::{Client, redirect};
use thiserror::Error;

use crate::error::TransportError;
use crate::transport::{Call, Reply, Sending, Transport};

/// A connection that is not there after this long will not come; the official SDKs wait 5 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A healthy stream has a ping every few seconds, but an answer in one piece is silent until it is
/// written: the official SDKs wait for it this long. There is no limit on the whole: a long answer
/// may take as long as it takes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Keeps connections through NATs that forget a silent one after a few minutes.
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
            .read_timeout(IDLE_TIMEOUT)
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
        Box::pin(async move {
            let mut response = request.await.map_err(|error| reason(&error))?;
            Ok(Reply {
                status: response.status(),
                headers: std::mem::take(response.headers_mut()),
                body: Box::pin(response.bytes_stream().map_err(|error| reason(&error))),
            })
        })
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
    use http::{HeaderMap, Method, StatusCode};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn call() -> Call {
        let body = Bytes::from_static(b"{}");
        Call { method: Method::POST, path: "/v1/messages".into(), headers: HeaderMap::new(), body }
    }

    /// Answers one connection with `answer` and tells the first line it was asked with.
    async fn server(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/prefix/", listener.local_addr().unwrap());
        let task = async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = socket.read(&mut request).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
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
