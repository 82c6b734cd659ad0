//! What goes wrong: the faults, and the plan by which a seed draws them.

pub mod clients;
pub mod clock;
pub mod cluster;
pub mod data;
pub mod migration;
pub mod network;
pub mod process;
pub mod replication;
pub mod sentinel;
pub mod settings;

use crate::world::World;
use fastrand::Rng;
use std::time::Duration;

/// One kind of fault. Each troublemaker has its own, so that several go on at the same time.
pub trait Fault: Send {
    /// Its name, in reports and for `--faults`.
    fn name(&self) -> &'static str;

    /// Why it cannot happen to these servers, if it cannot.
    fn lacks(&self, world: &World) -> Option<String> {
        let _ = world;
        None
    }

    /// Makes it happen, and returns when it is over or goes on by itself. What the checker has to know is recorded by
    /// [`World::note`]. False: it did not come to it, and is not counted.
    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool;

    /// Undoes what may be left of it: after that, the servers answer.
    fn calm(&mut self, world: &World) {
        let _ = world;
    }
}

/// What a troublemaker does next: so long nothing, and then a fault, with a seed of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub pause: Duration,
    pub fault: usize,
    pub seed: u64,
}

/// The steps that follow from a seed, of so many faults. Each comes once before any comes twice.
pub fn plan(seed: u64, faults: usize, longest_pause: Duration) -> impl Iterator<Item = Step> {
    let mut rng = Rng::with_seed(seed);
    let mut left: Vec<usize> = Vec::new();
    std::iter::from_fn(move || {
        if faults == 0 {
            return None;
        }
        if left.is_empty() {
            left.extend(0..faults);
            rng.shuffle(&mut left);
        }
        Some(Step {
            pause: longest_pause.mul_f64(rng.f64()),
            fault: left.pop()?,
            seed: rng.u64(..),
        })
    })
}
