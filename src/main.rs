//! The `polpo` binary.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use polpo::cli::{Cli, Command};
use polpo::exit::{Exit, Stop};
use polpo::{chat, commands, logs, out, run, serve};

/// A request has hundreds of short-lived allocations: a seventh of its time with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logs::start(&cli.global, matches!(cli.command, Command::Serve(_)));
    // Actors stay on this thread; connections and tasks use all cores.
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.enable_all().build().unwrap_or_else(|error| {
            tracing::error!(%error, "the runtime cannot be started");
            std::process::exit(i32::from(Exit::Usage.code()))
        })
    };
    let outcome = actix::System::with_tokio_rt(runtime).block_on(execute(cli));
    match outcome {
        Ok(exit) => exit.into(),
        Err(stop) => {
            out::tell(format_args!("polpo: {}", stop.message));
            stop.exit.into()
        }
    }
}

async fn execute(cli: Cli) -> Result<Exit, Stop> {
    match &cli.command {
        Command::Init => commands::init::init(),
        Command::Run(args) => Box::pin(run::run(&cli.global, args)).await,
        Command::Serve(args) => Box::pin(serve::serve(&cli.global, args)).await,
        Command::Gateway(command) => commands::gateway::gateway(&cli.global, command).await,
        Command::Chat(args) => Box::pin(chat::chat(&cli.global, args)).await,
        Command::Simulate(args) => commands::simulate::simulate(args).await,
        Command::Auth(command) => Box::pin(commands::auth::auth(&cli.global, command)).await,
        Command::Models(command) => commands::models::models(&cli.global, command).await,
        Command::Cost(args) => commands::cost::cost(&cli.global, args).await,
        Command::Config(command) => commands::config::config(&cli.global, *command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "polpo", &mut script);
            out::say(String::from_utf8_lossy(&script).trim_end())?;
            Ok(Exit::Success)
        }
    }
}
