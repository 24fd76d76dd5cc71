//! `polpo serve` in a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::upstream::Upstream;

const BINARY: &str = env!("CARGO_BIN_EXE_polpo");

/// A gateway with one credential, whose calls go to an upstream.
pub(crate) struct Gateway {
    pub(crate) address: String,
    child: Child,
    _directory: TempDir,
}

impl Gateway {
    pub(crate) fn start(upstream: &Upstream) -> Self {
        Self::with(upstream, json!({}))
    }

    /// With this under `gateway` in its polpo.json.
    pub(crate) fn with(upstream: &Upstream, gateway: Value) -> Self {
        Self::launch(upstream, &gateway, Command::new(BINARY))
    }

    /// With so many file descriptors.
    pub(crate) fn cramped(upstream: &Upstream, descriptors: usize) -> Self {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")).arg(BINARY);
        Self::launch(upstream, &json!({}), command)
    }

    fn launch(upstream: &Upstream, gateway: &Value, mut command: Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("polpo.json");
        let base = format!("http://{}", upstream.address);
        let provider = json!({"apiKey": "sk-of-the-pool", "baseUrl": base});
        let config = json!({"providers": {"anthropic": provider}, "gateway": gateway});
        std::fs::write(&path, config.to_string()).unwrap();
        let command = command
            .env_clear()
            .env("HOME", directory.path())
            .env("POLPO_STATE_DIR", directory.path().join("state"))
            .arg("--config")
            .arg(&path)
            .args(["serve", "--bind", "127.0.0.1:0"]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        let address = first.trim().rsplit_once("http://").expect("an address").1.to_owned();
        Self { address, child, _directory: directory }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
