//! The command line.

use crate::servers::Target;
use crate::status::{BUSY, Failure, LOST};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

/// The longest time that is taken, in seconds: more than a hundred years.
const LONGEST: f64 = 4e9;

/// What every help text ends with. docs/lockctl.md has the same words in a table.
const STATUSES: &str = "\
Exit status:
    0  done
    1  release, info: the lock was free
  120  run: the lock was not free in time. --conflict-exit-code sets another status
  121  run: the lock was lost: the command was ended, or may have run beside another holder
  122  lockctl failed: no server, no module, no right, a wrong argument, or nobody confirmed
  126  run: the command cannot be run
  127  run: the command was not found
128+n  run: the command, or the wait for the lock, was ended by the signal n
       run: any other status is that of the command";

/// Runs commands under reentrant locks of Redis and Valkey, and shows and releases locks.
#[derive(Debug, Parser)]
#[command(name = "lockctl", version, after_help = STATUSES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub connect: Connect,
    #[command(subcommand)]
    pub action: Action,
}

/// Where the locks are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connect {
    /// The server: redis://[user:password@]host[:port][/database], or unix:///path. Repeat it, or separate several by
    /// commas, for the sentinels or for nodes of a cluster. Without it: LOCKCTL_URL, then REDIS_URL of the environment,
    /// then redis://127.0.0.1:6379
    #[arg(long, value_name = "URL", global = true, value_delimiter = ',')]
    pub url: Vec<String>,
    /// Ask the sentinels at --url for the master of this name. User, password and database of the first --url are the
    /// master's
    #[arg(long, value_name = "NAME", global = true, conflicts_with = "cluster")]
    pub sentinel: Option<String>,
    /// The password of the sentinels themselves, if they have one. Without it: LOCKCTL_SENTINEL_PASSWORD
    #[arg(long, value_name = "PASSWORD", global = true)]
    pub sentinel_password: Option<String>,
    /// The servers at --url are nodes of a cluster; one suffices
    #[arg(long, global = true)]
    pub cluster: bool,
}

impl Connect {
    /// Checks it. Nothing is connected yet.
    pub fn target(&self) -> Result<Target, Failure> {
        let mut urls = self.url.clone();
        if urls.is_empty() {
            let set = ["LOCKCTL_URL", "REDIS_URL"]
                .into_iter()
                .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
            let set = set.unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
            urls = set.split(',').map(|url| url.trim().to_owned()).collect();
        }
        match &self.sentinel {
            Some(name) => {
                let set = std::env::var("LOCKCTL_SENTINEL_PASSWORD").ok();
                let password = self.sentinel_password.clone().or(set);
                Target::sentinel(&urls, name, password.as_deref())
            }
            None if self.cluster => Target::cluster(&urls),
            None => Target::one(&urls),
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Run a command while holding a lock
    #[command(after_help = STATUSES)]
    Run(Run),
    /// List the locks that are held
    #[command(after_help = STATUSES)]
    Ls(Ls),
    /// Show who holds a lock, and who waits for it
    #[command(after_help = STATUSES)]
    Info(Info),
    /// Free a lock whoever holds it
    #[command(after_help = STATUSES)]
    Release(Release),
    /// Watch the wait queues, waits and hand-overs live
    #[command(after_help = STATUSES)]
    Top(Top),
    /// Print the counters of the servers in the text format of Prometheus
    #[command(after_help = STATUSES)]
    Metrics(Metrics),
    /// Becomes the command of `run`: see run/exec.rs.
    #[command(name = "internal-exec", hide = true)]
    Exec(Exec),
    /// Ends the processes of `run` should that be killed: see run/guard.rs.
    #[command(name = "internal-guard", hide = true)]
    Guard(Guard),
}

#[derive(Debug, Args)]
pub struct Run {
    /// The name of the lock: its key on the server
    pub name: OsString,
    /// Wait for the lock at most so many seconds, such as 10 or 0.5; 0 is --no-wait. Without it: as long as it takes
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub wait: Option<Duration>,
    /// Do not wait: fail at once if the lock is held
    #[arg(long, conflicts_with = "wait")]
    pub no_wait: bool,
    /// The lease of the session in milliseconds, 1000 or more: so long the lock outlives a crash of the server, and so
    /// soon a silent server counts as a loss. The server renews it. Without it: lock.default-ttl of the server
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1000..1 << 53), allow_negative_numbers = true)]
    pub ttl: Option<u64>,
    /// When the lock is lost, the command gets TERM, and KILL so many seconds later
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds, allow_negative_numbers = true)]
    pub kill_after: Duration,
    /// The exit status if the lock is not free in time, 0 to 255
    #[arg(long, value_name = "STATUS", default_value_t = BUSY)]
    pub conflict_exit_code: u8,
    /// The process group of the command
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Group::Auto)]
    pub process_group: Group,
    /// The command and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The process group of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// `shared` if there is a controlling terminal, else `own`
    Auto,
    /// A new one: signals and the end by a loss reach all the processes in it
    Own,
    /// That of lockctl: the keys of the terminal work as they do without lockctl
    Shared,
}

#[derive(Debug, Args)]
pub struct Ls {
    /// Only locks whose names match, as SCAN's MATCH: * ? [abc]
    #[arg(default_value = "*")]
    pub pattern: OsString,
    /// Print an object in JSON per line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Info {
    /// The name of the lock
    pub name: OsString,
    /// Print an object in JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Release {
    /// The name of the lock
    pub name: OsString,
    /// Required: only its holder releases a lock otherwise. If that is still working, two work from then on
    #[arg(long, required = true)]
    pub force: bool,
    /// Do not ask. Required without a terminal
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Top {
    /// Print one frame as text, after one interval. This is also done when the output is no terminal
    #[arg(long)]
    pub once: bool,
    /// Ask the servers again after so many seconds, 0.1 or more
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval, allow_negative_numbers = true)]
    pub interval: Duration,
    /// Show at most so many wait queues of each server, 1 to 10000
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub count: u32,
}

#[derive(Debug, Args)]
pub struct Metrics {
    /// Serve them by HTTP at /metrics of this address, such as 127.0.0.1:9911, instead of printing them once
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub struct Exec {
    #[arg(long)]
    pub parent: i32,
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct Guard {
    #[arg(long)]
    pub group: i32,
}

fn seconds(text: &str) -> Result<Duration, String> {
    span(text, 0.0)
}

fn interval(text: &str) -> Result<Duration, String> {
    span(text, 0.1)
}

fn span(text: &str, least: f64) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(number) if (least..=LONGEST).contains(&number) => Ok(Duration::from_secs_f64(number)),
        _ => Err(format!(
            "it must be a number of seconds from {least} to {LONGEST}"
        )),
    }
}

/// The statuses that this page of help names are those of the code.
const _: () = assert!(BUSY == 120 && LOST == 121 && crate::status::FAILED == 122);

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn spans_of_time_are_numbers_of_seconds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["-1", "nan", "inf", "1e30", "5s", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert!(interval("0.05").is_err());
    }
}
