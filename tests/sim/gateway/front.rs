//! A gateway and its clients.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::Service;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse};
use polpo::control::Handles;
use polpo::http::gateway::{Drain, Site, endpoints, memory};
use polpo::keys::{ClientKey, ClientKeys, KeySet};
use polpo::roster::Mark;
use polpo_agents::ledger::{Writer, ledger};
use polpo_policy::price::Nanodollars;
use polpo_policy::quota::Limits;
use polpo_store::journal::BookedCall;
use polpo_store::keys::KeyFile;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{MAX_TOKENS, SONNET, World, config, pass};

/// The memory for bodies, in kilobytes.
const MEMORY: usize = 1024;

type Answering = Pin<Box<dyn Future<Output = HttpResponse>>>;

/// A gateway over a world.
pub(crate) struct Front {
    pub(crate) world: World,
    pub(crate) site: Data<Site>,
    app: Rc<dyn Fn(TestRequest) -> Answering>,
    writer: Writer,
}

impl Front {
    /// A gateway over a scripted profile of each name, whose requests wait for a minute.
    pub(crate) async fn new(profiles: &[&str]) -> Self {
        Self::over(World::of(Vec::new(), profiles, 64).await).await
    }

    /// A gateway over a world, open to anyone.
    pub(crate) async fn over(world: World) -> Self {
        Self::of(world, &["anthropic"]).await
    }

    /// A gateway that asks these providers.
    pub(crate) async fn of(world: World, providers: &[&str]) -> Self {
        let limits = Limits { requests_per_minute: 1_000_000, ..Limits::default() };
        Self::limited(world, providers, limits).await
    }

    /// A gateway whose clients all have one key of these limits.
    pub(crate) async fn limited(world: World, providers: &[&str], limits: Limits) -> Self {
        let (ledger, writer) = ledger(true);
        let anyone = ClientKey { name: "local".into(), limits, models: None, expires: None };
        let nowhere = tempfile::tempdir().unwrap();
        let file = KeyFile::new(nowhere.path());
        let keys = KeySet::gather(&config(Vec::new()).gateway, &file).unwrap();
        let site = Data::new(Site {
            gateway: world.actors.gateway(ledger.clone()),
            ledger,
            journal: world.journal.clone(),
            keys: Arc::new(ClientKeys::new(keys, [], world.clock.now())),
            anyone: Arc::new(anyone),
            providers: providers.iter().map(|name| (*name).into()).collect(),
            allowlist: None,
            max_queue: Duration::from_secs(60),
            prices: world.actors.prices(),
            memory: memory(MEMORY as u64 * 1024),
            drain: Drain::default(),
            clock: world.clock.clone(),
            metrics: world.metrics.clone(),
            scheduler: world.actors.observe.clone(),
            control: Handles::of(&world.actors.scheduler),
            mark: Mark::default(),
            is_local: true,
        });
        let service = init_service(App::new().app_data(site.clone()).configure(endpoints)).await;
        let app = Rc::new(move |request: TestRequest| -> Answering {
            let answer = service.call(request.to_request());
            Box::pin(async move { answer.await.unwrap().into_parts().1 })
        });
        Self { world, site, app, writer }
    }

    /// The answer to a request, as soon as it has begun. Who drops either hangs up.
    pub(crate) fn ask(&self, ask: &Ask) -> impl Future<Output = Heard> + use<> {
        let answer = (self.app)(ask.request());
        async move {
            let (head, body) = answer.await.into_parts();
            let (status, headers) = (head.status().as_u16(), head.headers().clone());
            Heard { status, headers, body: Some(body), parts: Vec::new() }
        }
    }

    /// The answer to a request, read to its end.
    pub(crate) fn hear(&self, ask: &Ask) -> impl Future<Output = Heard> + use<> {
        let answer = self.ask(ask);
        async move {
            let mut heard = answer.await;
            while heard.next().await.is_some() {}
            heard
        }
    }

    /// Ends the gateway, and tells what it has booked: nothing may be left under way, and all who
    /// count what was spent must agree. Every call was one for a message.
    pub(crate) async fn close(self) -> Vec<BookedCall> {
        let metrics = self.world.metrics.clone();
        let rows = self.end().await;
        assert_eq!(crate::world::metric(&metrics, "calls_total", &[]), rows.len() as f64);
        rows
    }

