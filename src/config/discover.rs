//! Which polpo.json holds.

use std::path::{Path, PathBuf};

use super::env::Env;
use super::error::ConfigError;

const FILE: &str = "polpo.json";
const VARIABLE: &str = "POLPO_CONFIG";

/// Where to look, the first that is there holds: `--config`, `POLPO_CONFIG`, beside the task file, in
/// the directory, in its `.polpo`.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// What `--config` says.
    pub explicit: Option<&'a Path>,
    /// The task file; `None` also when it is standard input.
    pub tasks: Option<&'a Path>,
    /// The working directory.
    pub directory: &'a Path,
}

/// The configuration file to load; `None` when there is none, which is no error.
///
/// # Errors
/// When `--config` or `POLPO_CONFIG` names a file that is not there.
pub fn discover(search: &Search<'_>, env: Env<'_>) -> Result<Option<PathBuf>, ConfigError> {
    if let Some(file) = search.explicit {
        return named(file, "--config").map(Some);
    }
    if let Some(file) = env(VARIABLE).filter(|file| !file.is_empty()) {
        return named(Path::new(&file), VARIABLE).map(Some);
    }
    let beside = search.tasks.map(|tasks| tasks.with_file_name(FILE));
    let here = search.directory.join(FILE);
    let hidden = search.directory.join(".polpo").join(FILE);
    Ok(beside.into_iter().chain([here, hidden]).find(|file| file.exists()))
}

fn named(file: &Path, by: &str) -> Result<PathBuf, ConfigError> {
    if file.exists() {
        return Ok(file.to_owned());
    }
    Err(ConfigError::File {
        file: file.to_owned(),
        problem: format!("there is no such file, but {by} names it"),
        advice: "correct the path, or create the file with `polpo init`".into(),
    })
}
