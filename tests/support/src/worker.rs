//! Workers that share a lock, each as a process would that takes it again and again.

use crate::{eventually, Client, Server};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A worker, which goes on until it is told to stop.
pub struct Worker {
    stop: Arc<AtomicBool>,
    holds: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts one. `hold` takes the lock, calls what it is given, and releases the lock.
    pub fn start(
        server: &Server,
        mut hold: impl FnMut(&mut dyn FnMut()) + Send + 'static,
    ) -> Worker {
        let stop = Arc::new(AtomicBool::new(false));
        let holds = Arc::new(AtomicU64::new(0));
        let (stopped, count, mut client) = (stop.clone(), holds.clone(), server.client());
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                hold(&mut || sell(&mut client));
                count.fetch_add(1, Ordering::Relaxed);
                // It has other things to do. With never a gap in a wait queue, who polls beside it
                // would not get a turn.
                thread::sleep(Duration::from_millis(5));
            }
        });
        Worker {
            stop,
            holds,
            thread,
        }
    }

    /// Lets it finish what it does, and says how often it has held the lock.
    pub fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.holds.load(Ordering::Relaxed)
    }

    fn holds(&self) -> u64 {
        self.holds.load(Ordering::Relaxed)
    }
}

/// Waits until each has had the lock some more times, since nobody is to starve.
pub fn until_all_have_worked(workers: &[Worker]) {
    let before: Vec<u64> = workers.iter().map(Worker::holds).collect();
    eventually("each worker gets its turns", || {
        let failed = workers.iter().any(|worker| worker.thread.is_finished());
        assert!(!failed, "a worker has failed");
        let mut each = workers.iter().zip(&before);
        each.all(|(worker, before)| worker.holds() >= before + 5)
    });
}

/// Prepares what the workers do.
pub fn nothing_sold(client: &mut Client) {
    client.run("MSET sold 0 inside 0");
}

/// What a lock is for: steps between which nobody else may come.
fn sell(client: &mut Client) {
    assert_eq!(client.int("INCR inside"), 1, "there are two holders");
    let sold = client.int("GET sold");
    client.run(&format!("SET sold {}", sold + 1));
    assert_eq!(client.int("DECR inside"), 0, "there are two holders");
}
