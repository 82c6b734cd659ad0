//! `lockctl release --force`

use crate::args::Release;
use crate::info::ask;
use crate::print;
use crate::servers::{Target, unexpected};
use crate::status::{FREE, Failure};
use crate::text::shown;
use redis::Value;
use std::io::{BufRead, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;

/// Frees a lock whoever holds it.
pub async fn release(target: &Target, args: Release) -> Result<u8, Failure> {
    let name = args.name.as_bytes();
    if !args.yes && !confirmed(target, &args).await? {
        return Err(Failure::new("not confirmed: nothing was released"));
    }
    let mut cmd = redis::cmd("LOCK.FORCERELEASE");
    let (reply, _) = target.ask(name, cmd.arg(name)).await?;
    let (text, status) = match reply {
        Value::Int(1) => ("released", 0),
        Value::Int(0) => ("was free", FREE),
        _ => return Err(unexpected("LOCK.FORCERELEASE")),
    };
    print(&format!("{} {text}\n", shown(name)))?;
    Ok(status)
}

async fn confirmed(target: &Target, args: &Release) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::new(
            "without a terminal nobody can confirm it: add --yes",
        ));
    }
    let name = shown(args.name.as_bytes());
    let about = match ask(target, &args.name).await {
        Ok((lock, _)) if lock.owner.is_some() => {
            format!("held by {}, {} waiting", lock.shown_owner(), lock.waiters)
        }
        Ok(_) => "free".to_owned(),
        // Of a lock whose token is too far ahead nothing can be shown, but it can be freed.
        Err(failure) => failure.to_string(),
    };
    eprint!("Release {name} ({about})? If its holder still works, two work from then on. [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    read.map_err(|error| Failure(format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
