//! Loads, and what they came to.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::client::{Question, Took, load, open};
use crate::subject::Server;
use crate::upstream::Pace;
use crate::used::Used;

/// Where something is measured: fresh processes, for one measurement.
pub(crate) struct Place<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) pace: Pace,
    pub(crate) upstream: &'a Server,
    /// Before the upstream.
    pub(crate) front: Option<&'a Server>,
    /// Before either; without one, the upstream itself is asked.
    pub(crate) subject: Option<&'a Server>,
}

/// What came of a load.
pub(crate) struct Ran {
    pub(crate) took: Vec<Took>,
    pub(crate) seconds: f64,
    pub(crate) subject: Option<Used>,
    pub(crate) generator: Used,
    pub(crate) upstream: Used,
}

impl Place<'_> {
    pub(crate) fn subject(&self) -> Option<Used> {
        self.subject.map(Server::used)
    }

    fn port(&self) -> u16 {
        self.subject.unwrap_or(self.upstream).port
    }

    /// Asks over some connections for a time, and a quarter of it before that to warm up.
    pub(crate) fn run(&self, connections: usize, question: &Question, time: Duration) -> Ran {
        self.runtime.block_on(async {
            let connections = open(self.port(), connections).await;
            let (connections, _) = load(connections, question, time / 4).await;
            let used = || (self.subject(), Used::by_this(), self.upstream.used());
            let (subject, generator, upstream) = used();
            let began = Instant::now();
            let (_, took) = load(connections, question, time).await;
            let seconds = began.elapsed().as_secs_f64();
            let after = used();
            Ran {
                took,
                seconds,
                subject: after.0.zip(subject).map(|(after, before)| after.since(&before)),
                generator: after.1.since(&generator),
                upstream: after.2.since(&upstream),
            }
        })
    }

    /// Holds streams open for a time, and tells what the subject has then used.
    pub(crate) fn hold(&self, streams: usize, question: &Question, time: Duration) -> Option<Used> {
        self.runtime.block_on(async {
            let mut beginning = JoinSet::new();
            for mut connection in open(self.port(), streams).await {
                let question = question.clone();
                beginning.spawn(async move { (connection.begin(&question).await, connection) });
            }
            let mut reading = JoinSet::new();
            for (body, mut connection) in beginning.join_all().await {
                let question = question.clone();
                reading.spawn(async move { connection.finish(body, &question).await });
            }
            tokio::time::sleep(time).await;
            assert!(reading.try_join_next().is_none(), "a stream has ended");
            self.subject()
        })
    }

    /// On how many connections the front has spoken HTTP/1.1, and on how many HTTP/2.
    pub(crate) fn spoken(&self) -> [f64; 2] {
        let log = self.front.map(|front| front.directory.path().join("access.log"));
        let log = log.map_or_else(String::new, |log: PathBuf| fs::read_to_string(log).unwrap());
        let mut connections: Vec<_> = log.lines().collect();
        connections.sort_unstable();
        connections.dedup();
        ["HTTP/1.1", "HTTP/2.0"].map(|protocol| {
            connections.iter().filter(|line| line.starts_with(protocol)).count() as f64
        })
    }
}

impl Ran {
    /// Seconds that each answer took, the shortest first.
    pub(crate) fn sorted(&self, of: fn(&Took) -> Duration) -> Vec<f64> {
        let mut sorted: Vec<_> = self.took.iter().map(|took| of(took).as_secs_f64()).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// What this share of them does not exceed.
    pub(crate) fn share(sorted: &[f64], share: f64) -> Option<f64> {
        let at = (sorted.len() as f64 * share) as usize;
        sorted.get(at.min(sorted.len() - 1)).copied()
    }
}
