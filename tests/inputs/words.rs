//! Arguments that nobody meant.

use fastrand::Rng;

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
        0..=14 => one_of(dice, &WORDS).to_vec(),
        15..=17 => any_bytes(dice, 24),
        18 => vec![dice.u8(..); 1023 + dice.usize(..3)],
        // Rarely, for it takes its time: a mebibyte.
        _ if dice.usize(..40) == 0 => vec![b'x'; 1 << 20],
        _ => dice.usize(..).to_string().into_bytes(),
    }
}

/// Fewer than so many bytes.
pub fn any_bytes(dice: &mut Rng, most: usize) -> Vec<u8> {
    (0..dice.usize(..most)).map(|_| dice.u8(..)).collect()
}

/// A word in capitals, in small letters, or in both.
pub fn in_any_case(dice: &mut Rng, word: &str) -> Vec<u8> {
    match dice.usize(..4) {
        0 => word.to_ascii_lowercase().into_bytes(),
        1 => word
            .bytes()
            .map(|byte| match dice.bool() {
                true => byte.to_ascii_lowercase(),
                false => byte.to_ascii_uppercase(),
            })
            .collect(),
        _ => word.to_ascii_uppercase().into_bytes(),
    }
}

/// A number as a command takes it, or as one may be mistaken for it.
pub fn any_number(dice: &mut Rng, min: i64, max: i64) -> Vec<u8> {
    let number = match dice.usize(..12) {
        0 => min.saturating_sub(1),
        1 => min,
        2 => max,
        3 => max.saturating_add(1),
        4 => -1,
        5 => dice.i64(..),
        6 => return format!("+{min}").into_bytes(),
        7 => return format!("0{max}").into_bytes(),
        8 => return format!(" {min}").into_bytes(),
        9 => return format!("{min}.0").into_bytes(),
        10 => return format!("{min}\0").into_bytes(),
        _ => return one_of(dice, &WORDS).to_vec(),
    };
    number.to_string().into_bytes()
}

/// One of several.
pub fn one_of<T: Copy>(dice: &mut Rng, choices: &[T]) -> T {
    choices[dice.usize(..choices.len())]
}
