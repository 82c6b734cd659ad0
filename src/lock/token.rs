//! Fencing tokens: numbers that only grow, one for each hold.
//!
//! A store that remembers the largest token it has seen can refuse a writer whose lease lapsed while
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

    /// The token with this number, where it is in range.
    pub fn new(number: i64) -> Option<Token> {
        (1..=Token::MAX).contains(&number).then_some(Token(number))
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

/// Issues tokens, each larger than any that this server has issued or read from a lock before.
#[derive(Debug, Default)]
pub struct Tokens {
    last: i64,
}

impl Tokens {
    /// Nothing issued or seen yet.
    pub const fn new() -> Tokens {
        Tokens { last: 0 }
    }

    /// Takes note of a token that was read from a lock: another server may have issued it.
    pub fn saw(&mut self, token: Token) {
        self.last = self.last.max(token.0);
    }

    /// A new token: the time in microseconds, or one more than the last where the clock is behind
    /// it. So tokens grow over restarts and promotions too, as long as the clocks roughly agree.
    ///
    /// # Errors
    /// [`Error::TokensSpent`] where a token so large was seen that none is left.
    pub fn issue(&mut self, now: Now) -> Result<Fence, Error> {
        let token = Token::new((self.last + 1).max(now.0)).ok_or(Error::TokensSpent)?;
        self.last = token.0;
        Ok(Fence::new(token, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_time_in_microseconds() {
        let fence = Tokens::new().issue(Now(1_700_000_000_000_001)).unwrap();
        assert_eq!(fence.token.get(), 1_700_000_000_000_001);
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
        tokens.saw(Token::new(5000).unwrap());
        tokens.saw(Token::new(10).unwrap());
        assert_eq!(tokens.issue(Now(7)).unwrap().token.get(), 5001);
    }

    #[test]
    fn no_token_is_issued_past_the_largest_and_none_wraps() {
        let mut tokens = Tokens::new();
        tokens.saw(Token::new(Token::MAX - 1).unwrap());
        assert_eq!(tokens.issue(Now(7)).unwrap().token.get(), Token::MAX);
        assert_eq!(tokens.issue(Now(7)), Err(Error::TokensSpent));
        assert_eq!(tokens.issue(Now(7)), Err(Error::TokensSpent));
    }

    #[test]
    fn numbers_out_of_range_are_no_tokens() {
        assert_eq!(Token::new(0), None);
        assert_eq!(Token::new(-1), None);
        assert_eq!(Token::new(Token::MAX + 1), None);
        assert_eq!(Token::new(Token::MAX).map(Token::get), Some(Token::MAX));
    }
}
