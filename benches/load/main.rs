//! `polpo run` under load, beside a loop that does nothing but send the same requests.
//!
//! Both run by turns, each in a process of its own against a fresh `polpo simulate` in a third.
//! Linux only: what a process used is read from `/proc`.

#![expect(clippy::unwrap_used, reason = "what cannot be measured ends the measurement")]
#![expect(clippy::print_stdout, reason = "a table is what it is for")]

mod bare;
mod load;
mod process;

use clap::Parser;
use comfy_table::{Table, presets};

use bare::Loop;
use load::Load;
use process::{Ran, bare, polpo};

#[derive(Parser)]
struct Args {
    /// Tasks of a run.
    #[arg(long, default_value_t = 20_000)]
    tasks: usize,
    /// Tasks in flight.
    #[arg(long, default_value_t = 2_000)]
    concurrency: usize,
    /// Median latency of the simulator, in seconds.
    #[arg(long, default_value_t = 0.5)]
    latency: f64,
    /// Runs of each.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Is the loop itself, for the process that measures it.
    #[arg(long, hide = true)]
    bare: Option<String>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What a run came to.
#[derive(Clone, Copy)]
struct Figures {
    /// Of the ideal rate, between the 10th and the 90th percentile of completions.
    share: f64,
    /// Microseconds of our CPU a task, start-up aside.
    cpu: f64,
    /// KiB of our memory a task in flight, start-up aside.
    memory: f64,
    /// Microseconds of the simulator's CPU a task.
    simulator: f64,
}

type Run = fn(&Load) -> Ran;

const KINDS: [(&str, Run); 2] = [("polpo", polpo), ("bare", bare)];

fn main() {
    let args = Args::parse();
    let load = Load::new(args.tasks, args.concurrency, args.latency);
    if let Some(url) = args.bare {
        return Loop::new(&url, load).run();
    }
    let mean = load.mean_latency();
    let ideal = args.concurrency as f64 / mean;
    println!(
        "{} tasks, {} in flight, mean latency {mean:.4} s: ideally {ideal:.0} tasks a second",
        load.tasks, load.concurrency
    );
    let one = Load::new(1, 1, 0.0);
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "",
        "of the ideal rate",
        "CPU a task",
        "memory a task in flight",
        "simulator's CPU a task",
    ]);
    let mut all = [Vec::new(), Vec::new()];
    for round in 1..=args.rounds {
        for (ran, (name, run)) in all.iter_mut().zip(KINDS) {
            let figures = Figures::of(&run(&load), &run(&one), (&load, ideal));
            table.add_row(figures.row(&format!("{name} {round}")));
            ran.push(figures);
        }
    }
    let [ours, bare] = all.map(|ran| Figures::median(&ran));
    for (name, figures) in [("polpo, median", ours), ("bare, median", bare)] {
        table.add_row(figures.row(name));
    }
    let ratio = |of: fn(&Figures) -> f64| format!("{:.2}", of(&ours) / of(&bare));
    let [share, cpu, memory] = [ratio(|it| it.share), ratio(|it| it.cpu), ratio(|it| it.memory)];
    table.add_row(["polpo / bare", &share, &cpu, &memory, &ratio(|it| it.simulator)]);
    println!("{table}");
}

impl Figures {
    fn of(ran: &Ran, one: &Ran, (load, ideal): (&Load, f64)) -> Self {
        let tasks = load.tasks as f64;
        Self {
            share: ran.rate() / ideal,
            cpu: (ran.used.cpu - one.used.cpu) / tasks * 1e6,
            memory: (ran.used.memory - one.used.memory) / load.concurrency as f64 / 1024.0,
            simulator: (ran.simulator.cpu - one.simulator.cpu) / tasks * 1e6,
        }
    }

    /// The median of each.
    fn median(of: &[Self]) -> Self {
        let median = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<_> = of.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Self {
            share: median(|it| it.share),
            cpu: median(|it| it.cpu),
            memory: median(|it| it.memory),
            simulator: median(|it| it.simulator),
        }
    }

    fn row(self, name: &str) -> [String; 5] {
        let Self { share, cpu, memory, simulator } = self;
        [
            name.to_owned(),
            format!("{:.1} %", share * 100.0),
            format!("{cpu:.0} µs"),
            format!("{memory:.1} KiB"),
            format!("{simulator:.0} µs"),
        ]
    }
}
