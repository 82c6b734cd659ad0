//! Loading and unloading the module.

use super::describe::{add_category, Registrar};
use super::{config, info};
use crate::command::visit_all;
use crate::engine::{Event, Settings};
use crate::module::ffi::guard::guard;
use crate::module::ffi::string::Str;
use crate::module::ffi::{api, context, log, server_info};
use crate::module::host;
use crate::module::keyspace::{SharedStrings, SHARED_STRINGS};
use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};
use std::ffi::c_int;

const OK: c_int = raw::REDISMODULE_OK as c_int;
const ERR: c_int = raw::REDISMODULE_ERR as c_int;

/// The version that `MODULE LIST` shows: major, minor and patch, two digits each.
const VERSION: c_int = 100;

/// Valkey moves slots only if every module says that it can handle it (1<<5, which means nothing
/// elsewhere). The module keeps nothing about keys that a move could make wrong.
const HANDLE_ATOMIC_SLOT_MIGRATION: c_int = 1 << 5;

/// The server calls this when it loads the module, with the arguments of `loadmodule`.
///
/// # Safety
/// Only for the server, which passes a context and `argc` strings that live as long as the call.
#[no_mangle]
#[allow(non_snake_case)]
pub unsafe extern "C" fn RedisModule_OnLoad(
    ctx: *mut RedisModuleCtx,
    argv: *mut *mut RedisModuleString,
    argc: c_int,
) -> c_int {
    // First of all, and without allocating: from here on the server's functions are known.
    let (name, version) = (c"lock".as_ptr(), raw::REDISMODULE_APIVER_1 as c_int);
    // SAFETY: the context is the one that the server gave.
    if unsafe { raw::Export_RedisModule_Init(ctx, name, VERSION, version) } != OK {
        return ERR;
    }
    let loaded = guard(ctx, "loading", || {
        let argv = match argc {
            0 => &[],
            // SAFETY: the server passes `argc` strings, which live as long as the call.
            _ => unsafe { std::slice::from_raw_parts(argv, argc as usize) },
        };
        // SAFETY: as above.
        let bytes = |raw: &*mut RedisModuleString| unsafe { Str::new(*raw) }.bytes();
        let arguments: Vec<&[u8]> = argv.iter().map(bytes).collect();
        start(ctx, &arguments)
    });
    if loaded == Some(true) {
        return OK;
    }
    RedisModule_OnUnload(ctx);
    ERR
}

fn start(ctx: *mut RedisModuleCtx, arguments: &[&[u8]]) -> bool {
    if !api::is_supported() {
        log::warning(
            ctx,
            "redis-reentrant-lock needs Redis 7.0 or newer, or Valkey",
        );
        return false;
    }
    if let Some(why) = host::warnings::reason_not_to_load(ctx) {
        log::warning(ctx, &why);
        return false;
    }
    let mut settings = Settings::new();
    if let Err(why) = settings.read_arguments(arguments) {
        log::warning(ctx, &why);
        return false;
    }
    let cluster = context::has_flags(ctx, raw::REDISMODULE_CTX_FLAGS_CLUSTER);
    let master = context::has_flags(ctx, raw::REDISMODULE_CTX_FLAGS_MASTER);
    host::restart(settings, cluster, master);
    SHARED_STRINGS.with(|strings| *strings = Some(SharedStrings::new()));
    set_options(ctx);
    let registered = add_category(ctx) && visit_all(&mut Registrar(ctx)) && config::register(ctx);
    if !registered {
        return false;
    }
    // After everything that may fail: servers up to 7.0 would go on calling a module that was not loaded.
    if !host::watch_server(ctx) {
        return false;
    }
    if let Some(warning) = host::settings(Settings::warning) {
        log::warning(ctx, warning);
    }
    host::cut_off::note_settings(ctx);
    if is_starting() {
        host::note(ctx, Event::Started);
    }
    let register_info = api!(RedisModule_RegisterInfoFunc);
    // SAFETY: a callback for the life of the module.
    unsafe { register_info(ctx, Some(info::report)) };
    host::warnings::at_load(ctx);
    true
}

/// Whether the server loads the module at its start, and not later by command: no client has
/// connected yet.
fn is_starting() -> bool {
    let clients = server_info::info("clients", "connected_clients");
    clients.is_some_and(|count| count == "0")
}

fn set_options(ctx: *mut RedisModuleCtx) {
    // The module signals a key itself, and only if it changed: a busy acquire breaks nobody's WATCH.
    // An asynchronous loading of the data set affects nothing that the module keeps.
    let mut options = raw::REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED as c_int
        | raw::REDISMODULE_OPTIONS_HANDLE_REPL_ASYNC_LOAD as c_int;
    if api::is_valkey() {
        options |= HANDLE_ATOMIC_SLOT_MIGRATION;
    }
    let set = api!(RedisModule_SetModuleOptions);
    // SAFETY: the context is this call's.
    unsafe { set(ctx, options) };
}

/// The server calls this before it unloads the module. Locks stay in the data.
#[no_mangle]
#[allow(non_snake_case)]
pub extern "C" fn RedisModule_OnUnload(ctx: *mut RedisModuleCtx) -> c_int {
    if host::is_woken() {
        return raw::REDISMODULE_ERR as c_int;
    }
    guard(ctx, "unloading", || {
        host::stop(ctx);
        if let Some(strings) = SHARED_STRINGS.with(Option::take) {
            strings.free();
        }
        config::free();
    });
    OK
}
