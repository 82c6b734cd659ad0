//! The one place that runs the engine, and then carries out its effects.

use super::effects::carry_out;
use crate::engine::{Effects, Engine, Event, Settings, Step};
use crate::module::ffi::clock::clock;
use crate::module::ffi::gil::Gil;
use crate::module::keyspace::Data;
use redis_module::raw::RedisModuleCtx;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The engine, and the effects that were not carried out yet. While they are in use the server may call the module
/// again: see [`INBOX`].
static CORE: Gil<Core> = Gil::new(Core {
    engine: Engine::new(),
    effects: Effects::new(),
});

struct Core {
    engine: Engine,
    effects: Effects,
}

/// What has happened and was not noted yet. The server calls back in the middle of our own calls, when the engine is in
/// use: opening a key that has expired deletes it, and raises an event. Another module that is told of an event may do
/// anything.
static INBOX: Gil<Vec<Event>> = Gil::new(Vec::new());

/// The settings as they were set last, which can be read at any time. The engine learns them by an event.
static SETTINGS: Gil<Settings> = Gil::new(Settings::new());

/// Whether something is in the inbox. Every command asks.
static HAS_MAIL: AtomicBool = AtomicBool::new(false);

/// Begins anew, when the module is loaded, and forgets what was not noted or carried out.
pub fn restart(settings: Settings, cluster: bool, master: bool) {
    HAS_MAIL.store(false, Relaxed);
    INBOX.with(Vec::clear);
    SETTINGS.with(|known| known.clone_from(&settings));
    CORE.with(|core| {
        core.effects.clear();
        core.engine.restart(settings, cluster, master);
        #[cfg(feature = "planted-faults")]
        plant(&mut core.engine);
    });
}

/// The fault that a test plants in the engine.
#[cfg(feature = "planted-faults")]
fn plant(engine: &mut Engine) {
    let name = std::env::var("LOCK_PLANTED_FAULT").ok();
    engine.planted = name.and_then(|name| crate::engine::PlantedFault::by_name(&name));
}

/// Gives back all memory, when the module is unloaded.
pub fn forget() {
    INBOX.with(|inbox| drop(std::mem::take(inbox)));
    SETTINGS.with(|settings| *settings = Settings::new());
    CORE.with(|core| {
        core.engine.forget();
        core.effects = Effects::new();
    });
}

/// Reads something of the engine.
pub fn read<R>(reader: impl FnOnce(&Engine) -> R) -> R {
    CORE.with(|core| reader(&core.engine))
}

/// The same, unless the engine is in use.
pub fn read_if_free<R>(reader: impl FnOnce(&Engine) -> R) -> Option<R> {
    CORE.try_with(|core| reader(&core.engine))
}

/// Reads the settings.
pub fn settings<R>(reader: impl FnOnce(&Settings) -> R) -> R {
    SETTINGS.with(|settings| reader(settings))
}

/// Changes a setting. The server gives the callbacks that change one no context; this needs none.
///
/// # Errors
/// What `change` says. Then nothing has changed.
pub fn change_settings(
    change: impl FnOnce(&mut Settings) -> Result<(), String>,
) -> Result<(), String> {
    let mut changed = settings(Settings::clone);
    change(&mut changed)?;
    SETTINGS.with(|settings| settings.clone_from(&changed));
    let event = Event::SettingsChanged(Box::new(changed));
    if is_in_use() {
        post(event);
    } else {
        CORE.with(|core| {
            core.note_inbox();
            core.engine.note(event, clock(), &mut core.effects);
        });
    }
    Ok(())
}

/// Notes what has happened. No key is opened.
pub fn note(ctx: *mut RedisModuleCtx, event: Event) {
    if is_in_use() {
        return post(event);
    }
    CORE.with(|core| {
        core.note_inbox();
        core.engine.note(event, clock(), &mut core.effects);
        core.carry_out(ctx);
    });
}

/// Puts it into the inbox. What has the engine in use goes on with that.
fn post(event: Event) {
    INBOX.with(|inbox| inbox.push(event));
    HAS_MAIL.store(true, Relaxed);
}

/// Whether the engine is in use: the server calls back in the middle of a step.
pub fn is_in_use() -> bool {
    !CORE.is_free()
}

/// Runs one step of the engine with the data, and then carries out the effects. Also returns whether the engine is
/// idle.
pub fn step<R>(
    ctx: *mut RedisModuleCtx,
    mut data: Data,
    work: impl FnOnce(Step<'_, Data>) -> R,
) -> (R, bool) {
    CORE.with(|core| {
        core.note_inbox();
        let result = work(Step::begin(&mut core.engine, &mut data, &mut core.effects));
        // Closes the key, and selects the database again that was selected before.
        drop(data);
        core.carry_out(ctx);
        (result, core.engine.is_idle())
    })
}

impl Core {
    /// Notes what is in the inbox, and carries out the effects. That may fill the inbox again.
    #[inline]
    fn carry_out(&mut self, ctx: *mut RedisModuleCtx) {
        self.note_inbox();
        while !self.effects.is_empty() {
            // Taken before: a panic must not have them carried out again and again.
            let mut effects = std::mem::take(&mut self.effects);
            let lost = carry_out(ctx, &effects);
            effects.clear();
            // Its memory is used again.
            self.effects = effects;
            for id in lost {
                let event = Event::NotDelivered(id);
                self.engine.note(event, clock(), &mut self.effects);
            }
            self.note_inbox();
        }
    }

    #[inline]
    fn note_inbox(&mut self) {
        if HAS_MAIL.load(Relaxed) {
            self.note_mail();
        }
    }

    #[cold]
    fn note_mail(&mut self) {
        HAS_MAIL.store(false, Relaxed);
        let clock = clock();
        for event in INBOX.with(std::mem::take) {
            self.engine.note(event, clock, &mut self.effects);
        }
    }
}
