//! What the server takes for a client that waits in line, beside what blocking it takes by itself.

use super::Options;
use super::crowd::Crowd;
use crate::common::support::{self, Setup};
use crate::service::bare;
use indicatif::ProgressBar;
use std::path::Path;
use std::time::{Duration, Instant};

/// The server makes the buffers of clients smaller that have been idle for so long, at the latest.
const SHRUNK: Duration = Duration::from_secs(8);

/// An owner's id, as long as Redisson's.
const OWNER: &str = "0c7b1f6e-5a3d-4e0b-9f55-3f9a6d1c2b84";

/// Measures, and prints the table. All crowds are of the same age, and have sent as much.
pub fn measure(options: &Options) {
    let size = usize::from(options.waiters);
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(100));
    bar.set_message("building the module that only blocks");
    let bare = bare::build().expect("the bare module is built");
    let setup = |module: &Path| {
        let module = format!("loadmodule {}", module.display());
        Setup::without_module().config(&module)
    };
    let mut crowds = [
        Crowd::new(Setup::without_module(), size),
        Crowd::new(setup(&bare), size),
        Crowd::new(setup(&support::module()), size),
    ];
    crowds[2].run("LOCK.ACQUIRE orders me 3600000");
    bar.set_message("waiting until the buffers of idle clients are small");
    let idle = settled(&mut crowds);
    // The server keeps the arguments of a client that a module blocks, so they are (nearly) as long.
    let line = |command: &str, number| format!("{command} orders {OWNER}:{number:04} 30000 WAIT 0");
    crowds[0].wait(|_| "BLPOP orders 0".to_owned());
    crowds[1].wait(|number| line("BARE.BLOCK", number));
    crowds[2].wait(|number| line("LOCK.ACQUIRE", number));
    let blocked = settled(&mut crowds);
    bar.finish_and_clear();

    let each = |at: usize| (blocked[at] as f64 - idle[at] as f64) / size as f64;
    let name = crowds[0].server_name();
    println!("\n{name}, memory: {size} clients");
    println!("bytes that the server takes for a client that waits, beyond those of an idle one\n");
    println!("{:42} {:9.0}", "BLPOP", each(0));
    println!("{:42} {:9.0}", "RM_BlockClient, and nothing else", each(1));
    println!("{:42} {:9.0}", "LOCK.ACQUIRE ... WAIT", each(2));
    println!();
    let above = each(2) - each(1);
    println!("above RM_BlockClient: {above:.0}, promised: 1024 at most");
}

/// What each server has taken, once none takes less any more.
fn settled(crowds: &mut [Crowd; 3]) -> [u64; 3] {
    let mut least = [u64::MAX; 3];
    let mut since = Instant::now();
    while since.elapsed() < SHRUNK {
        std::thread::sleep(Duration::from_millis(200));
        for (least, crowd) in least.iter_mut().zip(&mut *crowds) {
            let now = crowd.memory();
            if now < *least {
                *least = now;
                since = Instant::now();
            }
        }
    }
    least
}
