//! What a key holds, as one owner sees it.

use super::error::Error;
use super::time::{Deadline, Now};
use super::token::Token;
use super::MAX_HOLDS;

/// The field that carries the fencing token. No owner may be called so.
pub const TOKEN_FIELD: &[u8] = b"fencing_token";

/// The field by which Redisson marks its read/write locks, which are not locks of ours.
pub const MODE_FIELD: &[u8] = b"mode";

/// One owner's hold of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// How often the owner holds it, from 1 to [`MAX_HOLDS`].
    pub holds: u32,
    /// Its fencing token; none where Redisson made the hold.
    pub token: Option<Token>,
    /// When its lease ends.
    pub deadline: Deadline,
}

/// A lock as one owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Nobody holds it. A lease that ran out may still be stored.
    Free {
        /// What is stored has to be deleted before the lock is taken.
        lapsed: bool,
    },
    /// That owner holds it.
    Mine(Hold),
    /// Someone else holds it, until then.
    Theirs(Deadline),
}

/// What was read of a hash with one owner in mind, before it is known to be a lock.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// How many fields there are.
    pub count: usize,
    /// The value of the field with the owner's name.
    pub owner: Option<&'a [u8]>,
    /// The value of [`TOKEN_FIELD`].
    pub token: Option<&'a [u8]>,
    /// Whether [`MODE_FIELD`] is there. It need not be looked up where `owner` is.
    pub mode: bool,
    /// The key's expiry.
    pub deadline: Option<Deadline>,
}

impl Fields<'_> {
    /// The hash as a lock, seen by the owner that it was read for, and the token read.
    ///
    /// Someone else's hold count is not looked at: that would take a scan of the hash.
    ///
    /// # Errors
    /// [`Error::WrongType`] where the hash is not one that a lock is stored in.
    pub fn as_lock(&self, now: Now) -> Result<(View, Option<Token>), Error> {
        let deadline = self.deadline.ok_or(Error::WrongType)?;
        let token = self.token.map(parse_token).transpose()?;
        // One field for the holder, and one for the token if there is one: nothing else.
        if self.count != 1 + usize::from(token.is_some()) || self.mode {
            return Err(Error::WrongType);
        }
        let holds = self.owner.map(parse_holds).transpose()?;
        let view = match holds {
            _ if deadline.has_passed(now) => View::Free { lapsed: true },
            Some(holds) => View::Mine(Hold {
                holds,
                token,
                deadline,
            }),
            None => View::Theirs(deadline),
        };
        Ok((view, token))
    }
}

/// Reads a hold count as it is stored.
///
/// # Errors
/// [`Error::WrongType`] where it is no decimal from 1 to [`MAX_HOLDS`].
pub fn parse_holds(value: &[u8]) -> Result<u32, Error> {
    decimal(value)
        .and_then(|n| u32::try_from(n).ok())
        .filter(|n| (1..=MAX_HOLDS).contains(n))
        .ok_or(Error::WrongType)
}

/// Reads a token as it is stored.
///
/// # Errors
/// [`Error::WrongType`] where it is no decimal in a token's range.
pub fn parse_token(value: &[u8]) -> Result<Token, Error> {
    decimal(value).and_then(Token::new).ok_or(Error::WrongType)
}

/// A whole number above 0 in the one form that the server writes: no sign, no leading zero.
pub fn decimal(text: &[u8]) -> Option<i64> {
    const LONGEST: usize = 18; // so many digits always fit
    if text.is_empty() || text[0] == b'0' || text.len() > LONGEST {
        return None;
    }
    let mut number = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now(5_000_000);
    const LATER: Option<Deadline> = Some(Deadline(6000));

    fn fields<'a>(count: usize, owner: Option<&'a [u8]>, token: Option<&'a [u8]>) -> Fields<'a> {
        Fields {
            count,
            owner,
            token,
            mode: false,
            deadline: LATER,
        }
    }

    fn view(fields: Fields) -> Result<View, Error> {
        fields.as_lock(NOW).map(|(view, _)| view)
    }

    #[test]
    fn a_hold_is_read_with_its_count_token_and_deadline() {
        let hold = Hold {
            holds: 3,
            token: Token::new(77),
            deadline: Deadline(6000),
        };
        assert_eq!(
            view(fields(2, Some(b"3"), Some(b"77"))),
            Ok(View::Mine(hold))
        );
        let untold = Hold {
            token: None,
            ..hold
        };
        assert_eq!(view(fields(1, Some(b"3"), None)), Ok(View::Mine(untold)));
    }

    #[test]
    fn another_owner_is_seen_by_its_deadline_only() {
        let theirs = Ok(View::Theirs(Deadline(6000)));
        assert_eq!(view(fields(1, None, None)), theirs);
        assert_eq!(view(fields(2, None, Some(b"77"))), theirs);
    }

    #[test]
    fn a_lease_is_over_at_its_deadline_whoever_held_it() {
        for owner in [Some(b"1".as_slice()), None] {
            let mut lapsed = fields(1, owner, None);
            lapsed.deadline = Some(Deadline(5000));
            assert_eq!(view(lapsed), Ok(View::Free { lapsed: true }));
            lapsed.deadline = Some(Deadline(5001));
            assert_ne!(view(lapsed), Ok(View::Free { lapsed: true }));
        }
    }

    #[test]
    fn what_is_not_laid_out_as_a_lock_is_refused() {
        let no_ttl = Fields {
            deadline: None,
            ..fields(1, Some(b"1"), None)
        };
        let read_write = Fields {
            mode: true,
            ..fields(2, None, Some(b"7"))
        };
        let mode_alone = Fields {
            mode: true,
            ..fields(1, None, None)
        };
        for foreign in [
            no_ttl,
            read_write,
            mode_alone,
            fields(2, Some(b"1"), None),
            fields(3, Some(b"1"), Some(b"7")),
            fields(3, None, Some(b"7")),
            fields(2, None, None),
            fields(1, None, Some(b"7")),
        ] {
            assert_eq!(view(foreign), Err(Error::WrongType), "{foreign:?}");
        }
    }

    #[test]
    fn counts_and_tokens_out_of_range_are_refused() {
        let long = b"99999999999999999999999".as_slice();
        for count in [
            b"".as_slice(),
            b"0",
            b"-1",
            b"01",
            b"+1",
            b"1.0",
            b" 1",
            b"2147483648",
            long,
        ] {
            assert_eq!(view(fields(1, Some(count), None)), Err(Error::WrongType));
        }
        for token in [
            b"".as_slice(),
            b"0",
            b"-1",
            b"01",
            b"x",
            b"9007199254740991",
            long,
        ] {
            let foreign = fields(2, Some(b"1"), Some(token));
            assert_eq!(view(foreign), Err(Error::WrongType));
            assert_eq!(view(fields(2, None, Some(token))), Err(Error::WrongType));
        }
        assert!(view(fields(1, Some(b"2147483647"), None)).is_ok());
        assert!(view(fields(2, Some(b"1"), Some(b"9007199254740990"))).is_ok());
    }
}
