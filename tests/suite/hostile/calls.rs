//! Random calls.

use crate::inputs::words::any_word;
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
