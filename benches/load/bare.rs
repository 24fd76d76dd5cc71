//! The loop that polpo is measured against: each place sends a request, reads the answer to its
//! end, and sends the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use reqwest::{Client, redirect};
use tokio::task::JoinSet;

use crate::load::Load;

/// A bare loop against one URL.
pub(crate) struct Loop {
    client: Client,
    url: String,
    load: Load,
    next: AtomicUsize,
}

impl Loop {
    /// With the client of polpo's own transport.
    pub(crate) fn new(url: &str, load: Load) -> Arc<Self> {
        rustls::crypto::ring::default_provider().install_default().unwrap();
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(300))
            .tcp_keepalive(Duration::from_secs(60))
            .tcp_nodelay(true)
            .redirect(redirect::Policy::none())
            .build()
            .unwrap();
        Arc::new(Self { client, url: url.to_owned(), load, next: AtomicUsize::new(0) })
    }

    /// Sends everything and prints when each answer was there, in milliseconds of Unix time.
    pub(crate) fn run(self: Arc<Self>) {
        rlimit::increase_nofile_limit(u64::MAX).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let ended = runtime.block_on(async {
            let mut places = JoinSet::new();
            for _ in 0..self.load.concurrency {
                places.spawn(self.clone().place());
            }
            places.join_all().await
        });
        for ended in ended.into_iter().flatten() {
            println!("{ended}");
        }
    }

    async fn place(self: Arc<Self>) -> Vec<u128> {
        let mut ended = Vec::new();
        loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= self.load.tasks {
                return ended;
            }
            let call = Load::call(task);
            let url = format!("{}{}", self.url, call.path);
            let request = self.client.request(call.method, url).headers(call.headers);
            let response = request.body(call.body).send().await.unwrap();
            assert!(response.status().is_success(), "{}", response.status());
            response.bytes_stream().for_each(async |chunk| drop(chunk.unwrap())).await;
            ended.push(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis());
        }
    }
}
