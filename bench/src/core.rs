//! Which core runs what: the servers have one, the workers and this program the others.

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};

/// The core that is left to the servers, so that neither a worker nor this program disturbs their caches; none where
/// there is only one.
pub struct Core(Option<usize>);

impl Core {
    /// Moves this program, and with it all that it will start, to the other cores.
    pub fn reserve() -> Core {
        let Ok(mut others) = sched_getaffinity(None) else {
            return Core(None);
        };
        let first = (0..CpuSet::MAX_CPU).find(|&core| others.is_set(core));
        let core = first.filter(|_| others.count() > 1);
        if let Some(core) = core {
            others.unset(core);
            if sched_setaffinity(None, &others).is_err() {
                return Core(None);
            }
        }
        Core(core)
    }

    /// None: everything runs anywhere.
    #[cfg(test)]
    pub fn none() -> Core {
        Core(None)
    }

    /// Gives it to all threads of a process, and so to what they start later.
    pub fn give(&self, pid: u32) {
        let Some(core) = self.0 else { return };
        let mut only = CpuSet::new();
        only.set(core);
        for thread in threads(pid) {
            // A thread that has just ended needs no core.
            let _ = sched_setaffinity(Pid::from_raw(thread), &only);
        }
    }
}

/// The threads of a process.
pub fn threads(pid: u32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.collect()
}
