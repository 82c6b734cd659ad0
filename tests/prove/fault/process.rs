//! What happens to the server's process: it stands still, it is killed and started again.

use crate::fault::Fault;
use crate::world::World;
use fastrand::Rng;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `SIGSTOP`, and `SIGCONT` after a while.
pub struct Stop {
    /// The longest standstill, in ms.
    pub most: u64,
}

impl Fault for Stop {
    fn name(&self) -> &'static str {
        "server-stop"
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let node = &world.nodes[rng.usize(..world.nodes.len())];
        // Nobody restarts it meanwhile.
        let server = node.server();
        server.signal(libc::SIGSTOP);
        std::thread::sleep(Duration::from_millis(rng.u64(1..=self.most)));
        server.signal(libc::SIGCONT);
        true
    }
}

/// What the server has of the last writes when it is started again after `kill -9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// Everything that it has replied to.
    All,
    /// What it may happen to have written: the append-only file is cut short at a random place of its last part, as by
    /// the loss of the host. (`kill -9` alone loses nothing that was written to the file.)
    CutFile,
    /// The last snapshot.
    Snapshot,
    Nothing,
}

/// `kill -9`, and a restart.
pub struct Crash {
    pub stored: Stored,
}

impl Fault for Crash {
    fn name(&self) -> &'static str {
        match self.stored {
            Stored::All => "kill-9",
            Stored::CutFile => "kill-9 and a file cut short",
            Stored::Snapshot => "kill-9 and an old snapshot",
            Stored::Nothing => "kill-9 and nothing stored",
        }
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let node = &world.nodes[rng.usize(..world.nodes.len())];
        if self.stored == Stored::Snapshot {
            node.say("BGSAVE");
            world.sleep(Duration::from_millis(rng.u64(..300)));
        }
        let (stored, mut rng) = (self.stored, rng.fork());
        node.kill_and_restart(world, move |server| {
            if stored == Stored::CutFile {
                cut(server.dir(), &mut rng);
            }
        })
    }
}

/// Cuts the last append-only file short, by up to half of it.
fn cut(dir: &Path, rng: &mut Rng) {
    let Ok(files) = std::fs::read_dir(dir.join("appendonlydir")) else {
        return;
    };
    // While it is rewritten there are two; the others must be whole.
    let number = |path: &PathBuf| -> Option<u64> {
        let name = path.file_name()?.to_str()?.strip_suffix(".incr.aof")?;
        name.rsplit('.').next()?.parse().ok()
    };
    let paths = files.filter_map(|file| Some(file.ok()?.path()));
    let numbered = paths.filter_map(|path| Some((number(&path)?, path)));
    let last = numbered.max().map(|(_, path)| path);
    let file = last.and_then(|path| std::fs::File::options().write(true).open(path).ok());
    if let Some(file) = file {
        let length = file.metadata().map_or(0, |data| data.len());
        let lost = rng.u64(..=length / 2);
        // What cannot be cut is whole, which is one of the outcomes.
        let _ = file.set_len(length - lost);
    }
}
