//! Reads the arguments that follow a lock's name.

use super::error::Error;
use crate::lock::{Millis, Token, MAX_HOLDS, MAX_OWNER, MAX_TTL, MODE_FIELD};
use crate::session::{Claim, MIN_TTL};
use crate::settings::Settings;
use std::rc::Rc;

/// What a command accepts after the owner. What is not set, the command does not have.
#[derive(Default)]
pub struct Accepts {
    /// `[ttl]`, directly after the owner.
    pub ttl: bool,
    /// `[HOLDS n]`, with the minimum of n.
    pub holds: Option<u32>,
    /// `[TOKEN token]`.
    pub token: bool,
    /// `[WAIT timeout]`.
    pub wait: bool,
    /// `[SESSION [LINGER linger]]`.
    pub session: bool,
}

/// What was sent after the owner.
#[derive(Debug, Default)]
pub struct Options {
    ttl: Option<Millis>,
    /// The n of `HOLDS n`.
    pub holds: Option<u32>,
    /// The token of `TOKEN token`.
    pub token: Option<Token>,
    /// The timeout of `WAIT timeout`; 0 means no limit.
    pub wait: Option<Millis>,
    session: Option<()>,
    linger: Option<Millis>,
}

/// What `SESSION` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The lease that every renewal sets.
    pub ttl: Millis,
    /// How long the owner keeps the lock after the connection has closed.
    pub linger: Millis,
}

impl Options {
    /// The lease asked for, or the default.
    ///
    /// # Errors
    /// If it is longer than `lock.max-ttl` allows.
    pub fn ttl(&self, settings: &Settings) -> Result<Millis, Error> {
        match self.ttl {
            Some(ttl) => bounded("ttl", 1, ttl, settings),
            None => Ok(settings.default_ttl.min(settings.longest_ttl())),
        }
    }

    /// What the call asks for with `SESSION`, if anything.
    ///
    /// # Errors
    /// If the lease is too short for a session, `LINGER` is longer than `lock.max-ttl` allows, or
    /// there is a `LINGER` without `SESSION`.
    pub fn session(&self, settings: &Settings) -> Result<Option<Binding>, Error> {
        let linger = self.linger.unwrap_or(Millis(0));
        match (self.session, self.linger) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Error::LingerAlone),
            (Some(()), _) => Ok(Some(Binding {
                ttl: session_ttl(self.ttl(settings)?)?,
                linger: bounded("LINGER", 0, linger, settings)?,
            })),
        }
    }
}

/// Checks that a session can have this lease.
///
/// # Errors
/// If it is shorter than [`MIN_TTL`].
pub fn session_ttl(ttl: Millis) -> Result<Millis, Error> {
    if ttl >= MIN_TTL {
        return Ok(ttl);
    }
    Err(Error::Number {
        name: "ttl",
        min: MIN_TTL.0,
        max: MAX_TTL.0,
        remark: " for a session",
        given: ttl.0.to_string().into_bytes(),
    })
}

fn bounded(name: &'static str, min: i64, span: Millis, of: &Settings) -> Result<Millis, Error> {
    if span <= of.longest_ttl() {
        return Ok(span);
    }
    Err(Error::Number {
        name,
        min,
        max: of.longest_ttl().0,
        remark: " (lock.max-ttl)",
        given: span.0.to_string().into_bytes(),
    })
}

impl Binding {
    /// The binding to a connection, and the name of its user.
    pub fn of(self, client: u64, user: Option<Rc<[u8]>>) -> Claim {
        Claim {
            client,
            user,
            ttl: self.ttl,
            linger: self.linger,
        }
    }
}

