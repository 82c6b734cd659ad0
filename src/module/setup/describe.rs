//! Registers commands and their descriptions.

use crate::command::{Access, Argument, Command, Kind, Spec, Visitor};
use crate::module::ffi::log;
use crate::module::ffi::string::Texts;
use crate::module::host::entry;
use redis_module::raw::{self, RedisModuleCtx};
use std::ffi::{c_char, c_int};
use std::mem::{size_of, zeroed};
use std::ptr::null;

const OK: c_int = raw::REDISMODULE_OK as c_int;

/// Registers commands, as they are visited.
pub struct Registrar(pub *mut RedisModuleCtx);

impl Visitor for Registrar {
    fn visit<C: Command>(&mut self) -> bool {
        register::<C>(self.0)
    }
}

/// Registers the command `C`. False, and a line in the log, if the server refuses it.
fn register<C: Command>(ctx: *mut RedisModuleCtx) -> bool {
    let spec = &C::SPEC;
    // The server copies what it is given.
    let mut texts = Texts::default();
    let name = texts.add(spec.name);
    let create = api!(RedisModule_CreateCommand);
    // The first argument is the key, if there is one.
    let key = c_int::from(spec.has_key());
    // SAFETY: texts that live until it returns, and a callback for the life of the module.
    let created = unsafe {
        create(
            ctx,
            name,
            Some(entry::<C>),
            texts.add(spec.flags),
            key,
            key,
            key,
        )
    };
    if created != OK {
        log::warning(ctx, &format!("the server refused {}", spec.name));
        return false;
    }
    let get = api!(RedisModule_GetCommand);
    // SAFETY: as above.
    let command = unsafe { get(ctx, name) };
    if command.is_null() {
        return false;
    }
    if let Some(set) = api_if_any!(RedisModule_SetCommandACLCategories) {
        // ACL categories of modules are newer than the server's own.
        let own = api_if_any!(RedisModule_AddACLCategory).map_or("", |_| "lock ");
        let all = format!("{own}{}", spec.categories);
        // SAFETY: the command is the one just made, and the text lives until the call returns.
        if unsafe { set(command, texts.add(&all)) } != OK {
            log::warning(ctx, &format!("the server refused the categories {all}"));
            return false;
        }
    }
    describe(command, spec)
}

/// Adds the ACL category `lock`, if the server allows that. It outlives the module, and is found
/// again when the module is loaded again.
pub fn add_category(ctx: *mut RedisModuleCtx) -> bool {
    let Some(add) = api_if_any!(RedisModule_AddACLCategory) else {
        return true;
    };
    // SAFETY: the name is a constant.
    let added = unsafe { add(ctx, c"lock".as_ptr()) };
    let is_there = std::io::Error::last_os_error().raw_os_error() == Some(libc::EBUSY);
    if added != OK && !is_there {
        log::warning(ctx, "the server refused the ACL category lock");
        return false;
    }
    true
}

static VERSION: raw::RedisModuleCommandInfoVersion = raw::RedisModuleCommandInfoVersion {
    version: 1,
    sizeof_historyentry: size_of::<raw::RedisModuleCommandHistoryEntry>(),
    sizeof_keyspec: size_of::<raw::RedisModuleCommandKeySpec>(),
    sizeof_arg: size_of::<raw::RedisModuleCommandArg>(),
};

