//! The signals that lockctl gets.

use crate::status::Failure;
use signal_hook::consts::signal::{
    SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Cause;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Those that end a program, as they are meant here.
pub const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// Those that only the command knows the meaning of.
const OTHERS: [i32; 5] = [SIGALRM, SIGCONT, SIGUSR1, SIGUSR2, SIGWINCH];

/// A signal.
#[derive(Debug, Clone, Copy)]
pub struct Got {
    pub signal: i32,
    /// From the terminal, and not from a process.
    pub by_kernel: bool,
}

/// The signals, in the order in which they came.
pub struct Signals(UnboundedReceiver<Got>);

impl Signals {
    /// Has them delivered here from now on.
    pub fn catch() -> Result<Signals, Failure> {
        let failed = |error| Failure(format!("cannot catch signals: {error}"));
        // `nohup`, and a shell that starts a job in the background, have some of them ignored: so they stay, for the
        // command too.
        let ignored = ignored();
        let caught = ENDING.iter().chain(&OTHERS);
        let caught = caught.filter(|signal| ignored & (1 << (**signal - 1)) == 0);
        let mut signals = SignalsInfo::<WithOrigin>::new(caught).map_err(failed)?;
        let (sender, receiver) = unbounded_channel();
        let thread = std::thread::Builder::new().name("signals".to_owned());
        let spawned = thread.spawn(move || {
            for origin in signals.forever() {
                let got = Got {
                    signal: origin.signal,
                    by_kernel: matches!(origin.cause, Cause::Kernel),
                };
                if sender.send(got).is_err() {
                    return;
                }
            }
        });
        spawned.map_err(failed)?;
        Ok(Signals(receiver))
    }

    /// The next one.
    pub async fn next(&mut self) -> Got {
        match self.0.recv().await {
            Some(got) => got,
            None => std::future::pending().await,
        }
    }

    /// The next one that ends a program. The others mean nothing while no command runs.
    pub async fn ending(&mut self) -> i32 {
        loop {
            let signal = self.next().await.signal;
            if ENDING.contains(&signal) {
                return signal;
            }
        }
    }
}

/// The signals that this process was started to ignore, a bit each.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
