//! The transport over HTTP.

use std::future::ready;
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::stream::try_unfold;
use reqwest::{Client, redirect};
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt;
use thiserror::Error;
use thread_local::ThreadLocal;
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
    clients: Clients,
    base_url: String,
}

/// Whoever holds connections. A connection is driven by the runtime that it was opened on.
#[derive(Debug)]
enum Clients {
    /// For threads of one runtime.
    Shared(Client),
    /// For threads that are a runtime each, and would else wake one another for each chunk.
    OfThreads(Box<ThreadLocal<Client>>),
}

impl HttpTransport {
    /// A transport to `base_url`, which may have a path prefix.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(base_url: &str) -> Result<Self, SetupError> {
        Ok(Self::over(Clients::Shared(client()?), base_url))
    }

    /// The same with other connections for each thread.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn of_threads(base_url: &str) -> Result<Self, SetupError> {
        let clients = Box::new(ThreadLocal::new());
        clients.get_or_try(client)?;
        Ok(Self::over(Clients::OfThreads(clients), base_url))
    }

    fn over(clients: Clients, base_url: &str) -> Self {
        Self { clients, base_url: base_url.trim_end_matches('/').to_owned() }
    }
}

fn client() -> Result<Client, SetupError> {
    Client::builder()
        .tls_backend_preconfigured(tls()?)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(KEEPALIVE)
        .tcp_nodelay(true)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("polpo/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| SetupError)
}

/// The system's certificates, which take milliseconds and a megabyte to read: once is enough.
fn tls() -> Result<ClientConfig, SetupError> {
    static TLS: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(tls) = TLS.get() {
        return Ok(tls.clone());
    }
    // Err means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = ClientConfig::with_platform_verifier().map_err(|_| SetupError)?;
    Ok(TLS.get_or_init(|| tls).clone())
}

impl Transport for HttpTransport {
    fn send(&self, call: Call) -> Sending {
        let url = format!("{}{}", self.base_url, call.path);
        let client = match &self.clients {
            Clients::Shared(client) => client,
            Clients::OfThreads(clients) => match clients.get_or_try(client) {
                Ok(client) => client,
                Err(SetupError) => return Box::pin(ready(Err(TransportError::Invalid))),
            },
        };
        let request = client.request(call.method, url).headers(call.headers).body(call.body).send();
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

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

    /// Answers on connections that it keeps, and counts them.
    async fn keeping(connections: Arc<AtomicU32>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accept = async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let serve = async move {
                    let mut request = [0; 4096];
                    while socket.read(&mut request).await.is_ok_and(|read| read > 0) {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                        socket.write_all(answer).await.unwrap();
                    }
                };
                #[expect(clippy::disallowed_methods, reason = "ends with the test")]
                tokio::spawn(serve);
            }
        };
        #[expect(clippy::disallowed_methods, reason = "ends with the test")]
        tokio::spawn(accept);
        url
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

    #[test]
    fn threads_that_share_no_runtime_share_no_connection() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let connections = Arc::new(AtomicU32::new(0));
        let (url, counted) = (runtime.block_on(keeping(connections.clone())), connections);
        for (transport, expected) in
            [(HttpTransport::new(&url), 1), (HttpTransport::of_threads(&url), 2)]
        {
            counted.store(0, Ordering::SeqCst);
            let transport = transport.unwrap();
            let twice = || {
                for _ in 0..2 {
                    let whole = async {
                        transport.send(call()).await.unwrap().body.try_collect::<Vec<_>>().await
                    };
                    runtime.block_on(whole).unwrap();
                }
            };
            twice();
            std::thread::scope(|scope| scope.spawn(twice).join().unwrap());
            assert_eq!(counted.load(Ordering::SeqCst), expected);
        }
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
