//! What a key holds, as one owner sees it.

use super::decimal::decimal;
use super::error::Error;
use super::fence::{Fence, MODE_FIELD};
use super::time::{Deadline, Now};
use super::token::{Token, Tokens};
use super::{MAX_HOLDS, MAX_OWNER};

/// One owner's hold of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hold {
    /// How often the owner holds it, from 1 to [`MAX_HOLDS`].
    pub holds: u32,
    /// Its fencing token, and when it began; none if Redisson made the hold.
    pub fence: Option<Fence>,
    /// When its lease ends.
    pub deadline: Deadline,
}

impl Hold {
    /// Its fencing token; none if Redisson made the hold.
    pub fn token(&self) -> Option<Token> {
        self.fence.map(|fence| fence.token)
    }
}

/// A lock as one owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Nobody holds it. A lease that is over may still be stored.
    Free {
        /// What is stored has to be deleted before the lock is taken.
        lapsed: bool,
    },
    /// That owner holds it.
    Mine(Hold),
    /// Someone else holds it, until then.
    Theirs(Deadline),
}

/// What was read of a hash for one owner, before it is known to be a lock.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// How many fields there are.
    pub count: usize,
    /// The value of the field with the owner's name.
    pub owner: Option<&'a [u8]>,
    /// The value of [`super::MODE_FIELD`].
    pub mode: Option<&'a [u8]>,
    /// The key's expiry.
    pub deadline: Option<Deadline>,
}

impl Fields<'_> {
    /// The hash as a lock.
    ///
    /// Another owner's hold count is not read: that would take a scan of the hash.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the hash does not have the layout of a lock.
    pub fn parse(&self) -> Result<Stored, Error> {
        let deadline = self.deadline.ok_or(Error::WrongType)?;
        let fence = self.mode.map(Fence::parse).transpose()?;
        // A field for the holder, perhaps one for the fence, and nothing else.
        if self.count != 1 + usize::from(fence.is_some()) {
            return Err(Error::WrongType);
        }
        let holds = self.owner.map(parse_holds).transpose()?;
        Ok(Stored {
            holds,
            fence,
            deadline,
        })
    }
}

/// A lock as it is stored, read for one owner. Its lease may be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// How often that owner holds it; none if another one does.
    pub holds: Option<u32>,
    /// The fence, whoever the holder is; none if Redisson made the hold.
    pub fence: Option<Fence>,
    /// When the lease ends.
    pub deadline: Deadline,
}

impl Stored {
    /// The lock as that owner sees it now. Learns the token.
    ///
    /// # Errors
    /// [`Error::WrongType`] if no server can have issued its token.
    pub fn seen(self, now: Now, tokens: &mut Tokens) -> Result<View, Error> {
        let Stored {
            holds,
            fence,
            deadline,
        } = self;
        if let Some(fence) = fence {
            tokens.learn(fence.token, now)?;
        }
        Ok(match holds {
            _ if deadline.has_passed(now) => View::Free { lapsed: true },
            Some(holds) => View::Mine(Hold {
                holds,
                fence,
                deadline,
            }),
            None => View::Theirs(deadline),
        })
    }
}

/// The holder of a lock, whoever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub owner: Vec<u8>,
    /// What it holds. The lease may be over.
    pub hold: Hold,
}

impl Holder {
    /// The most fields that a lock has.
    pub const MOST_FIELDS: usize = 2;

    /// The holder, from all fields of a hash with their values, and the key's expiry.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the hash does not have the layout of a lock.
    pub fn parse(
        fields: Vec<(Vec<u8>, Vec<u8>)>,
        deadline: Option<Deadline>,
    ) -> Result<Holder, Error> {
        let deadline = deadline.ok_or(Error::WrongType)?;
        let (modes, owners): (Vec<_>, Vec<_>) = fields
            .into_iter()
            .partition(|(field, _)| field == MODE_FIELD);
        let [(owner, holds)] = <[_; 1]>::try_from(owners).map_err(|_| Error::WrongType)?;
        if owner.is_empty() || owner.len() > MAX_OWNER {
            return Err(Error::WrongType);
        }
        let fence = modes.first().map(|(_, mode)| Fence::parse(mode));
        let hold = Hold {
            holds: parse_holds(&holds)?,
            fence: fence.transpose()?,
            deadline,
        };
        Ok(Holder { owner, hold })
    }
}

