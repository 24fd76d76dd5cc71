//! The side of those who ask.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::wire::{Answer, Ask};
use super::{directory, read_line};
use crate::state::StateDir;

/// A process that runs answers in a millisecond; one that hangs shall not hold up who asks.
const PATIENCE: Duration = Duration::from_secs(2);

/// A hundred thousand profiles are not longer.
const LONGEST_ANSWER: u64 = 64 << 20;

/// What a process answered.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) pid: u32,
    pub(crate) answer: Answer,
}

/// Asks every process that runs on a state directory, in the order of their numbers; those that
/// are gone or do not answer are left out.
pub(crate) async fn ask_all(state: &StateDir, ask: &Ask) -> Vec<Heard> {
    let mut heard = Vec::new();
    for (pid, path) in sockets(&directory(state)) {
        match timeout(PATIENCE, ask_one(&path, ask)).await {
            Ok(Ok(Answer::Refused(why))) => {
                tracing::warn!(pid, "a running polpo process gave no answer: {why}");
            }
            Ok(Ok(answer)) => heard.push(Heard { pid, answer }),
            Ok(Err(error)) if is_gone(&error) => {}
            Ok(Err(error)) => {
                tracing::warn!(pid, %error, "a running polpo process cannot be asked")
            }
            Err(_) => tracing::warn!(pid, "a running polpo process does not answer"),
        }
    }
    heard
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

fn sockets(directory: &Path) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let socket = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".sock")?;
        // One that is not the first with its number has a count after it.
        let number = name.split_once('-').map_or(name, |(number, _)| number).parse().ok()?;
        Some((number, path))
    };
    let mut sockets: Vec<_> = entries.filter_map(|entry| socket(entry.path())).collect();
    sockets.sort();
    sockets
}

async fn ask_one(path: &Path, ask: &Ask) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(path).await?;
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let answer = read_line(&mut stream, LONGEST_ANSWER).await?;
    Ok(serde_json::from_slice(&answer)?)
}
