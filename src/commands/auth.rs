//! `polpo auth`: credentials stored, shown, tested and mended.

mod add;
mod check;
mod explain;
mod list;
mod login;
mod logout;
mod oauth;
mod tend;
mod test;

use crate::cli::{AuthCommand, Global};
use crate::exit::{Exit, Stop};

/// Runs the command.
///
/// # Errors
/// When it cannot do what it is asked.
pub async fn auth(global: &Global, command: &AuthCommand) -> Result<Exit, Stop> {
    match command {
        AuthCommand::Add(args) => add::add(global, args).await,
        AuthCommand::Login(args) => login::login(global, args).await,
        AuthCommand::List(args) => list::list(global, args).await,
        AuthCommand::Test(args) => test::test(global, args).await,
        AuthCommand::Explain(args) => explain::explain(global, args).await,
        AuthCommand::Clear(args) => tend::tend(global, args, tend::Care::Clear).await,
        AuthCommand::Disable(args) => tend::tend(global, args, tend::Care::Hold).await,
        AuthCommand::Enable(args) => tend::tend(global, args, tend::Care::Release).await,
        AuthCommand::Logout(args) => logout::logout(global, args),
    }
}
