//! What a lock stores of a hold besides its count: the fencing token, and when the hold began.

use super::decimal::leading_decimal;
use super::error::Error;
use super::time::{Now, Start};
use super::token::Token;

/// The field that stores the fence. It is not allowed as an owner.
///
/// Redisson's read/write locks read the field of this name: with an unknown value they see a lock
/// that is held. Without the field they break into the lock.
pub const MODE_FIELD: &[u8] = b"mode";

/// The prefix of the value. It keeps the value from being a number: Redisson's read unlock counts
/// down from every field that Lua can read as a number, and from a token that would take years.
const PREFIX: &[u8] = b"fenced:";

/// The fencing token of a hold, and when the hold began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The token.
    pub token: Token,
    /// When the hold began.
    pub start: Start,
}

/// Up to so many microseconds from the clock a token also stands for the start of its hold.
const CLOSE: i64 = 1000;

impl Fence {
    /// The fence of a hold that begins now with that token.
    pub fn new(token: Token, now: Now) -> Fence {
        let start = match token.get().abs_diff(now.0) <= CLOSE as u64 {
            true => token.get(),
            // The range of a token, so that the stored value can be read.
            false => now.0.clamp(1, Token::MAX),
        };
        Fence {
            token,
            start: Start(start),
        }
    }

    /// Reads the value of the field.
    ///
    /// # Errors
    /// [`Error::WrongType`] if it is not `fenced:<token>` or `fenced:<token>:<start>`, or a number
    /// is out of range.
    pub fn parse(value: &[u8]) -> Result<Fence, Error> {
        let numbers = value.strip_prefix(PREFIX).ok_or(Error::WrongType)?;
        let (token, rest) = leading_number(numbers)?;
        let (start, rest) = match rest {
            [b':', start @ ..] => leading_number(start)?,
            _ => (token, rest),
        };
        match rest {
            [] => Ok(Fence {
                token,
                start: Start(start.get()),
            }),
            _ => Err(Error::WrongType),
        }
    }

    /// The value of the field.
    pub fn text(self) -> Text {
        let mut text = Text::new();
        text.push(PREFIX);
        text.push_number(self.token.get());
        if self.start.0 != self.token.get() {
            text.push(b":");
            text.push_number(self.start.0);
        }
        text
    }
}

/// Token and start have the same range.
fn leading_number(text: &[u8]) -> Result<(Token, &[u8]), Error> {
    let number = leading_decimal(text).and_then(|(n, rest)| Some((Token::new(n)?, rest)));
    number.ok_or(Error::WrongType)
}

/// The value of the field, on the stack.
pub struct Text {
    bytes: [u8; Text::LONGEST],
    len: usize,
}

impl Text {
    /// The prefix, two numbers of 16 digits, and the colon between them.
    const LONGEST: usize = PREFIX.len() + 2 * Text::DIGITS + 1;
    const DIGITS: usize = 16;

    fn new() -> Text {
        Text {
            bytes: [0; Text::LONGEST],
            len: 0,
        }
    }

    fn push(&mut self, part: &[u8]) {
        let end = (self.len + part.len()).min(Text::LONGEST);
        let room = &mut self.bytes[self.len..end];
        room.copy_from_slice(&part[..room.len()]);
        self.len = end;
    }

    fn push_number(&mut self, number: i64) {
        self.push(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fence(token: i64, start: i64) -> Fence {
        Fence {
            token: Token::new(token).unwrap(),
            start: Start(start),
        }
    }

    fn text(fence: Fence) -> String {
        String::from_utf8(fence.text().as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_start_is_stored_only_where_the_token_does_not_tell_it() {
        let of = |token, now| text(Fence::new(Token::new(token).unwrap(), Now(now)));
        assert_eq!(
            of(1_795_251_785_622_463, 1_795_251_785_622_463),
            "fenced:1795251785622463"
        );
        assert_eq!(of(5001, 4001), "fenced:5001");
        assert_eq!(of(5001, 6001), "fenced:5001");
        assert_eq!(of(5002, 4001), "fenced:5002:4001");
        assert_eq!(of(5001, 6002), "fenced:5001:6002");
    }

    #[test]
    fn what_a_mad_clock_says_can_be_stored_too() {
        let of = |now| text(Fence::new(Token::new(5000).unwrap(), Now(now)));
        assert_eq!(of(-7), "fenced:5000:1");
        assert_eq!(of(i64::MIN), "fenced:5000:1");
        assert_eq!(of(i64::MAX), "fenced:5000:9007199254740990");
    }

    #[test]
    fn what_is_no_fence_is_refused() {
        for foreign in [
            "",
            "read",
            "write",
            "fenced",
            "fenced:",
            "fenced:0",
            "fenced:-1",
            "fenced:01",
            "fenced:x",
            "fenced: 7",
            "fenced:7 ",
            "fenced:7:",
            "fenced:7:0",
            "fenced:7:x",
            "fenced:7:5:3",
            "fenced::5",
            "Fenced:7",
            "7",
            "fenced:9007199254740991",
            "fenced:7:9007199254740991",
            "fenced:99999999999999999999999",
        ] {
            assert_eq!(
                Fence::parse(foreign.as_bytes()),
                Err(Error::WrongType),
                "{foreign}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(token in 1..=Token::MAX, start in 1..=Token::MAX) {
            for fence in [fence(token, start), fence(token, token), fence(Token::MAX, Token::MAX - 1)] {
                prop_assert_eq!(Fence::parse(fence.text().as_bytes()), Ok(fence));
            }
        }
    }
}
