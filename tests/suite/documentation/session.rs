//! Sessions in redis-cli: what a page shows is typed into a server, and the replies are compared.

use super::page::pages;
use crate::support::{Server, Waiter};
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

/// Numbers on a page that are fencing tokens: they stand for those that the server issues. Larger
/// ones are limits and stand for themselves.
const TOKENS: Range<i64> = 1_000_000_000_000_000..9_000_000_000_000_000;

/// By how much a number above 1,000, a time left in ms, may be above what the page shows, and below:
/// a busy machine takes its time to type.
const TIME_LEFT_VARIES_BY: (i64, i64) = (2000, 10_000);

/// Types the sessions of the pages that are chosen by their path.
pub fn check_sessions(chosen: impl Fn(&Path) -> bool) {
    let (mut typed, mut wrong) = (0, Vec::new());
    for page in pages().iter().filter(|page| chosen(&page.path)) {
        let server = Server::start();
        let mut tokens = Tokens::default();
        let mut elsewhere = Vec::new();
        for block in page.blocks("redis-cli") {
            for example in block.examples(page) {
                typed += 1;
                let line = tokens.put_into(example.typed);
                if block.has("elsewhere") {
                    assert!(example.reply.is_empty(), "{line} has no reply here");
                    elsewhere.push(Waiter::start(&server, &line));
                    continue;
                }
                let reply = type_in(&server, &line, block.has("resp3"));
                let fits = example.reply.len() == reply.len()
                    && example
                        .reply
                        .iter()
                        .zip(&reply)
                        .all(|(shown, told)| tokens.fit(shown, told));
                if !fits {
                    let place = format!("{}:{}", page.name(), example.line);
                    let (shown, told) = (example.reply.join("\n"), reply.join("\n"));
                    wrong.push(format!("{place}: {line}\n{told}\ninstead of\n{shown}\n"));
                }
            }
        }
    }
    assert!(typed > 0, "no session was found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Types a line into redis-cli, and returns what it prints.
fn type_in(server: &Server, line: &str, resp3: bool) -> Vec<String> {
    let mut cli = Command::new("redis-cli");
    cli.args(["--no-raw", "-p", &server.port().to_string()]);
    if resp3 {
        cli.arg("-3");
    }
    // What the person who runs the tests has set for a server of their own.
    cli.env_remove("REDISCLI_AUTH")
        .env("REDISCLI_RCFILE", "/dev/null");
    cli.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut cli = cli.spawn().unwrap_or_else(|error| {
        panic!("redis-cli cannot be run ({error}): Debian has it in redis-tools")
    });
    // Closed when it is dropped: redis-cli ends there.
    writeln!(cli.stdin.take().unwrap(), "{line}").unwrap();
    let printed = cli.wait_with_output().unwrap().stdout;
    let printed = String::from_utf8(printed).unwrap();
    let mut lines: Vec<String> = printed
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    // It adds how long a slow reply took.
    if lines
        .last()
        .is_some_and(|line| line.starts_with('(') && line.ends_with("s)"))
    {
        lines.pop();
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// The tokens of a page, each with the one that the server issued in its place.
#[derive(Default)]
struct Tokens(Vec<(i64, i64)>);

impl Tokens {
    /// Whether a line that the server told fits the line that the page shows.
    fn fit(&mut self, shown: &str, told: &str) -> bool {
        let (shown, told) = (pieces(shown), pieces(told));
        shown.len() == told.len()
            && shown.iter().zip(&told).all(|pair| match pair {
                (Piece::Number(shown), Piece::Number(told)) => self.number(*shown, *told),
                (Piece::Text(shown), Piece::Text(told)) => shown == told,
                _ => false,
            })
    }

    fn number(&mut self, shown: i64, told: i64) -> bool {
        if !TOKENS.contains(&shown) {
            let (above, below) = TIME_LEFT_VARIES_BY;
            let varies = (1001..TOKENS.start).contains(&shown);
            return shown == told
                || varies && (shown - below..=shown + above).contains(&told) && told > 0;
        }
        if let Some((_, issued)) = self.0.iter().find(|(page, _)| *page == shown) {
            return *issued == told;
        }
        // Tokens only grow: the server's stand in the order in which the page's do.
        let ordered = self
            .0
            .iter()
            .all(|&(page, issued)| (page < shown) == (issued < told) && issued != told);
        self.0.push((shown, told));
        TOKENS.contains(&told) && ordered
    }

    /// The line to type for one that the page shows.
    fn put_into(&self, line: &str) -> String {
        let text = pieces(line).into_iter().map(|piece| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Number(number) => {
                let issued = self.0.iter().find(|(page, _)| *page == number);
                issued.map_or(number, |(_, issued)| *issued).to_string()
            }
        });
        text.collect()
    }
}

/// A part of a line.
enum Piece<'a> {
    Text(&'a str),
    /// A whole number that stands alone, and in the one form that numbers are printed in.
    Number(i64),
}

fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut text = 0;
    let mut at = 0;
    for word in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if let Some(number) = digits
            .parse::<i64>()
            .ok()
            .filter(|n| n.to_string() == digits)
        {
            pieces.push(Piece::Text(&line[text..at]));
            pieces.push(Piece::Number(number));
            text = at + digits.len();
        }
        at += word.len();
    }
    pieces.push(Piece::Text(&line[text..]));
    pieces
}

#[test]
fn a_reply_fits_a_page_where_only_tokens_and_times_differ() {
    let fits = |pairs: &[(&str, &str)]| {
        let mut tokens = Tokens::default();
        pairs.iter().all(|(shown, told)| tokens.fit(shown, told))
    };
    let (a, b) = ("1700000000000001", "1700000000000002");
    let (x, y) = ("1800000000000001", "1800000000000002");
    assert!(fits(&[("OK", "OK"), ("(integer) 1", "(integer) 1")]));
    assert!(fits(&[("(integer) 30000", "(integer) 20001")]));
    assert!(fits(&[
        (a, x),
        ("\"owner-1\"", "\"owner-1\""),
        (a, x),
        (b, y)
    ]));
    for wrong in [
        &[("OK", "QUEUED")][..],
        &[("(integer) 1", "(integer) 2")],
        &[("(integer) 1000", "(integer) 999")],
        &[("(integer) 30000", "(integer) 19999")],
        &[("(integer) 30000", "(nil)")],
        &[("owner-1", "owner-2")],
        &[("at f30000", "at f30001")],
        &[("up to 9007199254740991", "up to 9007199254740990")],
        &[(a, "0")],
        &[(a, x), (a, y)],
        &[(a, x), (b, x)],
        &[(a, y), (b, x)],
    ] {
        assert!(!fits(wrong), "{wrong:?}");
    }
    let mut tokens = Tokens::default();
    assert!(tokens.fit(&format!("3) (integer) {a}"), &format!("3) (integer) {x}")));
    let typed = format!("LOCK.RELEASE orders-7 me TOKEN {a} {b} 30000");
    let real = format!("LOCK.RELEASE orders-7 me TOKEN {x} {b} 30000");
    assert_eq!(tokens.put_into(&typed), real);
}