/// Reads a hold count as it is stored.
///
/// # Errors
/// [`Error::WrongType`] if it is not a decimal from 1 to [`MAX_HOLDS`].
pub fn parse_holds(value: &[u8]) -> Result<u32, Error> {
    decimal(value)
        .and_then(|n| u32::try_from(n).ok())
        .filter(|n| (1..=MAX_HOLDS).contains(n))
        .ok_or(Error::WrongType)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Start;

    const NOW: Now = Now(5_000_000);
    const LATER: Option<Deadline> = Some(Deadline(6000));

    fn fields<'a>(count: usize, owner: Option<&'a [u8]>, mode: Option<&'a [u8]>) -> Fields<'a> {
        Fields {
            count,
            owner,
            mode,
            deadline: LATER,
        }
    }

    fn view(fields: Fields) -> Result<View, Error> {
        fields.parse()?.seen(NOW, &mut Tokens::new())
    }

    #[test]
    fn a_hold_is_read_with_its_count_token_start_and_deadline() {
        let fence = |token, start| {
            Some(Fence {
                token: Token::new(token)?,
                start: Start(start),
            })
        };
        for (mode, fence) in [
            (Some(b"fenced:77".as_slice()), fence(77, 77)),
            (Some(b"fenced:77:5".as_slice()), fence(77, 5)),
            (None, None),
        ] {
            let hold = Hold {
                holds: 3,
                fence,
                deadline: Deadline(6000),
            };
            let count = 1 + usize::from(mode.is_some());
            let mut tokens = Tokens::new();
            let read = fields(count, Some(b"3"), mode).parse();
            let read = read.and_then(|stored| stored.seen(NOW, &mut tokens));
            assert_eq!(read, Ok(View::Mine(hold)));
        }
    }

    #[test]
    fn the_token_of_a_lock_is_learned_whoever_holds_it_and_that_of_no_lock_is_not() {
        let mode = Some(b"fenced:5000007".as_slice());
        let next = |fields: Fields| {
            let mut tokens = Tokens::new();
            let read = fields
                .parse()
                .and_then(|stored| stored.seen(NOW, &mut tokens));
            (read.is_ok(), tokens.issue(NOW).unwrap().token.get())
        };
        assert_eq!(next(fields(2, Some(b"1"), mode)), (true, 5_000_008));
        assert_eq!(next(fields(2, None, mode)), (true, 5_000_008));
        assert_eq!(next(fields(3, None, mode)), (false, NOW.0));
        let far = Some(b"fenced:9007199254740990".as_slice());
        assert_eq!(next(fields(2, Some(b"1"), far)), (false, NOW.0));
    }

    #[test]
    fn another_owner_is_seen_by_its_deadline_only() {
        let theirs = Ok(View::Theirs(Deadline(6000)));
        assert_eq!(view(fields(1, None, None)), theirs);
        assert_eq!(view(fields(2, None, Some(b"fenced:77"))), theirs);
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
        let fence = Some(b"fenced:7".as_slice());
        for foreign in [
            no_ttl,
            fields(2, Some(b"1"), None),
            fields(3, Some(b"1"), fence),
            fields(3, None, fence),
            fields(2, None, None),
            fields(1, None, fence),
            // Redisson's read/write locks.
            fields(2, Some(b"1"), Some(b"read")),
            fields(2, None, Some(b"write")),
            fields(2, None, Some(b"7")),
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
        let beyond = Some(b"fenced:9007199254740991".as_slice());
        assert_eq!(view(fields(2, Some(b"1"), beyond)), Err(Error::WrongType));
        assert_eq!(view(fields(2, None, beyond)), Err(Error::WrongType));
        assert!(view(fields(1, Some(b"2147483647"), None)).is_ok());
    }
}
