//! What is measured: processes between the generator and the upstream.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::canned::KEY;
use crate::nginx;
use crate::upstream::Pace;
use crate::used::Used;

/// Longer than any of them takes to listen.
const START: Duration = Duration::from_secs(10);

/// Credentials of polpo's pool.
const KEYS: usize = 8;

/// The most that a client key may be allowed in a minute, and more than is asked.
const MOST_REQUESTS: u32 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Direct,
    Nginx,
    Bare,
    Polpo,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Direct, Self::Nginx, Self::Bare, Self::Polpo];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "upstream directly",
            Self::Nginx => "nginx",
            Self::Bare => "bare",
            Self::Polpo => "polpo",
        }
    }

    /// Whether it can be had here; says so if it cannot.
    pub(crate) fn is_here(self) -> bool {
        let here = self != Self::Nginx || nginx::is_here();
        if !here {
            println!("there is no nginx here, so it is left out");
        }
        here
    }
}

/// A process that listens.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    /// Its files, for as long as it lives.
    pub(crate) directory: TempDir,
}

impl Server {
    /// Starts what `command` makes of a directory and a port to listen at.
    pub(crate) fn start(command: impl FnOnce(&TempDir, u16) -> Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut command = command(&directory, port);
        let log = File::create(directory.path().join("stderr.log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap();
        let mut server = Self { child, port, directory };
        let until = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().unwrap();
            let log = || fs::read_to_string(server.directory.path().join("stderr.log")).unwrap();
            assert!(ended.is_none() && Instant::now() < until, "{command:?}: {}", log());
            thread::sleep(Duration::from_millis(10));
        }
        server
    }

    pub(crate) fn used(&self) -> Used {
        Used::by_all_of(self.child.id())
    }
}

impl Drop for Server {
    /// By a signal that nginx passes on to its workers.
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Starts the upstream.
pub(crate) fn upstream(pace: Pace) -> Server {
    Server::start(|_, port| {
        let mut command = itself("--upstream", port);
        command.args(["--deltas", &pace.deltas.to_string(), "--gap", &pace.gap.to_string()]);
        command
    })
}

/// Starts a subject in front of `url`, which may be trusted by the certificate in a file.
pub(crate) fn subject(kind: Kind, url: &str, trusted: Option<&OsStr>) -> Option<Server> {
    let start: fn(&TempDir, u16, &str) -> Command = match kind {
        Kind::Direct => return None,
        Kind::Nginx => nginx::proxy,
        Kind::Bare => bare,
        Kind::Polpo => polpo,
    };
    Some(Server::start(|directory, port| {
        let mut command = start(directory, port, url);
        command.envs(trusted.map(|file| ("SSL_CERT_FILE", file)));
        command
    }))
}

fn bare(_: &TempDir, port: u16, url: &str) -> Command {
    let mut command = itself("--bare", port);
    command.args(["--url", url]);
    command
}

/// This program, as something else.
fn itself(role: &str, port: u16) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env_clear().args([role, &port.to_string()]);
    command
}

fn polpo(directory: &TempDir, port: u16, url: &str) -> Command {
    let keys: Vec<_> = (0..KEYS).map(|key| format!("sk-ant-api03-bench-{key}")).collect();
    let client = json!({"name": "bench", "key": KEY, "requestsPerMinute": MOST_REQUESTS});
    let config = json!({
        "providers": {"anthropic": {"apiKeys": keys, "baseUrl": url}},
        "settings": {"maxConcurrency": 100_000},
        "gateway": {"keys": [client]},
    });
    let path = directory.path().join("polpo.json");
    fs::write(&path, config.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_polpo"));
    command.env_clear().arg("--config").arg(path).arg("--state-dir").arg(directory.path());
    command.args(["serve", "--bind", &format!("127.0.0.1:{port}")]);
    command
}
