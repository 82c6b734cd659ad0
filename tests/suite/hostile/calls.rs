//! Random calls.

use crate::support::Dice;

/// Every command of the module.
pub const COMMANDS: [&str; 7] = [
    "LOCK.ACQUIRE",
    "LOCK.RELEASE",
    "LOCK.RENEW",
    "LOCK.ASSERT",
    "LOCK.INFO",
    "LOCK.LINES",
    "LOCK.FORCERELEASE",
];

/// Words that mean something to some command, or nearly. `WAIT` is not among them: it may keep the
/// connection, where waiting is allowed.
pub const WORDS: [&[u8]; 37] = [
    b"orders",
    b"me",
    b"you",
    b"HOLDS",
    b"holds",
    b"TOKEN",
    b"tOkEn",
    b"SESSION",
    b"LINGER",
    b"COUNT",
    b"0",
    b"1",
    b"2",
    b"-1",
    b"5000",
    b"2147483647",
    b"2147483648",
    b"9007199254740990",
    b"9007199254740991",
    b"9007199254740992",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"1e3",
    b"",
    b"\0",
    b"%s%n%s%n%p",
    b"\r\n",
    b"\r\n-ERR forged\r\n",
    b"a\0b",
    b"\xff\xfe",
    b"mode",
    b"fenced:7",
    b"fenced:1795251785622463:5",
    b"fenced:9007199254740990",
    b"fenced:",
    b"{tag}",
];

impl Dice {
    /// An argument.
    pub fn word(&mut self) -> Vec<u8> {
        match self.roll(20) {
            0..=14 => WORDS[self.roll(WORDS.len())].to_vec(),
            15..=17 => (0..self.roll(24)).map(|_| self.roll(256) as u8).collect(),
            18 => vec![self.roll(256) as u8; 1023 + self.roll(3)],
            // Rarely, for it takes its time: a mebibyte.
            _ if self.roll(40) == 0 => vec![b'x'; 1 << 20],
            _ => self.roll(usize::MAX).to_string().into_bytes(),
        }
    }

    /// A call of some command with up to 20 arguments: half of them start as a proper call does.
    pub fn call(&mut self) -> Vec<Vec<u8>> {
        let mut words = vec![COMMANDS[self.roll(COMMANDS.len())].as_bytes().to_vec()];
        if self.roll(2) == 0 {
            words.push(b"orders".to_vec());
            if self.roll(8) == 0 {
                return words;
            }
            words.push([b"me".as_slice(), b"you"][self.roll(2)].to_vec());
            words.extend((0..self.roll(6)).map(|_| self.word()));
        } else {
            words.extend((0..self.roll(21)).map(|_| self.word()));
        }
        words
    }
}
