//! `polpo serve`: the gateway.

mod selfloop;
mod setup;

use std::time::Duration;

use tokio::signal::ctrl_c;
use tokio::time::timeout;

use self::setup::Setup;
use crate::cli::{Global, ServeArgs};
use crate::ending::{Ending, ignore_file_size_signal};
use crate::exit::{Exit, Stop};
use crate::out::{say, tell};
use crate::wiring;

/// How long requests under way may go on when the gateway ends: most answers take less, and
/// whoever restarts it does not wait much longer before he kills it.
const DRAIN: Duration = Duration::from_secs(30);

/// How long the last calls are waited for to be written down.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Serves until it is told to end.
///
/// # Errors
/// When it cannot begin, or its ledger cannot be written to its end.
pub async fn serve(global: &Global, args: &ServeArgs) -> Result<Exit, Stop> {
    let mut ending = Ending::listen().map_err(Stop::usage)?;
    ignore_file_size_signal();
    let setup = setup::open(global, args).await?;
    announce(&setup)?;
    let Setup {
        server,
        site,
        keys,
        watch,
        actors,
        writer,
        journal,
        vault,
        control: _control,
        place: _place,
        ..
    } = setup;
    let keeping = futures_util::future::join(wiring::watching(watch, actors.clone()), keys.keep());
    #[expect(clippy::disallowed_methods, reason = "it is waited for below")]
    let mut writing = tokio::spawn(writer.write(journal.clone()));
    let (handle, mut server) = (server.handle(), Box::pin(server));
    tokio::select! {
        ended = &mut server => ended.map_err(Stop::usage)?,
        _ = keeping => {}
        () = told_to_end(&mut ending) => {}
    }
    tell(format_args!("ending: what is under way has {} seconds more", DRAIN.as_secs()));
    let left = tokio::select! {
        left = site.drain.drain(DRAIN) => left,
        _ = &mut server => 0,
        () = told_to_end(&mut ending) => site.drain.drain(Duration::ZERO).await,
    };
    if left > 0 {
        tell(format_args!("{left} requests are cut off"));
    }
    tokio::select! {
        () = handle.stop(left == 0) => {}
        _ = &mut server => {}
    }
    drop((server, site)); // With them the last ledger is gone.
    vault.settled().await;
    actors.flush().await;
    let is_written = timeout(LAST_WORDS, &mut writing).await.is_ok();
    journal.close().await.map_err(Stop::not_written)?;
    if is_written {
        Ok(Exit::Success)
    } else {
        Err(Stop::not_written("the last calls could not be written down"))
    }
}

fn announce(setup: &Setup) -> Result<(), Stop> {
    say(format_args!("gateway at http://{}", setup.address))?;
    if setup.site.keys.is_open() {
        tell(
            "any key is taken, and from this machine only, as there is no client key yet; \
             `polpo gateway key add NAME` makes one",
        );
    }
    Ok(())
}

async fn told_to_end(ending: &mut Ending) {
    tokio::select! {
        () = ending.again() => {}
        _ = ctrl_c() => {}
    }
}
