//! Random calls.

use fastrand::Rng;

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

/// An argument.
pub fn any_word(dice: &mut Rng) -> Vec<u8> {
    match dice.usize(..20) {
        0..=14 => WORDS[dice.usize(..WORDS.len())].to_vec(),
        15..=17 => (0..dice.usize(..24))
            .map(|_| dice.usize(..256) as u8)
            .collect(),
        18 => vec![dice.usize(..256) as u8; 1023 + dice.usize(..3)],
        // Rarely, for it takes its time: a mebibyte.
        _ if dice.usize(..40) == 0 => vec![b'x'; 1 << 20],
        _ => dice.usize(..usize::MAX).to_string().into_bytes(),
    }
}

/// A call of some command with up to 20 arguments: half of them start as a proper call does.
pub fn any_call(dice: &mut Rng) -> Vec<Vec<u8>> {
    let mut words = vec![COMMANDS[dice.usize(..COMMANDS.len())].as_bytes().to_vec()];
    if dice.usize(..2) == 0 {
        words.push(b"orders".to_vec());
        if dice.usize(..8) == 0 {
            return words;
        }
        words.push([b"me".as_slice(), b"you"][dice.usize(..2)].to_vec());
        words.extend((0..dice.usize(..6)).map(|_| any_word(dice)));
    } else {
        words.extend((0..dice.usize(..21)).map(|_| any_word(dice)));
    }
    words
}
