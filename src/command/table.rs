//! All commands, and how each is run.

use super::acquire::Acquire;
use super::assert::Assert;
use super::error::Error;
use super::forcerelease::ForceRelease;
use super::info::Info;
use super::lines::Lines;
use super::release::Release;
use super::renew::Renew;
use super::reply::Reply;
use super::spec::Command;
use crate::engine::{self, Effects, Engine, Server, Step};

/// The most arguments that any command takes, and more.
pub const MOST_ARGS: usize = 16;

/// What is done with every command.
pub trait Visitor {
    /// Does it with this one. False ends the visits.
    fn visit<C: Command>(&mut self) -> bool;
}

/// Visits every command. False if a visit has returned that.
pub fn visit_all(visitor: &mut impl Visitor) -> bool {
    visitor.visit::<Acquire>()
        && visitor.visit::<Release>()
        && visitor.visit::<Renew>()
        && visitor.visit::<Assert>()
        && visitor.visit::<Info>()
        && visitor.visit::<Lines>()
        && visitor.visit::<ForceRelease>()
}

/// Runs a command as one step. `args` starts with its name.
///
/// # Errors
/// The error reply.
pub fn run<C: Command, S: Server>(args: &[&[u8]], mut step: Step<'_, S>) -> Result<Reply, Error> {
    let spec = &C::SPEC;
    let (least, is_fixed) = (C::MIN_ARGS, C::HAS_FIXED_ARGS);
    if args.len() < least || args.len() > MOST_ARGS || (is_fixed && args.len() > least) {
        return Err(Error::Arity(spec.name));
    }
    if spec.writes() && !step.is_master() {
        return Err(engine::Error::OnReplica.into());
    }
    if spec.writes() {
        step.undo();
    }
    C::run(args, &mut step)
}

/// Runs the command that `args` names; none if there is no such command.
pub fn run_by_name<S: Server>(
    args: &[&[u8]],
    engine: &mut Engine,
    server: &mut S,
    effects: &mut Effects,
) -> Option<Result<Reply, Error>> {
    let mut named = Named {
        args,
        step: Some(Step::begin(engine, server, effects)),
        result: None,
    };
    visit_all(&mut named);
    named.result
}

struct Named<'a, S> {
    args: &'a [&'a [u8]],
    step: Option<Step<'a, S>>,
    result: Option<Result<Reply, Error>>,
}

impl<S: Server> Visitor for Named<'_, S> {
    fn visit<C: Command>(&mut self) -> bool {
        let name = C::SPEC.name.as_bytes();
        let is_it = self
            .args
            .first()
            .is_some_and(|first| first.eq_ignore_ascii_case(name));
        if is_it {
            let step = self.step.take();
            self.result = step.map(|step| run::<C, S>(self.args, step));
        }
        !is_it
    }
}
