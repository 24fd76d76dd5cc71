//! An actix system, mostly with a paused clock, which takes an error in the log for a failure.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Longer than any test: a clock that has jumped here had nothing else to wait for.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Runs a test in virtual time: whenever nothing is left to do, the clock jumps to what is next.
#[track_caller]
pub(crate) fn simulate(test: impl AsyncFnOnce()) {
    let paused = || Builder::new_current_thread().enable_time().start_paused(true).build();
    run(move || paused().unwrap(), test);
}

/// Runs a test in real time, as sockets need it.
#[track_caller]
pub(crate) fn in_real_time(test: impl AsyncFnOnce()) {
    run(|| Builder::new_current_thread().enable_all().build().unwrap(), test);
}

#[track_caller]
fn run(runtime: impl Fn() -> Runtime, test: impl AsyncFnOnce()) {
    let failed = Arc::new(AtomicBool::new(false));
    let subscriber = tracing_subscriber::registry().with(ErrorAlarm(failed.clone()));
    let _logs = tracing::subscriber::set_default(subscriber);
    let runner = actix::System::with_tokio_rt(runtime);
    let test = async { timeout(FOR_EVER, test()).await.expect("it waits for ever") };
    let outcome = catch_unwind(AssertUnwindSafe(|| runner.block_on(test)));
    // A scheduler that is dropped by a panic ends the process, and all other tests with it.
    drop(runner);
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
    assert!(!failed.load(Ordering::Relaxed), "an error was logged");
}

struct ErrorAlarm(Arc<AtomicBool>);

impl<S: Subscriber> Layer<S> for ErrorAlarm {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
