//! Fencing tokens: numbers that only grow, one for each hold.
//!
//! A store that remembers the largest token it has seen can refuse a writer whose lease ended while
//! it was paused. The idea is from Martin Kleppmann, "How to do distributed locking" (2016).

use super::error::Error;
use super::fence::Fence;
use super::time::Now;

/// The fencing token of one hold, from 1 to [`Token::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(i64);

impl Token {
    /// The largest token: 2^53-2, so that JavaScript and Lua read every token exactly.
    pub const MAX: i64 = (1 << 53) - 2;

    /// The token with this number, if it is in range.
    pub fn new(number: i64) -> Option<Token> {
        (1..=Token::MAX).contains(&number).then_some(Token(number))
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

/// Issues tokens, each larger than any that this server has issued or learned from a lock before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tokens {
    last: i64,
}

/// A day, in microseconds.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// How far ahead of the clock a token may be to be learned. Whoever may write to one lock can write any
/// token there: if the largest were learned, no token would be left for all other locks.
const LEARNED: i64 = DAY;

/// How far ahead of the clock a token may be at all. This bound is larger, so that a replica whose
/// clock is behind its master's still sees the master's locks.
const CREDIBLE: i64 = 2 * DAY;

impl Tokens {
    /// Nothing issued or learned yet.
    pub const fn new() -> Tokens {
        Tokens { last: 0 }
    }

    /// The largest that was issued or learned.
    pub fn last(&self) -> Option<Token> {
        Token::new(self.last)
    }

    /// Learns a token that was read from a lock: another server may have issued it.
    ///
    /// # Errors
    /// [`Error::WrongType`] if it is so far ahead of the clock that no server can have issued it: a
    /// hash with such a token is not a lock.
    pub fn learn(&mut self, token: Token, now: Now) -> Result<(), Error> {
        let ahead = token.0.saturating_sub(now.0);
        if token.0 <= self.last {
            Ok(())
        } else if ahead > CREDIBLE {
            Err(Error::WrongType)
        } else {
            if ahead <= LEARNED {
                self.last = token.0;
            }
            Ok(())
        }
    }

    /// A new token: the time in microseconds, or one more than the last if the clock is behind it.
    /// So tokens grow over restarts and promotions too, as long as the clocks roughly agree.
    ///
    /// # Errors
    /// [`Error::TokensSpent`] if the clock is so far ahead that no token is left.
    pub fn issue(&mut self, now: Now) -> Result<Fence, Error> {
        let token = Token::new((self.last + 1).max(now.0)).ok_or(Error::TokensSpent)?;
        self.last = token.0;
        Ok(Fence::new(token, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some time in 2023.
    const NOW: Now = Now(1_700_000_000_000_001);

    fn token(number: i64) -> Token {
        Token::new(number).unwrap()
    }

    #[test]
    fn a_token_is_the_time_in_microseconds() {
        let fence = Tokens::new().issue(NOW).unwrap();
        assert_eq!(fence.token.get(), NOW.0);
    }

    #[test]
    fn tokens_grow_while_the_clock_stands_still_or_steps_back() {
        let mut tokens = Tokens::new();
        let mut last = 0;
        for now in [1000, 1000, 1000, 5, 0, -7, 2000, 1999] {
            let token = tokens.issue(Now(now)).unwrap().token.get();
            assert!(token > last, "{token} after {last} at {now}");
            last = token;
        }
    }

    #[test]
    fn tokens_grow_past_one_that_was_read_from_a_lock() {
        let mut tokens = Tokens::new();
        for read in [5000, 10] {
            assert_eq!(tokens.learn(token(read), Now(7)), Ok(()));
        }
        assert_eq!(tokens.issue(Now(7)).unwrap().token.get(), 5001);
    }

    #[test]
    fn what_is_more_than_a_day_ahead_is_not_learned_and_what_is_more_than_two_is_no_token() {
        for (ahead, next, verdict) in [
            (0, NOW.0 + 1, Ok(())),
            (DAY, NOW.0 + DAY + 1, Ok(())),
            (DAY + 1, NOW.0, Ok(())),
            (2 * DAY, NOW.0, Ok(())),
            (2 * DAY + 1, NOW.0, Err(Error::WrongType)),
            (Token::MAX - NOW.0, NOW.0, Err(Error::WrongType)),
        ] {
            let mut tokens = Tokens::new();
            let read = tokens.learn(token(NOW.0 + ahead), NOW);
            assert_eq!(read, verdict, "{ahead}");
            assert_eq!(tokens.issue(NOW).unwrap().token.get(), next, "{ahead}");
        }
    }

    #[test]
    fn what_was_issued_stays_a_token_when_the_clock_steps_back() {
        let mut tokens = Tokens::new();
        let issued = tokens.issue(NOW).unwrap().token;
        for now in [Now(NOW.0 - 3 * DAY), Now(0), Now(i64::MIN)] {
            assert_eq!(tokens.learn(issued, now), Ok(()));
            assert_eq!(
                tokens.learn(token(issued.0 + 1), now),
                Err(Error::WrongType)
            );
        }
        assert_eq!(tokens.issue(Now(0)).unwrap().token.get(), issued.0 + 1);
    }

    #[test]
    fn a_day_ahead_is_as_far_as_planted_tokens_get_however_often_they_are_planted() {
        let mut tokens = Tokens::new();
        for step in 0..1000 {
            let now = Now(NOW.0 + step);
            for ahead in [DAY - 1, DAY, DAY + 1, 2 * DAY] {
                let far = token(now.0 + ahead);
                assert_eq!(tokens.learn(far, now), Ok(()));
            }
        }
        let next = tokens.issue(NOW).unwrap().token.get();
        assert_eq!(next, NOW.0 + 999 + DAY + 1);
    }

    #[test]
    fn no_token_is_issued_past_the_largest_and_none_wraps() {
        let (mut tokens, last) = (Tokens::new(), Now(Token::MAX - 1));
        assert_eq!(tokens.issue(last).unwrap().token.get(), Token::MAX - 1);
        assert_eq!(tokens.issue(last).unwrap().token.get(), Token::MAX);
        for now in [last, Now(i64::MAX), Now(7)] {
            assert_eq!(tokens.issue(now), Err(Error::TokensSpent));
        }
        assert_eq!(Tokens::new().issue(Now(i64::MAX)), Err(Error::TokensSpent));
    }

    #[test]
    fn numbers_out_of_range_are_no_tokens() {
        assert_eq!(Token::new(0), None);
        assert_eq!(Token::new(-1), None);
        assert_eq!(Token::new(Token::MAX + 1), None);
        assert_eq!(Token::new(Token::MAX).map(Token::get), Some(Token::MAX));
    }
}
