//! The module's settings, and the range of each.

use crate::lock::{Escaped, Limits, Millis, MAX_TTL};
use std::borrow::Cow;

/// How unlock messages are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// As Redisson chooses: `SPUBLISH` in cluster mode, else `PUBLISH`.
    Auto,
    /// `PUBLISH`.
    Publish,
    /// `SPUBLISH`.
    SPublish,
    /// Not at all.
    Off,
}

/// What to do with the connection of a session that lost its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionLoss {
    /// Close it, so that the holder learns of the loss.
    Close,
    /// Nothing.
    Ignore,
}

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The lease of an acquire or renewal without a ttl; the longest lease, if that is shorter.
    pub default_ttl: Millis,
    /// The longest lease allowed; 0 if there is no bound but [`MAX_TTL`].
    pub max_ttl: Millis,
    /// How long a hold may last from its start, whatever renews it; 0 if there is no bound.
    pub max_hold: Millis,
    /// How long a server that was promoted, or has started, grants no free lock; 0 means not at all.
    pub grace_period: Millis,
    /// How many calls may wait, in all queues together.
    pub max_waiters: i64,
    /// What to do when a session loses its lock.
    pub session_loss: SessionLoss,
    /// How unlock messages are published.
    pub notify: Notify,
    /// The start of the names of the unlock channels.
    pub channel_prefix: Cow<'static, [u8]>,
}

/// The maximum of `max-waiters`.
pub const MAX_WAITERS: i64 = 1_000_000;

/// The shortest bound on a hold: no session's lease is shorter.
pub const MIN_HOLD: i64 = 1000;

/// The longest channel prefix, in bytes.
pub const MAX_PREFIX: usize = 512;

/// A setting that is a whole number.
pub struct Number {
    /// Its name, after the `lock.`.
    pub name: &'static str,
    /// The minimum.
    pub min: i64,
    /// Whether 0 is allowed too, though it is below the minimum.
    pub or_0: bool,
    /// The maximum.
    pub max: i64,
    /// Reads it.
    pub get: fn(&Settings) -> i64,
    /// Writes it.
    pub set: fn(&mut Settings, i64),
}

/// Every setting that is a whole number.
pub static NUMBERS: [Number; 5] = [
    Number {
        name: "default-ttl",
        min: 1,
        or_0: false,
        max: MAX_TTL.0,
        get: |settings| settings.default_ttl.0,
        set: |settings, ms| settings.default_ttl = Millis(ms),
    },
    Number {
        name: "max-ttl",
        min: 0,
        or_0: false,
        max: MAX_TTL.0,
        get: |settings| settings.max_ttl.0,
        set: |settings, ms| settings.max_ttl = Millis(ms),
    },
    Number {
        name: "max-hold",
        min: MIN_HOLD,
        or_0: true,
        max: MAX_TTL.0,
        get: |settings| settings.max_hold.0,
        set: |settings, ms| settings.max_hold = Millis(ms),
    },
    Number {
        name: "grace-period",
        min: 0,
        or_0: false,
        max: MAX_TTL.0,
        get: |settings| settings.grace_period.0,
        set: |settings, ms| settings.grace_period = Millis(ms),
    },
    Number {
        name: "max-waiters",
        min: 0,
        or_0: false,
        max: MAX_WAITERS,
        get: |settings| settings.max_waiters,
        set: |settings, n| settings.max_waiters = n,
    },
];

impl Number {
    /// Checks that a number is in its range.
    ///
    /// # Errors
    /// A text that says what it may be.
    pub fn check(&self, number: i64) -> Result<(), String> {
        if (self.min..=self.max).contains(&number) || (self.or_0 && number == 0) {
            return Ok(());
        }
        Err(self.refusal(&number.to_string()))
    }

    fn refusal(&self, given: &str) -> String {
        let Number { name, min, max, .. } = self;
        let or_0 = if self.or_0 { "0 or " } else { "" };
        format!("{name} must be {or_0}a whole number from {min} to {max}, not {given}")
    }
}

/// A setting that is one of some words.
pub struct Choice {
    /// Its name, after the `lock.`.
    pub name: &'static str,
    /// Its values.
    pub words: &'static [&'static str],
    /// Reads it: which of the words.
    pub get: fn(&Settings) -> usize,
    /// Writes it.
    pub set: fn(&mut Settings, usize),
}

/// Every setting that is one of some words.
pub static CHOICES: [Choice; 2] = [
    Choice {
        name: "notify",
        words: &["auto", "publish", "spublish", "off"],
        get: |settings| index(&NOTIFY, settings.notify),
        set: |settings, word| settings.notify = NOTIFY[word],
    },
    Choice {
        name: "session-loss",
        words: &["close", "ignore"],
        get: |settings| index(&SESSION_LOSS, settings.session_loss),
        set: |settings, word| settings.session_loss = SESSION_LOSS[word],
    },
];

/// In the order of their words.
const NOTIFY: [Notify; 4] = [Notify::Auto, Notify::Publish, Notify::SPublish, Notify::Off];

