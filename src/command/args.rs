//! Reads the arguments of a command, as its description lists them.

use super::error::Error;
use super::spec::{Argument, Kind, Slot, Spec};
use crate::engine::{self, SessionOptions, Settings, MIN_TTL};
use crate::lock::{decimal, KeyRef, Millis, Token, MAX_OWNER, MODE_FIELD};

/// What was sent with a command. What the command does not have, or was left out, is none.
#[derive(Debug, Default)]
pub struct Args<'a> {
    name: &'a [u8],
    /// The owner; empty if the command takes none.
    pub owner: &'a [u8],
    ttl: Option<Millis>,
    /// The n of `HOLDS n`.
    pub holds: Option<u32>,
    /// The token of `TOKEN token`.
    pub token: Option<Token>,
    /// The timeout of `WAIT timeout`; 0 means no limit.
    pub wait: Option<Millis>,
    session: Option<()>,
    linger: Option<Millis>,
    /// The n of `COUNT n`.
    pub count: Option<usize>,
}

impl<'a> Args<'a> {
    /// Reads what follows the command's name. There are at least [`super::Command::MIN_ARGS`].
    ///
    /// # Errors
    /// A text that names the argument and its range.
    // Inlined, so that the compiler knows the description: it is on the path of every command.
    #[inline(always)]
    pub fn parse(spec: &Spec, args: &[&'a [u8]]) -> Result<Args<'a>, Error> {
        let mut parsed = Args::default();
        let mut rest = args.iter().copied();
        let mut next = || rest.next().unwrap_or_default();
        next(); // the command's own name
        if spec.has_key() {
            parsed.name = next();
        }
        // Those without a token come first, in order. Of these only the last one may be left out.
        let mut optional = None;
        for argument in spec.arguments {
            match argument.kind {
                Kind::Block(_) | Kind::Word => break,
                _ if argument.token.is_some() => break,
                _ if argument.optional => optional = Some(argument),
                _ => parsed.set(argument, next())?,
            }
        }
        while let Some(word) = rest.next() {
            let expected = optional.take();
            let is_word = word.first().is_some_and(u8::is_ascii_alphabetic);
            let option = match is_word {
                true => named(spec.arguments, word),
                false => None,
            };
            match (option, expected) {
                (Some(option), _) => {
                    let value = match option.kind {
                        Kind::Word => b"",
                        _ => rest.next().ok_or_else(|| Error::NoValue(token(option)))?,
                    };
                    parsed.set(option, value)?;
                }
                (None, Some(argument)) if !is_word => parsed.set(argument, word)?,
                (None, expected) => return Err(unknown(spec, word, expected.is_some())),
            }
        }
        Ok(parsed)
    }

    /// The lock, in this database.
    pub fn key(&self, db: i32) -> KeyRef<'a> {
        KeyRef {
            db,
            name: self.name,
        }
    }

    #[inline(always)]
    fn set(&mut self, argument: &Argument, value: &'a [u8]) -> Result<(), Error> {
        let number = match argument.kind {
            Kind::Integer(min, max) => number(argument, min, max, value)?,
            _ => 0,
        };
        let is_new = match argument.slot {
            Slot::Owner => {
                check_owner(value)?;
                std::mem::replace(&mut self.owner, value).is_empty()
            }
            Slot::Ttl => self.ttl.replace(Millis(number)).is_none(),
            Slot::Holds => self.holds.replace(number as u32).is_none(),
            Slot::Token => std::mem::replace(&mut self.token, Token::new(number)).is_none(),
            Slot::Wait => self.wait.replace(Millis(number)).is_none(),
            Slot::Session => self.session.replace(()).is_none(),
            Slot::Linger => self.linger.replace(Millis(number)).is_none(),
            Slot::Count => self.count.replace(number as usize).is_none(),
            Slot::None => true,
        };
        match is_new {
            true => Ok(()),
            false => Err(Error::Twice(token(argument))),
        }
    }

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
    pub fn session(&self, settings: &Settings) -> Result<Option<SessionOptions>, Error> {
        match (self.session, self.linger) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Error::LingerAlone),
            (Some(()), linger) => {
                let ttl = self.ttl(settings)?;
                if ttl < MIN_TTL {
                    return Err(engine::Error::SessionTtl(ttl).into());
                }
                let linger = bounded("LINGER", 0, linger.unwrap_or(Millis(0)), settings)?;
                Ok(Some(SessionOptions { ttl, linger }))
            }
        }
    }
}

/// The options of a command, those of a block one by one.
fn options(arguments: &'static [Argument]) -> impl Iterator<Item = &'static Argument> {
    let each = arguments.iter().flat_map(|argument| match argument.kind {
        Kind::Block(inner) => inner,
        _ => std::slice::from_ref(argument),
    });
    each.filter(|argument| argument.token.is_some())
}

/// The option of this name, in any case. Plain loops: it is on the path of every command.
#[inline(always)]
fn named(arguments: &'static [Argument], word: &[u8]) -> Option<&'static Argument> {
    for argument in arguments {
        let options = match argument.kind {
            Kind::Block(inner) => inner,
            _ => std::slice::from_ref(argument),
        };
        for option in options {
            let token = option.token.map(str::as_bytes);
            if token.is_some_and(|token| word.eq_ignore_ascii_case(token)) {
                return Some(option);
            }
        }
    }
    None
}

fn token(option: &Argument) -> &'static str {
    option.token.unwrap_or(option.name)
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

fn number(argument: &Argument, min: i64, max: i64, given: &[u8]) -> Result<i64, Error> {
    let parsed = match given {
        b"0" => Some(0),
        _ => decimal(given),
    };
    parsed
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| Error::Number {
            name: token(argument),
            min,
            max,
            remark: "",
            given: given.to_vec(),
        })
}

fn unknown(spec: &Spec, word: &[u8], ttl: bool) -> Error {
    let ttl = ttl.then_some("a ttl in ms");
    let known: Vec<_> = ttl
        .into_iter()
        .chain(options(spec.arguments).map(token))
        .collect();
    Error::UnknownOption {
        given: word.to_vec(),
        known: known.join(" or "),
    }
}

#[cfg(test)]
mod tests;
