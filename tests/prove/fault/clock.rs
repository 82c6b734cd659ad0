//! The clock of a server is set, forward and back.

use crate::check::What;
use crate::fault::Fault;
use crate::world::World;
use fastrand::Rng;
use std::time::{Duration, Instant};

/// Steps of the wall clock, by up to some seconds.
pub struct Step;

impl Step {
    /// Locks may be lost whenever it is set forward; it is set back before that, or after.
    fn step(world: &World, ms: i64) -> bool {
        let Some(clock) = &world.clock_of_servers else {
            return false;
        };
        world.note(What::MayLose);
        clock.set(ms);
        let is_set = until_read(world, ms);
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
        let none = world.clock_of_servers.is_none();
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
