//! What a user of the task file can rely on.

mod effective;
mod errors;
mod files;

use std::cell::Cell;
use std::path::{Path, PathBuf};

use super::*;
use crate::config::{Accounts, Config, load};

/// Two agents, and models of Claude only.
const CONFIG: &str = r#"{
  "agents": [
    { "name": "solver", "systemPrompt": "Be brief.", "maxTokens": 1000 },
    { "name": "judge", "model": "claude-opus-4-6" },
  ],
  "settings": { "modelAllowlist": ["claude-*"] },
}"#;

struct World {
    directory: tempfile::TempDir,
    config: Config,
    /// How often an expectation was compiled.
    compiled: Cell<u32>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("polpo.json");
        std::fs::write(&file, CONFIG).unwrap();
        let config = load(Some(&file), Accounts::Real, &|_| None).unwrap();
        Self { directory, config, compiled: Cell::new(0) }
    }

    fn file(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join("tasks.jsonl");
        std::fs::write(&path, content).unwrap();
        path
    }

    fn scan(&self, path: &Path) -> Result<Scan, InputError> {
        let check = |spec: &polpo_policy::expect::ExpectSpec| {
            self.compiled.set(self.compiled.get() + 1);
            match &spec.regex {
                Some(regex) if regex.contains('(') => Err("the regex has an open group".to_owned()),
                Some(_) | None => Ok(()),
            }
        };
        let agent = &self.config.agents[0];
        scan(path, &Rules { config: &self.config, agent, check_expect: &check })
    }

    fn scan_text(&self, content: impl AsRef<[u8]>) -> Result<Scan, InputError> {
        self.scan(&self.file(content))
    }

    /// What the scan says, the directory left out.
    fn told(&self, content: impl AsRef<[u8]>) -> String {
        let error = self.scan_text(content).expect_err("the file is accepted").to_string();
        error.replace(&format!("{}/", self.directory.path().display()), "")
    }

    fn effective(&self, line: &str) -> Effective {
        Effective::of(parse_task(line).unwrap(), &self.config, &self.config.agents[0]).unwrap()
    }
}
