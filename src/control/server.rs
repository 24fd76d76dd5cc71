//! The side of the running process.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix::{Addr, MailboxError, Recipient};
use polpo_agents::messages::{Care, Explain, Report, Tend};
use polpo_agents::scheduler::Scheduler;
use polpo_policy::id::{LimitClass, ProfileId, ProviderId};
use polpo_policy::pool::Obstacle;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::wire::{Answer, Ask, Explained, ProfileStatus, Wanted, request};
use super::{directory, read_line};
use crate::state::StateDir;

/// Those who ask at once are a person, perhaps a few scripts; more wait their turn.
const CONNECTIONS: usize = 8;

/// Processes that share a number and a state directory; more are not likely.
const NAMES: usize = 8;

/// Ten thousand names of profiles are not longer.
const LONGEST_ASK: u64 = 1 << 20;

/// For a line each way on one machine; longer, and somebody only holds a place.
const DEADLINE: Duration = Duration::from_secs(5);

/// After a failure to accept, which out of descriptors would come again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Whom the control socket speaks for.
#[derive(Clone)]
pub struct Handles {
    report: Recipient<Report>,
    explain: Recipient<Explain>,
    tend: Recipient<Tend>,
}

/// A control socket, which is gone when this is dropped.
#[must_use = "the socket is closed when this is dropped"]
pub struct Guard {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_file(&self.path); // Whatever stays is swept by the next process.
    }
}

/// Listens on this process's control socket, and removes those of processes that are gone. Without
/// one the process works as well, but `polpo auth` does not see it: that is a warning.
pub fn serve(state: &StateDir, handles: Handles) -> Option<Guard> {
    let directory = directory(state);
    let path = free_path(&directory);
    let listener = bind(&directory, &path)
        .inspect_err(|error| {
            let path = path.display();
            let is_too_long = error.kind() == io::ErrorKind::InvalidInput;
            let advice = if is_too_long { "; choose a shorter --state-dir" } else { "" };
            tracing::warn!(
                "`polpo auth` will not see this process: {path} cannot be made: {error}{advice}"
            );
        })
        .ok()?;
    let own = path.clone();
    #[expect(clippy::disallowed_methods, reason = "the guard aborts it")]
    let task = tokio::spawn(async move {
        sweep(&directory, &own).await;
        listen(listener, handles).await;
    });
    Some(Guard { path, task })
}

/// A path with our number where nobody answers: a process of another container that shares the
/// directory may have the same number.
fn free_path(directory: &Path) -> PathBuf {
    let own = std::process::id();
    let path = |count: usize| match count {
        0 => directory.join(format!("{own}.sock")),
        _ => directory.join(format!("{own}-{count}.sock")),
    };
    let is_free = |path: &PathBuf| std::os::unix::net::UnixStream::connect(path).is_err();
    (0..NAMES).map(path).find(is_free).unwrap_or_else(|| path(NAMES))
}

/// A socket that only its owner can connect to.
fn bind(directory: &Path, path: &Path) -> io::Result<UnixListener> {
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {} // Of an earlier process with our number.
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn sweep(directory: &Path, own: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_socket = path.extension().is_some_and(|it| it == "sock") && path != own;
        let is_refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if is_socket && UnixStream::connect(&path).await.is_err_and(is_refused) {
            let _ = fs::remove_file(&path);
        }
    }
}

async fn listen(listener: UnixListener, handles: Handles) {
    let mut conversations = JoinSet::new();
    loop {
        if conversations.len() >= CONNECTIONS {
            conversations.join_next().await;
        }
        while conversations.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let talk = talk(stream, handles.clone());
                // One that fails has nobody left to tell.
                conversations.spawn(async { timeout(DEADLINE, talk).await.is_ok() });
            }
            Err(error) => {
                tracing::debug!(%error, "the control socket accepts no connection");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn talk(mut stream: UnixStream, handles: Handles) -> io::Result<()> {
    let answer = match read_line(&mut stream, LONGEST_ASK).await {
        Ok(line) => match serde_json::from_slice(&line) {
            Ok(ask) => handles.answer(ask).await,
            Err(error) => Answer::Refused(format!("this is nothing to be asked: {error}")),
        },
        Err(error) => Answer::Refused(error.to_string()),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.shutdown().await
}

impl Handles {
    /// Speaks for a scheduler and its profiles.
    #[must_use]
    pub fn of(scheduler: &Addr<Scheduler>) -> Self {
        let (report, explain) = (scheduler.clone().recipient(), scheduler.clone().recipient());
        Self { report, explain, tend: scheduler.clone().recipient() }
    }

    /// Answers.
    pub(crate) async fn answer(&self, ask: Ask) -> Answer {
        let answer = match ask {
            Ask::Status => self.report.send(Report).await.map(|reports| {
                Answer::Status(reports.into_iter().map(ProfileStatus::from).collect())
            }),
            Ask::Explain { models, session } => {
                let explanation = self.explain.send(Explain(request(models, session))).await;
                explanation.map(|it| Answer::Explained(Explained::from(it)))
            }
            Ask::Clear { profiles } => self.tend(profiles, Care::Clear).await,
            Ask::Disable { profiles } => self.tend(profiles, Care::Hold).await,
            Ask::Enable { profiles } => self.tend(profiles, Care::Release).await,
        };
        answer.unwrap_or_else(|_| Answer::Refused("the process is about to end".to_owned()))
    }

    /// What keeps each profile of these providers from serving a class of models, if anything does.
    pub(crate) async fn obstacles(
        &self,
        providers: &[ProviderId],
        class: &LimitClass,
    ) -> Vec<Obstacle> {
        let wanted = |provider: &ProviderId| Wanted::of(provider.clone(), class.clone());
        let models = providers.iter().map(wanted).collect();
        let explained = self.explain.send(Explain(request(models, None))).await;
        let ranking = explained.map(|it| it.ranking).unwrap_or_default();
        ranking.into_iter().filter_map(|ranked| ranked.obstacle).collect()
    }

    async fn tend(&self, profiles: Vec<ProfileId>, care: Care) -> Result<Answer, MailboxError> {
        let mut tended = Vec::new();
        for profile in profiles {
            if self.tend.send(Tend { profile: profile.clone(), care }).await? {
                tended.push(profile);
            }
        }
        Ok(Answer::Tended(tended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_answers_is_left_alone_and_one_that_does_not_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let first = free_path(directory);
        let listener = bind(directory, &first).unwrap();
        let second = free_path(directory);
        assert_ne!(second, first);
        drop(listener);
        assert_eq!(free_path(directory), first);
        assert!(bind(directory, &first).is_ok());
    }
}
