//! The control socket of a running process: who asks it hears how its profiles stand now, and can
//! tend them. One line of JSON each way; only the owner of the state directory can connect.

mod client;
mod server;
mod wire;

use std::path::PathBuf;

use tokio::io::{self, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

pub(crate) use client::{Heard, ask_all};
pub use server::{Guard, Handles, serve};
pub(crate) use wire::{
    Answer, Ask, ClassStatus, Explained, Fate, Headroom, ProfileStatus, RankedStatus, Wanted,
    request,
};

use crate::state::StateDir;

/// Where the processes of a state directory have their sockets.
fn directory(state: &StateDir) -> PathBuf {
    state.file("run")
}

/// Reads a line of at most `most` bytes, without its end.
async fn read_line(from: impl AsyncRead + Unpin, most: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(from.take(most)).read_until(b'\n', &mut line).await?;
    if line.pop() != Some(b'\n') {
        let what = format!("there is no whole line of at most {most} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_is_read_to_its_end_and_no_further_than_it_may_be_long() {
        assert_eq!(read_line(&b"one\ntwo\n"[..], 4).await.unwrap(), b"one");
        for torn in [&b""[..], b"one", b"four\n"] {
            assert!(read_line(torn, 4).await.is_err(), "{torn:?}");
        }
    }
}
