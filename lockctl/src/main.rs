//! Runs commands under reentrant locks of Redis and Valkey, and shows and releases locks.
//!
//! What it does, its options and its exit statuses are described in docs/lockctl.md.

#[cfg(not(target_os = "linux"))]
compile_error!("lockctl needs Linux: it ends a command with its parent by PR_SET_PDEATHSIG");

/// Writes a line to stderr. If nobody reads it any more, the work goes on.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "lockctl: {}", format_args!($($text)*));
    }};
}

mod args;
mod held;
mod info;
mod ls;
mod metrics;
mod release;
mod run;
mod servers;
mod status;
mod text;
mod top;

use args::{Action, Cli};
use clap::Parser;
use status::{FAILED, Failure};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => return failed(&usage(&error)),
    };
    let outcome = match cli.action {
        // These two open no connection.
        Action::Exec(args) => Ok(run::exec::become_command(args)),
        Action::Guard(args) => run::guard::watch(args),
        action => cli.connect.target().and_then(|target| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.map_err(|error| Failure(format!("cannot start: {error}")))?;
            runtime.block_on(async {
                match action {
                    Action::Run(args) => run::run(&target, args).await,
                    Action::Ls(args) => ls::ls(&target, args).await,
                    Action::Info(args) => info::info(&target, args).await,
                    Action::Release(args) => release::release(&target, args).await,
                    Action::Top(args) => top::top(target, args).await,
                    Action::Metrics(args) => metrics::metrics(target, args).await,
                    Action::Exec(_) | Action::Guard(_) => Ok(0),
                }
            })
        }),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    say!("{failure}");
    ExitCode::from(FAILED)
}

/// What is wrong with the arguments, in one line.
fn usage(error: &clap::Error) -> Failure {
    use clap::error::ErrorKind::{DisplayHelpOnMissingArgumentOrSubcommand, MissingSubcommand};
    if matches!(
        error.kind(),
        DisplayHelpOnMissingArgumentOrSubcommand | MissingSubcommand
    ) {
        return Failure::new(
            "say what to do: run, ls, info, release, top or metrics; --help says more",
        );
    }
    let text = error.render().to_string();
    let about = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = about
        .trim_start_matches("error: ")
        .split_whitespace()
        .collect();
    Failure(format!("{}; --help says more", words.join(" ")))
}

/// Prints to stdout. A reader that has gone, such as `head`, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write};
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure(format!(
            "cannot write to the standard output: {error}"
        ))),
        _ => Ok(()),
    }
}
