//! Clients that no longer take what they are sent.

use std::net::TcpListener;
use std::time::Duration;

#[cfg(target_os = "linux")]
use socket2::SockRef;

/// How long a client may have no room for more of its answer: the official SDKs give up a request
/// after ten minutes, too.
pub const LONGEST_STALL: Duration = Duration::from_secs(600);

/// Has the kernel cut a connection whose other side has had no room for so long. Nobody else sees it:
/// a server that cannot write does not poll the body, so nothing in there could give it up.
/// Connections inherit it from their listener.
#[cfg(target_os = "linux")]
pub(super) fn limit(listener: &TcpListener, longest: Duration) {
    if let Err(error) = SockRef::from(listener).set_tcp_user_timeout(Some(longest)) {
        tracing::warn!(%error, "clients that take nothing are not cut off");
    }
}

/// Elsewhere kernels have no such limit.
#[cfg(not(target_os = "linux"))]
pub(super) fn limit(_: &TcpListener, _: Duration) {}
