//! Reading the bodies of requests, within bounds of size, time and memory.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::fault::Fault;

/// What memory is counted in: a semaphore has not enough permits to count bytes.
const UNIT: usize = 1024;

/// Bytes a second of the slowest line. A body that takes longer than the largest one over such a
/// line is not coming: two minutes for 32 MB.
const SLOWEST: usize = 256 * 1024;

/// Silence after which nothing more is expected.
const SILENCE: Duration = Duration::from_secs(20);

/// How much of a body that is too large is read and thrown away, in bodies of the largest size:
/// clients look for the answer when they have sent everything.
const EXCESS: usize = 4;

/// A body, and its share of the memory.
pub(super) struct Held {
    pub(super) bytes: Bytes,
    pub(super) memory: OwnedSemaphorePermit,
}

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is larger than the API takes.
    TooLarge,
    /// There is no memory for it now.
    NoMemory,
    /// It does not come.
    TooSlow,
    /// It is not what the headers say, or the client hung up.
    Broken,
}

/// The memory for bodies: about `bytes`, a permit for each kilobyte.
#[must_use]
pub fn memory(bytes: u64) -> Arc<Semaphore> {
    let units = usize::try_from(bytes / UNIT as u64).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS)))
}

/// Reads the body of a request, of at most `most` bytes.
///
/// # Errors
/// When it does not come, or is more than there is room for.
pub(super) async fn of(
    request: &HttpRequest,
    payload: Payload,
    most: usize,
    memory: &Arc<Semaphore>,
) -> Result<Held, Fault> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(coding) = header("content-encoding").filter(|coding| *coding != "identity") {
        let message =
            format!("Content-Encoding {coding} is not supported: send the body as it is.");
        return Err(Fault::lasting(400, "invalid_request_error", message));
    }
    let length = header("content-length").and_then(|length| length.parse().ok());
    Ok(read(payload, length, most, memory).await?)
}

/// Reads a body of at most `most` bytes, of which the headers claim `length`.
async fn read(
    mut payload: Payload,
    length: Option<usize>,
    most: usize,
    memory: &Arc<Semaphore>,
) -> Result<Held, Unread> {
    let end = Instant::now() + Duration::from_secs((most / SLOWEST) as u64);
    if length.is_some_and(|length| length > most) {
        discard(payload, end, most).await;
        return Err(Unread::TooLarge);
    }
    let (mut whole, mut held) = (BytesMut::new(), room(memory, 0)?);
    let mut first = Bytes::new();
    while let Some(chunk) = next(&mut payload, end).await? {
        let size = first.len() + whole.len() + chunk.len();
        if size > most {
            discard(payload, end, most).await;
            return Err(Unread::TooLarge);
        }
        let Ok(more) = room(memory, size.saturating_sub(held.num_permits() * UNIT)) else {
            drop((first, whole, held));
            discard(payload, end, most).await;
            return Err(Unread::NoMemory);
        };
        held.merge(more);
        if size == chunk.len() {
            first = chunk; // Often all of it, which then is not copied.
            continue;
        }
        if !first.is_empty() {
            whole.reserve(length.unwrap_or(size).min(most));
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&chunk);
    }
    let bytes = if first.is_empty() { whole.freeze() } else { first };
    Ok(Held { bytes, memory: held })
}

/// A share of the memory for so many bytes.
///
/// # Errors
/// When there is not so much.
pub(super) fn room(memory: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Unread> {
    let units = u32::try_from(bytes.div_ceil(UNIT)).map_err(|_| Unread::NoMemory)?;
    memory.clone().try_acquire_many_owned(units).map_err(|_| Unread::NoMemory)
}

async fn next(payload: &mut Payload, end: Instant) -> Result<Option<Bytes>, Unread> {
    let silent = end.min(Instant::now() + SILENCE);
    let next = timeout_at(silent, payload.next()).await.map_err(|_| Unread::TooSlow)?;
    next.transpose().map_err(|_| Unread::Broken)
}

async fn discard(mut payload: Payload, end: Instant, most: usize) {
    let mut left = most.saturating_mul(EXCESS);
    while let Ok(Some(chunk)) = next(&mut payload, end).await {
        match left.checked_sub(chunk.len()) {
            Some(less) => left = less,
            None => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::error::PayloadError;
    use actix_web::test::TestRequest;
    use actix_web::{FromRequest as _, dev};
    use futures_util::stream;
    use tokio::time::sleep;

    /// The largest body; it may take two minutes.
    const MOST: usize = 120 * SLOWEST;

    /// A part of it: it has 64.
    const PART: usize = MOST / 64;

    /// Reads a body of which a part comes after each of these pauses, and then what `end` says.
    async fn paced(
        pauses: &[u64],
        end: Option<Result<Bytes, PayloadError>>,
        memory: &Arc<Semaphore>,
    ) -> Result<Held, Unread> {
        let chunks: Vec<_> = pauses.iter().map(|seconds| Duration::from_secs(*seconds)).collect();
        let chunks = stream::iter(chunks).then(async |pause| {
            sleep(pause).await;
            Ok(Bytes::from_static(&[b'x'; PART]))
        });
        let end = match end {
            Some(end) => stream::once(async { end }).left_stream(),
            None => stream::pending().right_stream(),
        };
        let payload = Box::pin(chunks.chain(end));
        let request = TestRequest::post().to_http_request();
        let payload = Payload::from_request(&request, &mut dev::Payload::Stream { payload });
        read(payload.await.unwrap(), None, MOST, memory).await
    }

    fn finished() -> Option<Result<Bytes, PayloadError>> {
        Some(Ok(Bytes::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_come_slowly_but_not_stop_or_drip() {
        let (memory, began) = (memory(MOST as u64), Instant::now());
        let held = paced(&[19; 6], finished(), &memory).await.unwrap();
        let left = (MOST - 6 * PART) / UNIT;
        assert_eq!((held.bytes.len(), memory.available_permits()), (6 * PART, left));
        drop(held);
        assert_eq!(began.elapsed().as_secs(), 6 * 19);
        for (pauses, gives_up_after) in [(vec![1, 1], 22), (vec![1, 30], 21), (vec![15; 60], 120)] {
            let began = Instant::now();
            let unread = paced(&pauses, None, &memory).await.err();
            assert_eq!(unread, Some(Unread::TooSlow), "{pauses:?}");
            assert_eq!(began.elapsed().as_secs(), gives_up_after, "{pauses:?}");
        }
        assert_eq!(memory.available_permits(), MOST / UNIT, "all is given back");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_kept_is_read_all_the_same_so_that_the_client_hears_why() {
        let (memory, began) = (memory(10 * PART as u64), Instant::now());
        let unread = paced(&[1; 20], finished(), &memory).await.err();
        assert_eq!((unread, began.elapsed().as_secs()), (Some(Unread::NoMemory), 20));
        let plenty = super::memory(2 * MOST as u64);
        let unread = paced(&[1; 100], finished(), &plenty).await.err();
        assert_eq!((unread, began.elapsed().as_secs()), (Some(Unread::TooLarge), 120));
        let unread = paced(&[0; 1000], None, &plenty).await.err();
        assert_eq!(unread, Some(Unread::TooLarge));
        assert_eq!(began.elapsed().as_secs(), 120, "but not for ever");
        let left = (memory.available_permits(), plenty.available_permits());
        assert_eq!(left, (10 * PART / UNIT, 2 * MOST / UNIT));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_none() {
        let broken = Some(Err(PayloadError::Incomplete(None)));
        assert_eq!(paced(&[0; 3], broken, &memory(MOST as u64)).await.err(), Some(Unread::Broken));
    }
}
