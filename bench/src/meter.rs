//! What servers and workers have taken: time of the processor, memory, commands, bytes.

use crate::core::threads;
use crate::service::Service;
use lock_test_support::Client;
use std::time::Duration;

/// What a server still does after its last reply (it writes to replicas, and goes to sleep) takes less than this.
const SETTLED: Duration = Duration::from_micros(500);

/// A reading of everything that only grows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Nanoseconds that the servers' threads were on a core.
    pub cpu: u64,
    /// Commands that Redis servers have run.
    pub commands: u64,
    /// Bytes that Redis servers have read and written.
    pub bytes: u64,
}

/// Reads what a service takes.
pub struct Meter {
    pids: Vec<u32>,
    probes: Vec<Client>,
    /// What one reading itself adds.
    own: Reading,
}

impl Meter {
    /// Of this service. Only Redis servers tell of their commands.
    pub fn new(service: &dyn Service) -> Meter {
        let urls = service.urls();
        let redis = urls.iter().filter(|url| url.starts_with("redis://"));
        let mut meter = Meter {
            pids: service.pids(),
            probes: redis.map(|url| Client::new(url)).collect(),
            own: Reading::default(),
        };
        let (_, first) = (meter.start(), meter.start());
        let second = meter.start();
        meter.own.commands = second.commands - first.commands;
        meter.own.bytes = second.bytes - first.bytes;
        meter
    }

    /// Reads these processes from now on: some servers start one for each connection.
    pub fn watch(&mut self, pids: Vec<u32>) {
        self.pids = pids;
    }

    /// Whether the service tells of commands and bytes.
    pub fn counts_commands(&self) -> bool {
        !self.probes.is_empty()
    }

    /// Before something is measured: asking is not part of it.
    pub fn start(&mut self) -> Reading {
        let (commands, bytes) = self.counters();
        let cpu = self.cpu();
        Reading {
            cpu,
            commands,
            bytes,
        }
    }

    /// What has been taken since.
    pub fn since(&mut self, start: &Reading) -> Reading {
        let cpu = self.cpu();
        let (commands, bytes) = self.counters();
        Reading {
            cpu: cpu.saturating_sub(start.cpu),
            commands: commands.saturating_sub(start.commands + self.own.commands),
            bytes: bytes.saturating_sub(start.bytes + self.own.bytes),
        }
    }

    /// The nanoseconds so far, once the servers are idle: for a thread that runs, the kernel brings the number up to date
    /// only now and then.
    pub fn cpu(&self) -> u64 {
        std::thread::sleep(SETTLED);
        self.pids.iter().map(|&pid| on_cpu(pid)).sum()
    }

    /// The memory that the servers have taken, in bytes: what Redis counts itself, else what is resident.
    pub fn memory(&mut self) -> u64 {
        if self.probes.is_empty() {
            return self.resident();
        }
        let used = self
            .probes
            .iter_mut()
            .map(|probe| number(probe, "memory", "used_memory"));
        used.sum()
    }

    /// The memory that is resident, in bytes.
    pub fn resident(&self) -> u64 {
        self.pids.iter().map(|&pid| resident(pid)).sum()
    }

    fn counters(&mut self) -> (u64, u64) {
        let mut sums = (0, 0);
        for probe in &mut self.probes {
            let text = probe.run("INFO stats");
            let field = |name: &str| -> u64 {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|rest| rest.strip_prefix(':')?.trim().parse().ok())
                    .unwrap_or(0)
            };
            sums.0 += field("total_commands_processed");
            sums.1 += field("total_net_input_bytes") + field("total_net_output_bytes");
        }
        sums
    }
}

/// A number of INFO.
pub fn number(client: &mut Client, section: &str, field: &str) -> u64 {
    let text = client.info(section, field).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// How many nanoseconds all threads of a process were on a core.
pub fn on_cpu(pid: u32) -> u64 {
    let of = |thread: i32| -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    threads(pid).into_iter().filter_map(of).sum()
}

/// How many nanoseconds a process was on a core, with its threads that have ended. The kernel tells it in ticks of some
/// milliseconds.
pub fn on_cpu_in_all(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, which may hold spaces, is in brackets.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: u64 = fields
        .skip(USER_TIME)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second()
}

/// Where the time in user mode is in `/proc/PID/stat`, counted from the state; that in the kernel follows.
const USER_TIME: usize = 11;

/// The memory of a process that is resident, in bytes; of what it shares with others, its part.
fn resident(pid: u32) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = maps.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_thread_that_has_ended_counts_among_what_a_process_has_taken() {
        let this = std::process::id();
        let before = on_cpu_in_all(this);
        let busy = std::thread::spawn(|| {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(100) {}
        });
        busy.join().unwrap();
        assert!(on_cpu_in_all(this) - before >= 20_000_000);
    }
}
