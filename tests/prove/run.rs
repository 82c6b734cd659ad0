//! Runs a scenario: rounds of clients and faults, each with new names, judged while the next one goes on.

use crate::aftermath;
use crate::check::What;
use crate::client::actor::Style;
use crate::client::{pipeline, waiter};
use crate::fault::{plan, Fault};
use crate::judge::{judge, Verdict};
use crate::record::{Event, Journal};
use crate::scenario::{Scenario, Sessions};
use crate::world::{lock, World};
use fastrand::Rng;
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{sync_channel, SyncSender};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long, and what of it.
#[derive(Debug, Clone)]
pub struct Settings {
    pub seed: u64,
    pub time: Duration,
    /// So many operations under each fault at least, however long that takes.
    pub operations: u64,
    /// Only these faults; empty: all.
    pub faults: Vec<String>,
    /// What a self-test does to what was recorded.
    pub tamper: fn(&mut Vec<Event>),
}

/// What there is to say of a fault.
#[derive(Debug, Default, Clone, Copy)]
pub struct Injected {
    /// How often it was tried, and how often it happened.
    pub tried: u64,
    pub times: u64,
    /// The operations of the rounds in which it did.
    pub operations: u64,
}

/// How a scenario went.
#[derive(Debug, Default)]
pub struct Outcome {
    pub rounds: u64,
    pub took: Duration,
    pub verdict: Verdict,
    pub faults: BTreeMap<&'static str, Injected>,
    /// The faults that these servers cannot have, and why.
    pub lacking: BTreeMap<&'static str, String>,
    /// Why the scenario does not apply.
    pub skipped: Option<String>,
    /// How many inputs a random client has tried.
    pub inputs: u64,
    /// What else there is to say.
    pub said: Option<String>,
    /// What is wrong besides what the checker finds.
    pub failure: Option<String>,
}

impl Outcome {
    /// Whether no promise was broken.
    pub fn is_good(&self) -> bool {
        self.verdict.broken.is_empty() && self.failure.is_none()
    }
}

/// Runs a scenario, whatever it does.
pub fn run(scenario: &Scenario, settings: &Settings) -> Outcome {
    let outcome = Mutex::new(Outcome::default());
    let begun = Instant::now();
    let ran = catch_unwind(AssertUnwindSafe(|| {
        if let Some(instead) = scenario.instead {
            *lock(&outcome) = instead(settings);
            return;
        }
        let world = match (scenario.start)() {
            Ok(world) => world,
            Err(why) => {
                lock(&outcome).skipped = Some(why);
                return;
            }
        };
        rounds(scenario, settings, &world, &outcome, begun);
        let mut outcome = lock(&outcome);
        outcome.failure = outcome.failure.take().or_else(|| world.failure());
        if outcome.is_good() {
            aftermath::nothing_is_stored(&world, scenario);
            outcome.failure = (scenario.finally)(&world).err();
        }
    }));
    let mut outcome = outcome
        .into_inner()
        .unwrap_or_else(|poison| poison.into_inner());
    outcome.took = begun.elapsed();
    if let Err(panic) = ran {
        outcome.failure.get_or_insert(text_of(&*panic));
    }
    outcome
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
    text.unwrap_or_else(|| "a panic".to_owned())
}

/// What was recorded in a round, and which faults there were.
struct Round {
    events: Vec<Event>,
    /// How often each was tried, and how often it happened.
    faults: BTreeMap<&'static str, [u64; 2]>,
}

/// A fault that was tried so often, and did not happen, never will.
const IN_VAIN: u64 = 30;

