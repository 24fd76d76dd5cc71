//! The end from outside: a process is told to end, or its terminal was closed.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears of the end.
pub(crate) struct Ending {
    terminate: Signal,
    hangup: Signal,
    has_come: bool,
}

impl Ending {
    /// Begins to listen: from now on the signals do not kill.
    ///
    /// # Errors
    /// When that is not possible.
    pub(crate) fn listen() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let hangup = signal(SignalKind::hangup())?;
        Ok(Self { terminate, hangup, has_come: false })
    }

    /// Resolves when the end has come, and from then on at once.
    pub(crate) async fn come(&mut self) {
        if !self.has_come {
            self.again().await;
            self.has_come = true;
        }
    }

    /// Resolves when it is told to end once more.
    pub(crate) async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Keeps the signal for a file that grows beyond `ulimit -f` from killing the process: the write
/// then fails, which is said.
pub(crate) fn ignore_file_size_signal() {
    /// The number of SIGXFSZ on Linux and macOS.
    const SIGXFSZ: i32 = 25;
    // Without the handler the signal kills, which loses nothing either.
    drop(signal(SignalKind::from_raw(SIGXFSZ)));
}