/// For `COMMAND INFO` and `COMMAND DOCS`. The server copies all that it is given.
fn describe(command: *mut raw::RedisModuleCommand, spec: &Spec) -> bool {
    let set_info = api!(RedisModule_SetCommandInfo);
    // SAFETY: plain data, for which zero means 'not given'; a zeroed element ends an array.
    let mut key_specs: [raw::RedisModuleCommandKeySpec; 2] = unsafe { zeroed() };
    let key_spec = &mut key_specs[0];
    key_spec.flags = key_flags(spec.access);
    key_spec.begin_search_type = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_INDEX;
    key_spec.bs.index.pos = 1;
    key_spec.find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE;
    key_spec.fk.range = raw::RedisModuleCommandKeySpec__bindgen_ty_2__bindgen_ty_1 {
        lastkey: 0,
        keystep: 1,
        limit: 0,
    };
    let has_key = spec.has_key();
    let mut texts = Texts::default();
    let mut args: Vec<_> = has_key
        .then(|| key_argument(&mut texts))
        .into_iter()
        .collect();
    let mut blocks = Vec::new();
    args.extend(raw_arguments(spec.arguments, &mut texts, &mut blocks));
    let arity = spec.min_args() as c_int;
    // SAFETY: as above.
    let mut info: raw::RedisModuleCommandInfo = unsafe { zeroed() };
    info.version = &VERSION;
    info.summary = texts.add(spec.summary);
    info.complexity = texts.add(spec.complexity);
    info.since = c"0.1.0".as_ptr();
    info.arity = if spec.has_fixed_args() { arity } else { -arity };
    if has_key {
        info.key_specs = key_specs.as_mut_ptr();
    }
    info.args = args.as_mut_ptr();
    // SAFETY: everything that `info` points to lives until the call returns.
    unsafe { set_info(command, &info) == OK }
}

/// The server takes only one of `INSERT`, `UPDATE` and `DELETE`.
fn key_flags(access: Access) -> u64 {
    let (kind, change) = match access {
        Access::NoKey | Access::Read => (raw::REDISMODULE_CMD_KEY_RO, 0),
        Access::Update => (raw::REDISMODULE_CMD_KEY_RW, raw::REDISMODULE_CMD_KEY_UPDATE),
        Access::Release => (raw::REDISMODULE_CMD_KEY_RW, raw::REDISMODULE_CMD_KEY_DELETE),
    };
    u64::from(kind | change | raw::REDISMODULE_CMD_KEY_ACCESS)
}

fn key_argument(texts: &mut Texts) -> raw::RedisModuleCommandArg {
    let kind = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_KEY;
    raw_argument(texts.add("key"), null(), kind, false, 0)
}

/// The arguments as the server takes them, with an empty one at the end. `blocks` keeps what they
/// point to.
fn raw_arguments(
    arguments: &[Argument],
    texts: &mut Texts,
    blocks: &mut Vec<Vec<raw::RedisModuleCommandArg>>,
) -> Vec<raw::RedisModuleCommandArg> {
    use raw::*;
    let mut all = Vec::new();
    for argument in arguments {
        let kind = match argument.kind {
            Kind::String => RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING,
            Kind::Integer(..) => RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_INTEGER,
            Kind::Word => RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN,
            Kind::Block(_) => RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK,
        };
        let name = texts.add(argument.name);
        let token = argument.token.map_or(null(), |token| texts.add(token));
        let mut raw = raw_argument(name, token, kind, argument.optional, -1);
        if let Kind::Block(inner) = argument.kind {
            let mut inner = raw_arguments(inner, texts, blocks);
            raw.subargs = inner.as_mut_ptr();
            blocks.push(inner);
        }
        all.push(raw);
    }
    // SAFETY: plain data, for which zero means 'not given'.
    all.push(unsafe { zeroed() });
    all
}

fn raw_argument(
    name: *const c_char,
    token: *const c_char,
    kind: raw::RedisModuleCommandArgType,
    optional: bool,
    key_spec: c_int,
) -> raw::RedisModuleCommandArg {
    // SAFETY: plain data, for which zero means 'not given'.
    let mut raw: raw::RedisModuleCommandArg = unsafe { zeroed() };
    raw.name = name;
    raw.token = token;
    raw.type_ = kind;
    raw.key_spec_index = key_spec;
    if optional {
        raw.flags = raw::REDISMODULE_CMD_ARG_OPTIONAL as c_int;
    }
    raw
}
