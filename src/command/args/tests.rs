use super::*;

use crate::command::spec::{holds, Access, OWNER, TOKEN, TTL};

const SPEC: Spec = Spec {
    name: "lock.x",
    flags: "",
    categories: "",
    access: Access::Update,
    summary: "",
    complexity: "",
    arguments: &[OWNER, TTL, holds(1), TOKEN],
};

fn read<'a>(words: &[&'a str]) -> Result<Args<'a>, String> {
    let args: Vec<&[u8]> = ["LOCK.X", "key", "me"]
        .iter()
        .chain(words)
        .map(|word| word.as_bytes())
        .collect();
    Args::parse(&SPEC, &args).map_err(|error| error.to_string())
}

#[test]
fn options_come_in_any_order_and_case() {
    for words in [
        ["500", "HOLDS", "2", "TOKEN", "9"],
        ["500", "token", "9", "Holds", "2"],
    ] {
        let options = read(&words).unwrap();
        assert_eq!(options.ttl, Some(Millis(500)));
        assert_eq!(options.holds, Some(2));
        assert_eq!(options.token, Token::new(9));
    }
    assert_eq!(read(&["holds", "2"]).unwrap().ttl, None);
}

#[test]
fn a_refusal_names_the_argument_and_what_it_may_be() {
    for (words, refusal) in [
        (
            &["0"][..],
            "ERR ttl must be a whole number from 1 to 9007199254740991, not \"0\"",
        ),
        (
            &["5", "HOLDS", "x\n"],
            "ERR HOLDS must be a whole number from 1 to 2147483647, not \"x\\n\"",
        ),
        (
            &["TOKEN", "9007199254740991"],
            "ERR TOKEN must be a whole number from 1 to 9007199254740990, not \"9007199254740991\"",
        ),
        (&["HOLDS"], "ERR HOLDS needs a value"),
        (&["5", "TOKEN"], "ERR TOKEN needs a value"),
        (
            &["HOLDS", "1", "holds", "1"],
            "ERR HOLDS may be given only once",
        ),
        (
            &["TOKEN", "1", "TOKEN", "1"],
            "ERR TOKEN may be given only once",
        ),
        (
            &["soon"],
            "ERR unknown option \"soon\", expected a ttl in ms or HOLDS or TOKEN",
        ),
        (
            &["5", "5"],
            "ERR unknown option \"5\", expected HOLDS or TOKEN",
        ),
        (
            &["HOLDS", "1", "5"],
            "ERR unknown option \"5\", expected HOLDS or TOKEN",
        ),
    ] {
        assert_eq!(read(words).unwrap_err(), refusal);
    }
}

#[test]
fn numbers_are_plain_decimals() {
    for word in [
        "-1",
        "+1",
        "01",
        "1e3",
        "0x10",
        "1.0",
        " 1",
        "1 ",
        "",
        "\u{661}",
        "99999999999999999999",
    ] {
        assert!(read(&[word]).is_err(), "{word}");
        assert!(read(&["HOLDS", word]).is_err(), "{word}");
    }
    assert!(read(&["9007199254740991"]).is_ok());
    assert!(read(&["9007199254740992"]).is_err());
}

#[test]
fn an_owner_is_1_to_1024_bytes_and_no_reserved_name() {
    let owner = |owner: &[u8]| {
        let args = [b"LOCK.X".as_slice(), b"key", owner];
        Args::parse(&SPEC, &args).map(|_| ())
    };
    assert!(owner(b"\0\xff%s").is_ok());
    assert!(owner(b"Mode").is_ok());
    assert!(owner(&[b'x'; 1024]).is_ok());
    for refused in [b"".as_slice(), &[b'x'; 1025], b"mode"] {
        assert!(matches!(owner(refused), Err(Error::Owner(_))));
    }
}

#[test]
fn a_default_lease_longer_than_the_longest_counts_as_the_longest() {
    let mut settings = Settings::new();
    let ttl = |settings: &Settings, words: &[&str]| read(words).unwrap().ttl(settings);
    assert_eq!(ttl(&settings, &[]), Ok(Millis(30_000)));
    settings.max_ttl = Millis(10_000);
    assert_eq!(ttl(&settings, &[]), Ok(Millis(10_000)));
    assert_eq!(ttl(&settings, &["10000"]), Ok(Millis(10_000)));
    assert!(ttl(&settings, &["10001"]).is_err());
}
