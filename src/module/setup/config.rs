//! `CONFIG SET lock.*`.

use crate::engine::{Choice, Number, Settings, CHANNEL_PREFIX, CHOICES, NUMBERS};
use crate::module::ffi::gil::Gil;
use crate::module::ffi::guard::guard;
use crate::module::ffi::log;
use crate::module::ffi::string::{OwnedStr, Str, Texts};
use crate::module::host::{change_settings, schedule, settings};
use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};
use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

const OK: c_int = raw::REDISMODULE_OK as c_int;
const ERR: c_int = raw::REDISMODULE_ERR as c_int;
const FLAGS: u32 = raw::REDISMODULE_CONFIG_DEFAULT;

/// Registers every setting, with the values of the module's arguments as the defaults, and loads the
/// configuration file's values. False if one is not valid.
pub fn register(ctx: *mut RedisModuleCtx) -> bool {
    let settings = settings(Settings::clone);
    // The server copies names and words.
    let mut texts = Texts::default();
    let mut done = OK;
    let numeric = api!(RedisModule_RegisterNumericConfig);
    for number in &NUMBERS {
        let data = (number as *const Number).cast_mut().cast();
        let (name, default) = (texts.add(number.name), (number.get)(&settings));
        let min = if number.or_0 { 0 } else { number.min };
        let max = number.max;
        // SAFETY: `data` is a static, and the callbacks take it for what it is.
        done |= unsafe {
            numeric(
                ctx,
                name,
                default,
                FLAGS,
                min,
                max,
                Some(get_number),
                Some(set_number),
                Some(apply),
                data,
            )
        };
    }
    let enumerated = api!(RedisModule_RegisterEnumConfig);
    for choice in &CHOICES {
        let data = (choice as *const Choice).cast_mut().cast();
        let mut words: Vec<_> = choice.words.iter().map(|word| texts.add(word)).collect();
        let numbers: Vec<c_int> = (0..words.len() as c_int).collect();
        let (name, default) = (texts.add(choice.name), (choice.get)(&settings) as c_int);
        // SAFETY: as many words as numbers, which the server copies. `data` is a static, and the
        // callbacks take it for what it is.
        done |= unsafe {
            enumerated(
                ctx,
                name,
                default,
                FLAGS,
                words.as_mut_ptr(),
                numbers.as_ptr(),
                numbers.len() as c_int,
                Some(get_choice),
                Some(set_choice),
                None,
                data,
            )
        };
    }
    let Ok(default) = std::ffi::CString::new(settings.channel_prefix.to_vec()) else {
        log::warning(ctx, "channel-prefix must not contain a NUL");
        return false;
    };
    let string = api!(RedisModule_RegisterStringConfig);
    // SAFETY: the server copies the default.
    done |= unsafe {
        string(
            ctx,
            texts.add(CHANNEL_PREFIX),
            default.as_ptr(),
            FLAGS,
            Some(get_prefix),
            Some(set_prefix),
            None,
            null_mut(),
        )
    };
    let load = api!(RedisModule_LoadConfigs);
    // SAFETY: everything is registered.
    done |= unsafe { load(ctx) };
    done == OK
}

/// The channel prefix as `CONFIG GET` last returned it: the server borrows it.
static PREFIX_SHOWN: Gil<Option<OwnedStr>> = Gil::new(None);

/// Frees what the server has borrowed, when the module is unloaded.
pub fn free() {
    PREFIX_SHOWN.with(|shown| drop(shown.take()));
}

/// A callback's result: OK, or an error whose text the server shows and frees.
fn result(outcome: Option<Result<(), String>>, error: *mut *mut RedisModuleString) -> c_int {
    let text = match outcome {
        Some(Ok(())) => return OK,
        Some(Err(text)) => text,
        None => "internal error, see the server's log".to_owned(),
    };
    let text = OwnedStr::new(text.as_bytes()).leak().raw();
    // SAFETY: the server passes a place for the error, and frees the string.
    unsafe { error.write(text) };
    ERR
}

fn number<'a>(data: *mut c_void) -> &'a Number {
    // SAFETY: `register` gave a reference to a static.
    unsafe { &*data.cast::<Number>() }
}

extern "C" fn get_number(_name: *const c_char, data: *mut c_void) -> i64 {
    let read = || settings(|settings| (number(data).get)(settings));
    guard(null_mut(), "CONFIG GET of a number", read).unwrap_or_default()
}

extern "C" fn set_number(
    _name: *const c_char,
    value: i64,
    data: *mut c_void,
    error: *mut *mut RedisModuleString,
) -> c_int {
    let number = number(data);
    let set = || {
        number.check(value)?;
        change_settings(|settings| {
            (number.set)(settings, value);
            Ok(())
        })
    };
    result(guard(null_mut(), "CONFIG SET of a number", set), error)
}

extern "C" fn apply(
    ctx: *mut RedisModuleCtx,
    _data: *mut c_void,
    error: *mut *mut RedisModuleString,
) -> c_int {
    let applied = || {
        if let Some(warning) = settings(Settings::warning) {
            log::warning(ctx, warning);
        }
        // The grace period may end earlier or later than before. The timer records its end: the server
        // may still roll this CONFIG SET back.
        schedule(ctx);
        Ok(())
    };
    result(guard(ctx, "the end of CONFIG SET", applied), error)
}

fn choice<'a>(data: *mut c_void) -> &'a Choice {
    // SAFETY: `register` gave a reference to a static.
    unsafe { &*data.cast::<Choice>() }
}

extern "C" fn get_choice(_name: *const c_char, data: *mut c_void) -> c_int {
    let read = || settings(|settings| (choice(data).get)(settings));
    guard(null_mut(), "CONFIG GET of a choice", read).unwrap_or_default() as c_int
}

extern "C" fn set_choice(
    _name: *const c_char,
    value: c_int,
    data: *mut c_void,
    error: *mut *mut RedisModuleString,
) -> c_int {
    let set = || {
        change_settings(|settings| {
            (choice(data).set)(settings, value as usize);
            Ok(())
        })
    };
    result(guard(null_mut(), "CONFIG SET of a choice", set), error)
}

extern "C" fn get_prefix(_name: *const c_char, _data: *mut c_void) -> *mut RedisModuleString {
    let read = || {
        let text = settings(|settings| OwnedStr::new(&settings.channel_prefix));
        // The server only reads it: it is freed with the next one.
        let raw = text.lend().raw();
        PREFIX_SHOWN.with(|shown| *shown = Some(text));
        raw
    };
    guard(null_mut(), "CONFIG GET of the prefix", read).unwrap_or(null_mut())
}

extern "C" fn set_prefix(
    _name: *const c_char,
    value: *mut RedisModuleString,
    _data: *mut c_void,
    error: *mut *mut RedisModuleString,
) -> c_int {
    let set = || {
        // SAFETY: the server lends the string for this call.
        let prefix = unsafe { Str::new(value) }.bytes();
        change_settings(|settings| settings.set_channel_prefix(prefix))
    };
    result(guard(null_mut(), "CONFIG SET of the prefix", set), error)
}
