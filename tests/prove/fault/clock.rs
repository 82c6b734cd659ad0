//! The clock of a server is set, forward and back.

use crate::check::What;
use crate::fault::Fault;
use crate::world::World;
use fastrand::Rng;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where Debian's package `libfaketime` has the library that lets a server read a wrong time.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// What a server preloads so that its clock can be set, and that of its modules; or what is missing.
pub fn libraries() -> Result<String, String> {
    if !Path::new(LIBRARY).exists() {
        return Err("libfaketime is missing".to_owned());
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    // From target/PROFILE/deps/prove-...
    let profile = program.ancestors().nth(2).unwrap_or(Path::new("."));
    let scope = profile.join("examples/libone_scope.so");
    match scope.exists() {
        true => Ok(format!("{LIBRARY}:{}", scope.display())),
        false => Err("`cargo build --example one_scope` has not been run".to_owned()),
    }
}

/// Steps of the wall clock, by up to some seconds.
pub struct Step;

/// Has the servers read this as the difference of their clocks, in ms.
pub fn set(folder: &Path, ms: i64) -> std::io::Result<()> {
    // A server that reads it meanwhile reads the old or the new one.
    let new = folder.join("new");
    std::fs::write(&new, format!("{:+.3}", ms as f64 / 1000.0))?;
    std::fs::rename(new, folder.join("offset"))
}

impl Step {
    /// Locks may be lost whenever it is set forward; it is set back before that, or after.
    fn step(world: &World, ms: i64) -> bool {
        let Some(folder) = &world.clocks else {
            return false;
        };
        world.note(What::MayLose);
        let is_set = set(folder.path(), ms).is_ok() && until_read(world, ms);
        world.note(What::Keeps);
        is_set
    }
}

/// Waits until the servers have the new time.
fn until_read(world: &World, ms: i64) -> bool {
    let begun = Instant::now();
    let differs = |port: usize| {
        let reply = world.nodes[port].control()?.ask("TIME")?;
        let (seconds, micros): (i64, i64) = redis::from_redis_value(reply).ok()?;
        let here = std::time::UNIX_EPOCH.elapsed().ok()?.as_millis() as i64;
        Some((seconds * 1000 + micros / 1000 - here - ms).abs())
    };
    let is_near = |node| differs(node).is_some_and(|ms| ms < 50);
    while begun.elapsed() < Duration::from_secs(5) {
        if (0..world.nodes.len()).all(is_near) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

impl Fault for Step {
    fn name(&self) -> &'static str {
        "clock-step"
    }

    fn lacks(&self, world: &World) -> Option<String> {
        let none = world.clocks.is_none();
        none.then(|| "nothing sets the clocks".to_owned())
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let stepped = Step::step(world, rng.i64(-3000..3000));
        world.sleep(Duration::from_millis(rng.u64(..800)));
        stepped
    }

    fn calm(&mut self, world: &World) {
        Step::step(world, 0);
    }
}
