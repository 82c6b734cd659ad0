//! How long the server's main thread was on a core.

use super::support::Server;
use std::path::PathBuf;
use std::time::Duration;

/// What a server still does after its last reply (it writes to replicas, and goes to sleep) takes
/// less than this.
const SETTLED: Duration = Duration::from_micros(300);

/// Reads the CPU time of a server's main thread.
pub struct Gauge {
    schedstat: PathBuf,
}

impl Gauge {
    /// For this server.
    pub fn new(server: &Server) -> Gauge {
        let pid = server.pid();
        let schedstat = PathBuf::from(format!("/proc/{pid}/task/{pid}/schedstat"));
        Gauge { schedstat }
    }

    /// The nanoseconds so far, once the server is idle: for a thread that runs, the kernel brings
    /// the number up to date only now and then. `INFO cpu` has microseconds only, and asking costs
    /// the server itself as much as some ten pairs.
    pub fn read(&self) -> u64 {
        std::thread::sleep(SETTLED);
        let text = std::fs::read_to_string(&self.schedstat)
            .expect("this needs Linux, with /proc/PID/schedstat");
        let on_cpu = text.split(' ').next().expect("the first of three numbers");
        on_cpu.parse().expect("a number")
    }
}