    /// The same; calls that cost nothing in any case are not booked.
    pub(crate) async fn end(self) -> Vec<BookedCall> {
        let Self { world, site, app, writer } = self;
        pass(1).await;
        let snapshot = world.observe().await;
        assert_eq!((snapshot.queued, snapshot.leased), (0, 0), "a place is not given back");
        assert_eq!((world.script.on_their_way(), world.script.open_bodies()), (0, 0));
        assert_eq!(site.drain.drain(Duration::ZERO).await, 0, "requests under way");
        assert_eq!(site.memory.available_permits(), MEMORY, "a body is held");
        let money = site.keys.money(&"local".into(), world.clock.now());
        let batches = world.journal().unsettled_batches(true).await.unwrap();
        let held: Nanodollars = batches.iter().map(|batch| batch.reserved).sum();
        drop((site, app));
        writer.write(world.diary()).await; // Ends with the last that holds a ledger.
        let rows = world.diary().booked();
        let cost: Nanodollars = rows.iter().map(|row| row.cost).sum();
        assert_eq!((money.spent_total, money.reserved), (cost, held), "of the key");
        for name in ["cost_usd_total", "profile_cost_usd_total"] {
            let counted = (world.metric(name, &[]) * 1e9).round() as i64;
            assert_eq!(Nanodollars(counted), cost, "{name}");
        }
        let outputs: u64 = rows.iter().map(|row| row.usage.output).sum();
        assert_eq!(world.metric("tokens_total", &[("type", "output")]), outputs as f64);
        let inputs: u64 = rows.iter().map(|row| row.usage.input).sum();
        assert_eq!(world.metric("tokens_total", &[("type", "input")]), inputs as f64);
        rows
    }
}

/// A request of a client.
#[derive(Clone)]
pub(crate) struct Ask {
    path: &'static str,
    body: String,
    headers: Vec<(&'static str, String)>,
}

impl Ask {
    /// One for a stream, of Sonnet.
    pub(crate) fn stream(prompt: &str) -> Self {
        Self::of(SONNET, prompt, true)
    }

    /// One for an answer in one piece.
    pub(crate) fn whole(prompt: &str) -> Self {
        Self::of(SONNET, prompt, false)
    }

    /// One for the number of tokens.
    pub(crate) fn count() -> Self {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let body = json!({"model": SONNET, "messages": messages}).to_string();
        Self { path: "/v1/messages/count_tokens", ..Self::raw(&body) }
    }

    /// One for a message batch.
    pub(crate) fn batch() -> Self {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let params = json!({"model": SONNET, "max_tokens": MAX_TOKENS, "messages": messages});
        let body = json!({"requests": [{"custom_id": "a", "params": params}]}).to_string();
        Self { path: "/v1/messages/batches", ..Self::raw(&body) }
    }

    fn of(model: &str, prompt: &str, is_stream: bool) -> Self {
        let body = json!({
            "model": model, "max_tokens": MAX_TOKENS, "stream": is_stream,
            "messages": [{"role": "user", "content": prompt}],
        });
        Self::raw(&body.to_string())
    }

    /// One for a message with this body.
    pub(crate) fn raw(body: &str) -> Self {
        let headers = [("x-api-key", "sk-of-the-client"), ("anthropic-version", "2023-06-01")];
        let headers = headers.map(|(name, value)| (name, value.to_owned())).to_vec();
        Self { path: "/v1/messages?beta=true", body: body.to_owned(), headers }
    }

    /// Gives it a header.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Its body.
    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    /// The request as it goes over a socket.
    pub(crate) fn over_http(&self) -> String {
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let (headers, length): (String, _) = (headers.collect(), self.body.len());
        let head = format!("POST /v1/messages HTTP/1.1\r\nhost: gateway\r\n{headers}");
        format!("{head}content-length: {length}\r\n\r\n{}", self.body)
    }

    fn request(&self) -> TestRequest {
        let request = TestRequest::post().uri(self.path);
        let request = self
            .headers
            .iter()
            .fold(request, |request, (name, value)| request.append_header((*name, value.as_str())));
        request.set_payload(self.body.clone())
    }
}

/// An answer, as far as it was read.
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// What is to be read, until its end has come.
    body: Option<BoxBody>,
    parts: Vec<(Instant, Bytes)>,
}

impl Heard {
    /// Reads on.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        let body = self.body.as_mut()?;
        let next = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_next(cx)).await;
        let Some(part) = next.transpose().unwrap() else {
            self.body = None;
            return None;
        };
        self.parts.push((Instant::now(), part.clone()));
        Some(part)
    }

    /// All that was read.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.parts.iter().flat_map(|(_, part)| part.to_vec()).collect()
    }

    /// The same as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    /// What was read when.
    pub(crate) fn parts(&self) -> &[(Instant, Bytes)] {
        &self.parts
    }

    /// A header; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The answer as an error.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let body: Value = serde_json::from_str(&self.text()).unwrap();
        assert_eq!((&body["type"], body["request_id"].is_string()), (&"error".into(), true));
        let text = |name: &str| body["error"][name].as_str().unwrap().to_owned();
        (self.status, text("type"), text("message"))
    }
}
