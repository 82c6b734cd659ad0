//! The protocol's end in the worker: a job, then as many rounds as the harness wants.

use super::works::Crew;
use super::{Locker, System, system};
use crate::protocol::{Answer, Go, Job, Work};
use std::io::{BufRead, Write, stdin, stdout};

/// Plays the clients of one system, until the end of the input.
pub fn serve() {
    let mut lines = stdin().lock().lines().map_while(Result::ok);
    let Some(line) = lines.next() else { return };
    let job: Job = match serde_json::from_str(&line) {
        Ok(job) => job,
        Err(error) => return answer(&failed(format!("this is no job: {error}"))),
    };
    let Some(system) = system(&job.system) else {
        let error = format!("the Rust worker has no system {}", job.system);
        return answer(&failed(error));
    };
    if let Some(unsupported) = (system.lacks)(&job) {
        return answer(&Answer::Unsupported { unsupported });
    }
    lock_test_support::allow_many_files();
    let mut crew = match ready(&system, &job) {
        Ok(crew) => crew,
        Err(refusal) => return answer(&refusal),
    };
    answer(&Answer::Ready {
        ready: true,
        version: (system.version)(),
    });
    for line in lines {
        let outcome = serde_json::from_str(&line)
            .map_err(|error| format!("{line}: {error}"))
            .and_then(|Go { go }| crew.go(go));
        match outcome {
            Ok(outcome) => answer(&Answer::Outcome(outcome)),
            Err(error) => return answer(&failed(error)),
        }
    }
    if job.work == Work::Still {
        // The clients wait for what never comes.
        std::process::exit(0);
    }
}

/// Connects all clients and warms each up.
fn ready(system: &System, job: &Job) -> Result<Crew, Answer> {
    let connect = |number| (system.connect)(job, number).map_err(failed);
    let mut lockers = (0..job.clients)
        .map(connect)
        .collect::<Result<Vec<Box<dyn Locker>>, Answer>>()?;
    for (number, locker) in lockers.iter_mut().enumerate() {
        let lock = job.warm_up(number);
        locker
            .acquire(&lock)
            .and_then(|()| warm_renewal(job, locker.as_mut(), &lock))
            .and_then(|()| locker.release(&lock))
            .map_err(failed)?;
    }
    if let Some(unsupported) = lockers.first_mut().and_then(|first| lacks(job, first)) {
        return Err(Answer::Unsupported { unsupported });
    }
    Crew::ready(job.clone(), lockers).map_err(failed)
}

fn warm_renewal(job: &Job, locker: &mut dyn Locker, lock: &str) -> Result<(), String> {
    match job.work {
        Work::Renew => locker.renew(lock).unwrap_or(Ok(())),
        _ => Ok(()),
    }
}

/// What the work needs and a client of the system has not.
fn lacks(job: &Job, first: &mut Box<dyn Locker>) -> Option<String> {
    let lock = job.warm_up(0);
    let lacks = match job.work {
        Work::Reenter if !first.reentrant() => "it is not reentrant",
        Work::Renew if first.renew(&lock).is_none() => "it has no renewal",
        Work::Pair if job.pipeline > 1 && first.batch(&[]).is_none() => {
            "its client sends one command at a time"
        }
        _ => return None,
    };
    Some(lacks.to_owned())
}

fn failed(error: String) -> Answer {
    Answer::Failed { error }
}

fn answer(answer: &Answer) {
    let line = serde_json::to_string(answer).expect("an answer is plain data");
    let mut out = stdout().lock();
    // Where the harness is gone, the next read ends the worker.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