/// Parses `name key owner …`: the owner, and what follows it.
///
/// # Errors
/// A text that names the argument and its range.
pub fn parse<'a>(
    command: &'static str,
    args: &[&'a [u8]],
    accepts: &Accepts,
) -> Result<(&'a [u8], Options), Error> {
    let [_, _, owner, rest @ ..] = args else {
        return Err(Error::Arity(command));
    };
    check_owner(owner)?;
    let mut options = Options::default();
    let mut rest = rest.iter();
    let mut first = accepts.ttl;
    while let Some(word) = rest.next() {
        let mut value = |name| rest.next().copied().ok_or(Error::NoValue(name));
        match (accepts.holds, accepts.token) {
            (Some(min), _) if word.eq_ignore_ascii_case(b"HOLDS") => {
                let n = number(
                    "HOLDS",
                    i64::from(min),
                    i64::from(MAX_HOLDS),
                    value("HOLDS")?,
                )?;
                once("HOLDS", &mut options.holds, n as u32)?;
            }
            (_, true) if word.eq_ignore_ascii_case(b"TOKEN") => {
                let n = number("TOKEN", 1, Token::MAX, value("TOKEN")?)?;
                if let Some(token) = Token::new(n) {
                    once("TOKEN", &mut options.token, token)?;
                }
            }
            _ if accepts.wait && word.eq_ignore_ascii_case(b"WAIT") => {
                let ms = number("WAIT", 0, MAX_TTL.0, value("WAIT")?)?;
                once("WAIT", &mut options.wait, Millis(ms))?;
            }
            _ if accepts.session && word.eq_ignore_ascii_case(b"SESSION") => {
                once("SESSION", &mut options.session, ())?;
            }
            _ if accepts.session && word.eq_ignore_ascii_case(b"LINGER") => {
                let ms = number("LINGER", 0, MAX_TTL.0, value("LINGER")?)?;
                once("LINGER", &mut options.linger, Millis(ms))?;
            }
            _ if first && !word.first().is_some_and(u8::is_ascii_alphabetic) => {
                let ms = number("ttl", 1, MAX_TTL.0, word)?;
                options.ttl = Some(Millis(ms));
            }
            _ => return Err(unknown(word, accepts, first)),
        }
        first = false;
    }
    Ok((owner, options))
}

/// Parses `name [COUNT n]`.
///
/// # Errors
/// A text that names the argument and its range.
pub fn count(args: &[&[u8]]) -> Result<Option<usize>, Error> {
    let mut rest = args.iter().skip(1);
    let mut count = None;
    while let Some(word) = rest.next() {
        if !word.eq_ignore_ascii_case(b"COUNT") {
            return Err(Error::UnknownOption {
                given: word.to_vec(),
                known: "COUNT".to_owned(),
            });
        }
        let n = rest.next().ok_or(Error::NoValue("COUNT"))?;
        let n = number("COUNT", 1, MAX_COUNT, n)?;
        once("COUNT", &mut count, n as usize)?;
    }
    Ok(count)
}

/// The maximum of `COUNT`: there are no more queues than waiters.
const MAX_COUNT: i64 = crate::settings::MAX_WAITERS;

/// An owner may be any bytes except the name of the other field of a lock.
fn check_owner(owner: &[u8]) -> Result<(), Error> {
    if owner.is_empty() || owner.len() > MAX_OWNER {
        Err(Error::Owner("must be 1 to 1024 bytes long"))
    } else if owner == MODE_FIELD {
        Err(Error::Owner("must not be \"mode\", which is reserved"))
    } else {
        Ok(())
    }
}

fn once<T>(name: &'static str, option: &mut Option<T>, value: T) -> Result<(), Error> {
    match option.replace(value) {
        Some(_) => Err(Error::Twice(name)),
        None => Ok(()),
    }
}

fn number(name: &'static str, min: i64, max: i64, given: &[u8]) -> Result<i64, Error> {
    let parsed = match given {
        b"0" => Some(0),
        _ => crate::lock::decimal(given),
    };
    parsed
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| Error::Number {
            name,
            min,
            max,
            remark: "",
            given: given.to_vec(),
        })
}

fn unknown(word: &[u8], accepts: &Accepts, first: bool) -> Error {
    let mut known = Vec::new();
    if first {
        known.push("a ttl in ms");
    }
    if accepts.wait {
        known.push("WAIT");
    }
    if accepts.session {
        known.push("SESSION");
        known.push("LINGER");
    }
    if accepts.holds.is_some() {
        known.push("HOLDS");
    }
    if accepts.token {
        known.push("TOKEN");
    }
    Error::UnknownOption {
        given: word.to_vec(),
        known: known.join(" or "),
    }
}

#[cfg(test)]
mod tests;
