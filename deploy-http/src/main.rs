//! The binary: reads what it was asked to do, does it, and turns the outcome into an exit code. Everything else is in
//! the library.

use std::io;
use std::process::ExitCode;

use deploy_http::config::{Command, Stop, parse};
use deploy_http::{check, compose};

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match parse(std::env::args_os()) {
        Ok(Command::Serve(config)) => Box::pin(compose::serve(*config)).await,
        Ok(Command::Demo(demo)) => Box::pin(compose::demo(*demo)).await,
        Ok(Command::Check { dir, policy }) => {
            check::check(dir.as_deref(), policy.as_deref(), &mut io::stdout().lock())
        }
        Err(stop) => Err(stop),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop { code: 0, text }) => say(&mut io::stdout(), &text, 0),
        Err(Stop { code, text }) => say(&mut io::stderr(), &text, code),
    }
}

fn say(to: &mut dyn io::Write, text: &str, code: u8) -> ExitCode {
    // Nobody is left to tell where the output is closed.
    if writeln!(to, "{text}").is_err() {
        ExitCode::FAILURE
    } else {
        ExitCode::from(code)
    }
}
