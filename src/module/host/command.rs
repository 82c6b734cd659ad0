//! Runs commands.

use super::blocked;
use super::core::is_in_use;
use super::schedule::{schedule, step};
use crate::command::{self, Command, Error, Reply, MOST_ARGS};
use crate::module::ffi::guard::guard;
use crate::module::ffi::reply::{send, send_error};
use crate::module::ffi::string::Str;
use crate::module::keyspace::{Arguments, Data};
use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};
use std::cell::Cell;
use std::ffi::c_int;

/// The reply to a call that another module makes while it is told of a change that a LOCK command has just made.
const NESTED: &str = "ERR a LOCK command cannot be called in a key event of another one";

/// What the server calls for the command `C`.
pub extern "C" fn entry<C: Command>(
    ctx: *mut RedisModuleCtx,
    argv: *mut *mut RedisModuleString,
    argc: c_int,
) -> c_int {
    let name = C::SPEC.name;
    let has_reply = Cell::new(false);
    let result = guard(ctx, name, || {
        // SAFETY: the server passes `argc` strings, which live as long as the call.
        let argv = unsafe { std::slice::from_raw_parts(argv, argc as usize) };
        if is_in_use() {
            has_reply.set(true);
            return send_error(ctx, NESTED);
        }
        let outcome = run::<C>(ctx, argv);
        if let Ok(Reply::Waits(id, busy)) = outcome {
            blocked::block(ctx, id, busy);
            return has_reply.set(true);
        }
        has_reply.set(true);
        match outcome {
            Ok(reply) => send(ctx, &reply),
            Err(error) => send_error(ctx, &error.to_string()),
        }
    });
    if result.is_none() {
        // A second reply would be taken for that of the next command.
        if !has_reply.get() {
            let text = format!("ERR internal error in {name}, see the server's log");
            guard(ctx, "an error reply", || send_error(ctx, &text));
        }
        guard(ctx, "what follows an error", || schedule(ctx));
    }
    raw::REDISMODULE_OK as c_int
}

fn run<C: Command>(
    ctx: *mut RedisModuleCtx,
    argv: &[*mut RedisModuleString],
) -> Result<Reply, Error> {
    // One more than any command takes is enough to refuse the call.
    const ROOM: usize = MOST_ARGS + 1;
    let argv = &argv[..argv.len().min(ROOM)];
    let mut args: [&[u8]; ROOM] = [b""; ROOM];
    // SAFETY: the arguments live as long as the call.
    let string = |at: usize| unsafe { Str::new(argv[at]) };
    for (at, arg) in args.iter_mut().enumerate().take(argv.len()) {
        *arg = string(at).bytes();
    }
    let args = &args[..argv.len()];
    let argument = |at: usize| (args.len() > at).then(|| (args[at], string(at)));
    let arguments = Arguments {
        name: argument(1),
        owner: argument(2),
    };
    // SAFETY: the server runs a command, and does not walk its tables.
    let data = unsafe { Data::new(ctx, arguments, C::SPEC.writes()) };
    step(ctx, data, |step| command::run::<C, _>(args, step))
}
