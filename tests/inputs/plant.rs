//! What others put where a lock is, or should be: every type, and hashes in every wrong shape.

use super::words::{any_bytes, any_word, one_of};
use fastrand::Rng;

/// The fields that a lock may have, and one that no lock has.
const FIELDS: [&[u8]; 8] = [
    b"o0", b"o1", b"o2", b"mode", b"", b"\0\xff", b"MODE", b"name",
];

/// Values of the field `mode`: of ours, of Redisson's read and write locks, and of neither.
const MODES: [&[u8]; 8] = [
    b"fenced:7",
    b"fenced:1795251785622463:5",
    b"fenced:9007199254740990",
    b"fenced:0",
    b"fenced:07",
    b"read",
    b"write",
    b"fenced:7:",
];

/// What is in some servers only.
pub const RARE: [&str; 5] = ["HPEXPIRE", "VADD", "JSON.SET", "BF.ADD", "GRAPH.QUERY"];

/// The calls that put something under that name. Some of them are in some servers only.
pub fn any(dice: &mut Rng, key: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut words = Words {
        key,
        calls: Vec::new(),
    };
    // Most of it takes the place of what was there; some of it changes that.
    if dice.usize(..5) > 0 {
        words.say(&["DEL", "@"]);
    }
    match dice.usize(..10) {
        0 | 1 => of_another_type(&mut words, dice),
        2 => whole_lock(&mut words, dice),
        3 => large_hash(&mut words, dice),
        _ => small_hash(&mut words, dice),
    }
    match dice.usize(..8) {
        0 => (),
        1 => words.say(&["PEXPIRE", "@", "1"]),
        2 => words.say(&["PEXPIRE", "@", "20"]),
        3 => words.say(&["PEXPIRE", "@", "9000000000000000"]),
        4 => words.say(&["PEXPIREAT", "@", "1"]),
        _ => words.say(&["PEXPIRE", "@", "600000"]),
    }
    if dice.usize(..6) == 0 {
        let ms = one_of(dice, &["1", "20", "600000"]);
        words.say(&["HPEXPIRE", "@", ms, "FIELDS", "3", "o0", "o1", "mode"]);
    }
    if dice.usize(..12) == 0 {
        elsewhere(&mut words, dice);
    }
    words.calls
}

struct Words<'a> {
    key: &'a [u8],
    calls: Vec<Vec<Vec<u8>>>,
}

impl Words<'_> {
    /// A call, in which `@` is the name.
    fn say(&mut self, words: &[&str]) {
        let word = |word: &&str| match *word {
            "@" => self.key.to_vec(),
            word => word.as_bytes().to_vec(),
        };
        self.calls.push(words.iter().map(word).collect());
    }

    fn hset(&mut self, pairs: Vec<(Vec<u8>, Vec<u8>)>) {
        let mut call = vec![b"HSET".to_vec(), self.key.to_vec()];
        for (field, value) in pairs {
            call.extend([field, value]);
        }
        self.calls.push(call);
    }
}

fn of_another_type(words: &mut Words, dice: &mut Rng) {
    let lines: [&[&str]; 17] = [
        &["SET", "@", "taken"],
        &["SET", "@", "1"],
        &["SET", "@", "taken", "PX", "5"],
        &["SETBIT", "@", "100000", "1"],
        &["APPEND", "@", ""],
        &["PFADD", "@", "a", "b"],
        &["RPUSH", "@", "o0", "1", "mode", "fenced:7"],
        &["SADD", "@", "1", "2", "3"],
        &["SADD", "@", "o0", "mode"],
        &["ZADD", "@", "1", "o0", "7", "mode"],
        &["GEOADD", "@", "13.4", "52.5", "o0"],
        &["XADD", "@", "*", "o0", "1", "mode", "fenced:7"],
        &["XGROUP", "CREATE", "@", "group", "$", "MKSTREAM"],
        // Of modules, where the server has them.
        &["VADD", "@", "VALUES", "2", "1", "0", "o0"],
        &["JSON.SET", "@", "$", "{\"mode\":\"fenced:7\"}"],
        &["BF.ADD", "@", "o0"],
        &["GRAPH.QUERY", "@", "CREATE (:Owner {name: 'o0'})"],
    ];
    words.say(one_of(dice, &lines));
    if dice.usize(..4) == 0 {
        // Long values have other encodings.
        let long = "x".repeat(100);
        words.say(&["SADD", "@", &long]);
        words.say(&["RPUSH", "@", &long]);
        words.say(&["APPEND", "@", &long]);
    }
}

/// A lock, as this module or Redisson writes it.
fn whole_lock(words: &mut Words, dice: &mut Rng) {
    let owner = one_of(dice, &[b"o0".as_slice(), b"o1", b"o9"]).to_vec();
    let mut pairs = vec![(owner, dice.usize(1..4).to_string().into_bytes())];
    if dice.bool() {
        pairs.push((b"mode".to_vec(), b"fenced:7".to_vec()));
    }
    words.hset(pairs);
}

/// Up to four fields, few of which fit.
fn small_hash(words: &mut Words, dice: &mut Rng) {
    let mut pairs = Vec::new();
    for _ in 0..dice.usize(1..5) {
        let field = one_of(dice, &FIELDS).to_vec();
        let value = match dice.usize(..3) {
            0 => one_of(dice, &MODES).to_vec(),
            1 => one_of(dice, &[b"1".as_slice(), b"2", b"0", b"-1", b"01", b"1.0"]).to_vec(),
            _ => any_word(dice),
        };
        pairs.push((field, value));
    }
    words.hset(pairs);
    if dice.usize(..8) == 0 {
        words.say(&["HINCRBY", "@", "o0", "9223372036854775806"]);
        words.say(&["HINCRBYFLOAT", "@", "o1", "0.5"]);
    }
}

/// One that the server keeps as a hash table: with many fields, or with a long one.
fn large_hash(words: &mut Words, dice: &mut Rng) {
    let mut pairs = vec![(b"mode".to_vec(), one_of(dice, &MODES).to_vec())];
    match dice.bool() {
        true => pairs.extend((0..600).map(|n| (format!("o{n}").into_bytes(), b"1".to_vec()))),
        false => pairs.push((vec![b'o'; 1 + dice.usize(..2000)], any_bytes(dice, 200))),
    }
    words.hset(pairs);
}

/// It goes to another name, or comes from there, or goes and comes back as what it was not.
fn elsewhere(words: &mut Words, dice: &mut Rng) {
    match dice.usize(..8) {
        0 => words.say(&["RENAME", "@", "k0"]),
        1 => words.say(&["COPY", "@", "k1", "REPLACE"]),
        2 => words.say(&["MOVE", "@", "1"]),
        3 => words.say(&["SWAPDB", "0", "1"]),
        4 => words.say(&["HDEL", "@", "mode"]),
        5 => words.say(&["HDEL", "@", "o0"]),
        6 => words.say(&["PERSIST", "@"]),
        _ => words.say(&["RESTORE", "@", "5000", "\0\u{1}x", "REPLACE"]),
    }
}
