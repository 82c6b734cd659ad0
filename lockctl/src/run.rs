//! `lockctl run`: a command while a lock is held.

mod child;
pub mod exec;
pub mod guard;
mod signals;

use crate::args::Run;
use crate::servers::Target;
use crate::status::{Failure, LOST, of_signal};
use crate::text::shown;
use child::Child;
use redis_reentrant_lock_client::{Error, Guard, Loss};
use signals::Signals;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// Takes the lock, runs the command, and returns its exit status.
pub async fn run(target: &Target, args: Run) -> Result<u8, Failure> {
    let mut signals = Signals::catch()?;
    let guard = tokio::select! {
        biased;
        // The connection that waits closes with this process: the server forgets the wait.
        signal = signals.ending() => return Ok(of_signal(signal)),
        acquired = acquire(target, &args) => acquired?,
    };
    let Some(guard) = guard else {
        let name = shown(args.name.as_bytes());
        say!("the lock {name} was not free in time; lockctl info {name} shows who holds it");
        return Ok(args.conflict_exit_code);
    };
    let mut child = Child::start(&args, &guard)?;
    let lost = guard.lost();
    tokio::pin!(lost);
    let status = loop {
        tokio::select! {
            biased;
            loss = &mut lost => return Ok(end(child, &guard, loss, &args).await),
            status = child.ended() => break status?,
            got = signals.next() => child.pass_on(got),
        }
    };
    child.dismiss();
    let outcome = tokio::select! {
        biased;
        outcome = guard.release() => outcome,
        // The session ends with this process.
        _ = signals.ending() => return Ok(status),
    };
    let name = shown(args.name.as_bytes());
    match outcome {
        Ok(()) => Ok(status),
        Err(Error::Lost(loss)) => {
            say!("the lock {name} was lost: {loss}; the command had ended with {status}");
            Ok(LOST)
        }
        // The command had ended while the lock was certainly held.
        Err(error) => {
            say!("the lock {name} was not released, and is free when its lease ends: {error}");
            Ok(status)
        }
    }
}

async fn acquire(target: &Target, args: &Run) -> Result<Option<Guard>, Failure> {
    // Once the first server has been reached, others that are down are waited for. One that was never there is most
    // likely a mistake.
    target.reach().await?;
    let mut lock = target.locks()?.lock(args.name.as_bytes());
    if let Some(ttl) = args.ttl {
        lock = lock.session_lease(Duration::from_millis(ttl));
    }
    Ok(match args.wait {
        None if args.no_wait => lock.try_acquire().await?,
        None => Some(lock.acquire().await?),
        Some(Duration::ZERO) => lock.try_acquire().await?,
        Some(limit) => lock.acquire_within(limit).await?,
    })
}

/// Ends the command, since the lock is lost.
async fn end(mut child: Child, guard: &Guard, loss: Loss, args: &Run) -> u8 {
    let name = shown(guard.name());
    say!("the lock {name} was lost: {loss}; ending the command");
    match child.end(args.kill_after).await {
        Ok(true) => (),
        Ok(false) => say!("the command did not end in time, and was killed"),
        Err(failure) => say!("{failure}"),
    }
    child.dismiss();
    LOST
}