fn rounds(
    scenario: &Scenario,
    settings: &Settings,
    world: &World,
    outcome: &Mutex<Outcome>,
    begun: Instant,
) {
    let lacking = scenario.faults();
    let lacking = lacking
        .iter()
        .filter_map(|fault| Some((fault.name(), fault.lacks(world)?)));
    lock(outcome).lacking = lacking.collect();
    // Not more than one waits: who records is not to run away from who judges.
    let (done, to_judge) = sync_channel::<Round>(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for round in to_judge {
                let verdict = judge(round.events, &scenario.promises);
                let mut outcome = lock(outcome);
                outcome.rounds += 1;
                for (name, [tried, times]) in round.faults {
                    let fault = outcome.faults.entry(name).or_default();
                    fault.tried += tried;
                    fault.times += times;
                    if times > 0 {
                        fault.operations += verdict.operations;
                    }
                    if fault.times == 0 && fault.tried >= IN_VAIN {
                        let failure =
                            format!("{name} never happened, and was tried {IN_VAIN} times");
                        outcome.failure.get_or_insert(failure);
                    }
                }
                outcome.verdict.add(verdict);
            }
        });
        let mut rng = Rng::with_seed(settings.seed);
        let wanted: Vec<&'static str> = wanted(scenario.faults(), settings, world)
            .iter()
            .map(|fault| fault.name())
            .collect();
        // Those that are never drawn are told of, too.
        for name in &wanted {
            lock(outcome).faults.entry(name).or_default();
        }
        loop {
            round(scenario, settings, world, &mut rng, &done);
            let outcome = lock(outcome);
            let enough = wanted.iter().all(|name| {
                let injected = outcome.faults.get(name);
                injected.map_or(0, |it| it.operations) >= settings.operations
            });
            let is_over = begun.elapsed() + scenario.crowd.round / 2 >= settings.time && enough;
            if is_over || !outcome.is_good() || world.failure().is_some() {
                break;
            }
        }
        drop(done);
    });
}

/// The faults that these servers can have, and that are asked for.
fn wanted(
    mut faults: Vec<Box<dyn Fault>>,
    settings: &Settings,
    world: &World,
) -> Vec<Box<dyn Fault>> {
    faults.retain(|fault| {
        let named = settings.faults.iter().any(|name| name == fault.name());
        (named || settings.faults.is_empty()) && fault.lacks(world).is_none()
    });
    faults
}

fn round(
    scenario: &Scenario,
    settings: &Settings,
    world: &World,
    rng: &mut Rng,
    done: &SyncSender<Round>,
) {
    let crowd = scenario.crowd;
    let threads = crowd.pipelines + crowd.waiters;
    let while_open = scenario.promises.sessions == Sessions::WhileOpen;
    let injected = Mutex::new(BTreeMap::new());
    let mut journals: Vec<Journal> = (0..threads)
        .map(|thread| Journal::new(world.clock, thread, threads))
        .collect();
    world.begin();
    let is_whole = std::thread::scope(|scope| {
        let mut at_work = Vec::new();
        for (number, journal) in journals.iter_mut().enumerate() {
            let rng = rng.fork();
            let style = Style {
                crowd,
                waits: number >= crowd.pipelines,
                while_open,
            };
            at_work.push(scope.spawn(move || match style.waits {
                true => waiter::run(world, number, style, journal, rng),
                false => pipeline::run(world, number, style, journal, rng),
            }));
        }
        for faults in &scenario.troublemakers {
            let (seed, injected) = (rng.u64(..), &injected);
            let faults = wanted(faults(), settings, world);
            let pause = scenario.pause;
            at_work.push(scope.spawn(move || trouble(faults, pause, world, seed, injected)));
        }
        world.sleep(crowd.round);
        world.end();
        let ended: Vec<_> = at_work.into_iter().map(|thread| thread.join()).collect();
        let panicked = ended.into_iter().find_map(Result::err);
        if let Some(panic) = &panicked {
            world.fail(text_of(&**panic));
        }
        panicked.is_none()
    });
    if is_whole && world.failure().is_none() {
        aftermath::nobody_is_left(world);
    }
    let mut events = world.take_events();
    events.extend(journals.into_iter().flat_map(|journal| journal.events));
    (settings.tamper)(&mut events);
    let faults = std::mem::take(&mut *lock(&injected));
    // It only ends before this where it has panicked, which is told of by itself.
    let _ = done.send(Round { events, faults });
}

/// Makes one fault after the other, and undoes what is left of them in the end.
fn trouble(
    mut faults: Vec<Box<dyn Fault>>,
    longest_pause: Duration,
    world: &World,
    seed: u64,
    injected: &Mutex<BTreeMap<&'static str, [u64; 2]>>,
) {
    for step in plan(seed, faults.len(), longest_pause) {
        world.sleep(step.pause);
        if world.is_over() {
            break;
        }
        let fault = &mut faults[step.fault];
        world.note(What::Fault(fault.name().to_owned()));
        let happened = fault.inject(world, &mut Rng::with_seed(step.seed));
        let mut injected = lock(injected);
        let [tried, times] = injected.entry(fault.name()).or_default();
        *tried += 1;
        *times += u64::from(happened);
    }
    for fault in &mut faults {
        fault.calm(world);
    }
}
