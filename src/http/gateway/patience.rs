//! How long a client waits.

use std::time::Duration;

use chrono::TimeDelta;
use http::HeaderMap;
use polpo_policy::limits::Timestamp;

use super::Site;

/// What is left of a client's time for the answer, when the wait for a profile has used up the rest.
const FOR_ANSWER: Duration = Duration::from_secs(10);

/// Until when a request with these headers waits for a profile.
pub(super) fn deadline(site: &Site, headers: &HeaderMap) -> Timestamp {
    let timeout = headers.get("x-stainless-timeout").and_then(|value| value.to_str().ok());
    let patience = patience(timeout, site.max_queue);
    site.clock.now() + TimeDelta::from_std(patience).unwrap_or(TimeDelta::MAX)
}

/// How long a request waits whose client gives up after `timeout` seconds, as the official SDKs say
/// in `x-stainless-timeout`.
fn patience(timeout: Option<&str>, longest: Duration) -> Duration {
    let timeout = timeout.and_then(|seconds| seconds.trim().parse::<f64>().ok());
    let timeout = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    timeout.map_or(longest, |timeout| longest.min(timeout.saturating_sub(FOR_ANSWER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_as_long_as_its_client_less_ten_seconds_and_never_longer_than_set() {
        let minute = Duration::from_secs(60);
        for (timeout, seconds) in [
            (None, 60),
            (Some("600"), 60),
            (Some("30"), 20),
            (Some("30.0"), 20),
            (Some("5"), 0),
            (Some("never"), 60),
            (Some("-1"), 60),
            (Some("NaN"), 60),
        ] {
            assert_eq!(patience(timeout, minute).as_secs(), seconds, "{timeout:?}");
        }
    }
}
