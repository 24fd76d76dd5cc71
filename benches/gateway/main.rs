//! The gateway under load, beside nginx and the least that a proxy of the same make does.
//!
//! Each is a process of its own, as are the upstream and the generator, and all take turns, each
//! time with fresh processes. Linux only: what a process used is read from `/proc`.

#![expect(clippy::unwrap_used, reason = "what cannot be measured ends the measurement")]
#![expect(clippy::print_stdout, reason = "tables are what it is for")]

mod bare;
mod canned;
mod client;
mod measure;
mod nginx;
mod report;
mod scenario;
mod subject;
mod upstream;
mod used;
mod wire;

use std::time::Duration;

use clap::Parser;
use tokio::runtime::Runtime;

use measure::Place;
use report::Figures;
use scenario::{Extent, Scenario};
use subject::{Kind, Server};
use upstream::Pace;

#[derive(Parser)]
struct Args {
    /// One short round with fewer streams.
    #[arg(long)]
    quick: bool,
    /// Only this scenario.
    #[arg(long)]
    only: Option<String>,
    /// Only these subjects.
    #[arg(long, value_enum, default_values_t = Kind::ALL)]
    subject: Vec<Kind>,
    /// Rounds of each scenario.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Is the upstream itself, at this port.
    #[arg(long, hide = true)]
    upstream: Option<u16>,
    #[command(flatten)]
    pace: Pace,
    /// Is the bare proxy itself, at this port.
    #[arg(long, hide = true)]
    bare: Option<u16>,
    /// Where it passes on to.
    #[arg(long, hide = true, default_value = "")]
    url: String,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    if let Some(port) = args.upstream {
        return upstream::serve(port, args.pace);
    }
    if let Some(port) = args.bare {
        return bare::serve(port, &args.url);
    }
    let (extent, rounds) = if args.quick {
        (Extent { time: Duration::from_secs(1), streams: 200 }, 1)
    } else {
        (Extent { time: Duration::from_secs(5), streams: 1000 }, args.rounds)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let here: Vec<_> = args.subject.iter().filter(|kind| kind.is_here()).collect();
    let wanted = |scenario: &&Scenario| args.only.as_deref().is_none_or(|it| it == scenario.name);
    for scenario in scenario::ALL.iter().filter(wanted) {
        let subjects = here.iter().filter(|kind| scenario.subjects.contains(kind));
        let mut rows: Vec<_> = subjects.map(|kind| (**kind, Vec::new())).collect();
        for _ in 0..rounds {
            for (kind, figures) in &mut rows {
                figures.extend(measured(scenario, *kind, (&runtime, extent)));
            }
        }
        println!("### {}\n", scenario.title);
        println!("{}\n", report::table(scenario.columns, &rows, scenario.compared));
    }
}

/// Measures one subject once; nothing without nginx where that is the front.
fn measured(
    scenario: &Scenario,
    kind: Kind,
    (runtime, extent): (&Runtime, Extent),
) -> Option<Figures> {
    if scenario.front && !nginx::is_here() {
        return None;
    }
    let upstream = subject::upstream(scenario.pace);
    let mut url = format!("http://127.0.0.1:{}", upstream.port);
    let front = scenario.front.then(|| Server::start(|at, port| nginx::front(at, port, &url)));
    if let Some(front) = &front {
        url = format!("https://127.0.0.1:{}", front.port);
    }
    let trusted = front.as_ref().map(|front| front.directory.path().join("authority.pem"));
    let subject = subject::subject(kind, &url, trusted.as_deref().map(AsRef::as_ref));
    let place = Place {
        runtime,
        pace: scenario.pace,
        upstream: &upstream,
        front: front.as_ref(),
        subject: subject.as_ref(),
    };
    Some((scenario.measure)(&place, extent))
}