/// In the order of their words.
const SESSION_LOSS: [SessionLoss; 2] = [SessionLoss::Close, SessionLoss::Ignore];

fn index<T: PartialEq>(values: &[T], value: T) -> usize {
    let at = values.iter().position(|one| *one == value);
    at.unwrap_or_default()
}

/// The name of the setting [`Settings::channel_prefix`].
pub const CHANNEL_PREFIX: &str = "channel-prefix";

/// `a, b or c`.
pub fn either(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings::new()
    }
}

impl Settings {
    /// The defaults.
    pub const fn new() -> Settings {
        Settings {
            default_ttl: Millis(30_000),
            max_ttl: Millis(0),
            max_hold: Millis(0),
            grace_period: Millis(0),
            max_waiters: 10_000,
            session_loss: SessionLoss::Close,
            notify: Notify::Auto,
            channel_prefix: Cow::Borrowed(b"redisson_lock__channel"),
        }
    }

    /// The longest lease that a call may ask for.
    pub fn longest_ttl(&self) -> Millis {
        match self.max_ttl {
            Millis(0) => MAX_TTL,
            bound => bound,
        }
    }

    /// The bounds on every lease.
    pub fn limits(&self) -> Limits {
        Limits {
            lease: self.longest_ttl(),
            hold: (self.max_hold.0 > 0).then_some(self.max_hold),
        }
    }

    /// A warning about settings that are allowed but harmful together.
    pub fn warning(&self) -> Option<&'static str> {
        let unbounded = self.grace_period.0 > 0 && self.max_ttl.0 == 0;
        unbounded.then_some(
            "grace-period without max-ttl promises nothing: a lease that this server does not know \
             of may outlast it",
        )
    }

    /// Reads the arguments of `loadmodule`: names, each followed by its value.
    ///
    /// # Errors
    /// A text that names the argument and what it may be.
    pub fn read_arguments(&mut self, arguments: &[&[u8]]) -> Result<(), String> {
        for pair in arguments.chunks(2) {
            match pair {
                [name, value] => self.read_argument(name, value)?,
                _ => return Err(format!("{} needs a value", Escaped(pair[0]))),
            }
        }
        Ok(())
    }

    fn read_argument(&mut self, name: &[u8], value: &[u8]) -> Result<(), String> {
        let is = |setting: &str| name.eq_ignore_ascii_case(setting.as_bytes());
        if let Some(number) = NUMBERS.iter().find(|number| is(number.name)) {
            let parsed = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
            let wanted = parsed.filter(|n| number.check(*n).is_ok());
            let refusal = || number.refusal(&Escaped(value).to_string());
            (number.set)(self, wanted.ok_or_else(refusal)?);
        } else if let Some(choice) = CHOICES.iter().find(|choice| is(choice.name)) {
            let mut words = choice.words.iter();
            let found = words.position(|word| value.eq_ignore_ascii_case(word.as_bytes()));
            let Some(word) = found else {
                let (name, words) = (choice.name, either(choice.words));
                return Err(format!("{name} must be {words}, not {}", Escaped(value)));
            };
            (choice.set)(self, word);
        } else if is(CHANNEL_PREFIX) {
            self.set_channel_prefix(value)?;
        } else {
            return Err(format!("unknown argument {}", Escaped(name)));
        }
        Ok(())
    }

    /// Sets the channel prefix.
    ///
    /// # Errors
    /// A text that says how long it may be.
    pub fn set_channel_prefix(&mut self, prefix: &[u8]) -> Result<(), String> {
        if prefix.is_empty() || prefix.len() > MAX_PREFIX {
            return Err(format!(
                "channel-prefix must be 1 to {MAX_PREFIX} bytes long, not {}",
                prefix.len()
            ));
        }
        self.channel_prefix = Cow::Owned(prefix.to_vec());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_on_holds_is_0_or_a_second_and_more() {
        let mut settings = Settings::new();
        for ok in ["0", "1000", "9007199254740991"] {
            settings
                .read_arguments(&[b"max-hold", ok.as_bytes()])
                .unwrap();
        }
        assert_eq!(settings.limits().hold, Some(MAX_TTL));
        for wrong in ["-1", "1", "999", "9007199254740992", "1s", ""] {
            let refusal = settings.read_arguments(&[b"max-hold", wrong.as_bytes()]);
            let range = "max-hold must be 0 or a whole number from 1000 to 9007199254740991";
            assert_eq!(refusal, Err(format!("{range}, not \"{wrong}\"")));
        }
    }

    #[test]
    fn a_longest_lease_needs_no_shorter_default() {
        let mut settings = Settings::new();
        settings.read_arguments(&[b"max-ttl", b"10000"]).unwrap();
        assert_eq!(settings.default_ttl, Millis(30_000));
        assert_eq!(settings.limits().lease, Millis(10_000));
        assert_eq!(settings.limits().hold, None);
    }
}
