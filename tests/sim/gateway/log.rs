//! The line of log on a request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polpo_upstream::error::TransportError;
use tokio::time::timeout;
use tracing::field::{Field, Visit};
use tracing::subscriber::set_default;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::front::{Ask, Front};
use crate::reply::{Canned, Step, begins, error_event, refuses, says};
use crate::system::simulate;

/// The fields of each line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Line>>>);

#[derive(Debug, Default)]
struct Line(BTreeMap<&'static str, String>);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "polpo::access" {
            let mut line = Line::default();
            event.record(&mut line);
            self.0.lock().unwrap().push(line);
        }
    }
}

/// Status, error and outcome as they are logged when a client that has so many seconds is answered
/// so.
fn logged(reply: Canned, patience: u64) -> [String; 3] {
    let log = Log::default();
    simulate(async || {
        let _logs = set_default(tracing_subscriber::registry().with(log.clone()));
        let front = Front::new(&["a"]).await;
        front.world.script.on("a", [reply.clone()]);
        let hearing = front.hear(&Ask::stream("hi"));
        let _ = timeout(Duration::from_secs(patience), hearing).await; // It may hang up.
        front.close().await;
    });
    let mut lines = std::mem::take(&mut *log.0.lock().unwrap());
    assert_eq!(lines.len(), 1, "{lines:?}");
    ["status", "error", "outcome"].map(|name| lines[0].0.remove(name).unwrap_or_default())
}

#[test]
fn the_status_is_what_the_client_got_and_an_error_in_its_stream_is_told_beside_it() {
    let invalid = || refuses(400, "invalid_request_error", "no");
    let cut = Step::Fail(TransportError::Broken);
    for (reply, expected) in [
        (says("fine"), ["200", "", "succeeded"]),
        (says("late").after(50), ["200", "", "succeeded"]),
        (invalid(), ["400", "", "invalid_request"]),
        (invalid().after(50), ["200", "400", "invalid_request"]),
        (begins("fi").then(error_event("overloaded_error")), ["200", "529", "overloaded"]),
        (begins("fi").then(cut), ["200", "500", "network"]),
        (begins("fi").then(Step::Silence), ["200", "", "cancelled"]),
        (says("later").after(500), ["200", "", "cancelled"]),
    ] {
        assert_eq!(logged(reply.clone(), 100), expected, "{reply:?}");
    }
    assert_eq!(logged(says("late").after(30), 20), ["", "", "cancelled"]);
}
