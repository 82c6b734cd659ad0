//! The documentation is true: its examples are typed into a server, every command, setting and field
//! is described, and every link leads somewhere.
//!
//! A block with the info string `redis-cli` is a session: what follows the prompt is typed, and the
//! lines after it are the reply. All blocks of a page go to one fresh server, in order. After
//! `redis-cli` may follow `since=7.0`, for what older servers lack, and `resp3`. A block with the
//! info string `conf` is a configuration that starts a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use redis::Value;
use redis_reentrant_lock::settings::{
    Notify, Settings, CHANNEL_PREFIX, MAX_PREFIX, NOTIFY, NUMBERS,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{show, version, Client, Server, Setup};

/// What redis-cli shows before a line that is typed.
const PROMPT: &str = "127.0.0.1:6379> ";

/// Numbers on a page that are fencing tokens: they stand for those that the server issues. Larger
/// ones are limits and stand for themselves.
const TOKENS: Range<i64> = 1_000_000_000_000_000..9_000_000_000_000_000;

/// By how much a number above 1,000, a time left in ms, may differ from what the page shows.
const TIME_LEFT_VARIES_BY: u64 = 2000;

#[test]
fn the_readme_shows_what_the_server_replies() {
    check_sessions(|path| path == Path::new("README.md"));
}

#[test]
fn the_pages_of_the_commands_show_what_the_server_replies() {
    check_sessions(|path| path.starts_with("docs/commands"));
}

#[test]
fn the_other_pages_show_what_the_server_replies() {
    check_sessions(|path| path.starts_with("docs") && !path.starts_with("docs/commands"));
}

#[test]
fn every_configuration_that_is_shown_starts_a_server() {
    let mut shown = 0;
    for page in pages() {
        for block in page.blocks("conf").filter(Block::is_for_this_server) {
            let mut setup = Setup::new();
            for line in block.lines.iter().filter(|line| !line.is_empty()) {
                setup = match line.strip_prefix("loadmodule ") {
                    Some(module) => {
                        let args = module.split_once(' ').map_or("", |(_path, args)| args);
                        setup.module_args(args)
                    }
                    None => setup.config(line),
                };
            }
            if let Err(log) = setup.try_start() {
                panic!("{}:{} starts no server:\n{log}", page.name(), block.line);
            }
            shown += 1;
        }
    }
    assert!(shown > 0, "no page shows a configuration");
}

#[test]
fn every_command_has_a_page_and_its_place_in_both_tables() {
    let server = Server::start();
    let registered = commands(&mut server.client());
    let described: BTreeSet<String> = pages()
        .into_iter()
        .filter(|page| page.path.parent() == Some(Path::new("docs/commands")))
        .map(|page| page.path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "README")
        .collect();
    assert_eq!(described, registered);
    for name in &registered {
        let page = page(&format!("docs/commands/{name}.md"));
        let upper = name.to_uppercase();
        assert!(page.text.starts_with(&format!("# {upper}\n")), "{name}");
        assert!(
            page.syntax().starts_with(&format!("{upper} key")),
            "{} is no syntax of {name}",
            page.syntax()
        );
        for (table, folder) in [
            ("docs/commands/README.md", ""),
            ("README.md", "docs/commands/"),
        ] {
            let row = format!("| [`{upper}`]({folder}{name}.md) |");
            let text = self::page(table).text;
            let found = text.lines().any(|line| line.starts_with(&row));
            assert!(found, "{table} has no row {row}");
        }
    }
}

#[test]
fn every_page_says_of_its_command_what_the_server_says() {
    if version() < (7, 0) {
        return support::skip("the server has no COMMAND DOCS");
    }
    let server = Server::start();
    let mut client = server.client();
    // An ACL category of a module's own is newer than the others.
    let has_own = client.run("ACL CAT").contains("lock");
    for name in commands(&mut client) {
        let page = page(&format!("docs/commands/{name}.md"));
        let Value::Array(docs) = client.ask(&format!("COMMAND DOCS {name}")) else {
            panic!("no docs of {name}")
        };
        let docs = &docs[1];

        let mut syntax = parts(page.syntax()).into_iter();
        assert_eq!(syntax.next(), Some(name.to_uppercase()));
        for argument in list(field(docs, "arguments").unwrap()) {
            let part = syntax.next().unwrap_or_default();
            let word = show(field(argument, "name").unwrap());
            let optional =
                field(argument, "flags").is_some_and(|flags| show(flags) == "[optional]");
            let fits = match (field(argument, "token"), optional) {
                (Some(token), true) => part.starts_with(&format!("[{} ", show(token))),
                (None, true) => part == format!("[{word}]"),
                (None, false) => part == word,
                (Some(_), false) => false,
            };
            assert!(fits, "{name} takes {word}, its page shows {part:?} there");
        }
        assert_eq!(syntax.next(), None, "{name} takes no more");

        let fact = |title: &str, value: &str| {
            let line = format!("- **{title}:** {value}");
            assert!(
                page.text.lines().any(|shown| shown == line),
                "{} has no line {line}",
                page.name()
            );
        };
        fact("Available since", &show(field(docs, "since").unwrap()));
        fact("Time complexity", &show(field(docs, "complexity").unwrap()));

        let Value::Array(info) = client.ask(&format!("COMMAND INFO {name}")) else {
            panic!("no info on {name}")
        };
        let told: BTreeSet<String> = list(&list(&info[0])[6]).iter().map(show).collect();
        let mut shown: BTreeSet<String> = page
            .text
            .lines()
            .find_map(|line| line.strip_prefix("- **ACL categories:** "))
            .unwrap_or_else(|| panic!("{} has no ACL categories", page.name()))
            .split(", ")
            .map(|category| category.trim_matches('`').to_owned())
            .collect();
        if !has_own {
            shown.remove("@lock");
        }
        // Before 7.2 the server knows no categories of a module's commands.
        if version() >= (7, 2) {
            assert_eq!(shown, told, "the ACL categories of {name}");
        }
    }
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    for page in pages() {
        for target in page.links() {
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => page.path.clone(),
                _ => page.path.parent().unwrap().join(file),
            };
            let Ok(found) = root().join(&path).canonicalize() else {
                broken.push(format!("{}: {target} is no file", page.name()));
                continue;
            };
            let has_heading = || {
                let text = fs::read_to_string(&found).unwrap_or_default();
                headings(&text).contains(heading)
            };
            if !heading.is_empty() && !has_heading() {
                broken.push(format!("{}: {target} is no heading", page.name()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_setting_is_described_with_its_default_and_its_range() {
    let page = page("docs/configuration.md");
    let settings = Settings::new();
    let row = |name: &std::ffi::CStr, parts: &[String]| {
        let start = format!("| `lock.{}` |", name.to_str().unwrap());
        let row = page.text.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("{} has no row {start}", page.name()));
        for part in parts {
            assert!(row.contains(part), "not in the row: {part}\n{row}");
        }
    };
    for number in &NUMBERS {
        let default = format!("| `{}` |", (number.get)(&settings));
        let range = format!("| `{}` to `{}` |", number.min, number.max);
        row(number.name, &[default, range]);
    }
    let named = |wanted| Notify::ALL.iter().find(|(_, notify)| *notify == wanted);
    let (default, _) = named(settings.notify).unwrap();
    let mut parts = vec![format!("| `{}` |", default.to_str().unwrap())];
    parts.extend(Notify::ALL.map(|(name, _)| format!("`{}`", name.to_str().unwrap())));
    row(NOTIFY, &parts);
    let default = String::from_utf8_lossy(&settings.channel_prefix);
    let range = format!("1 to {MAX_PREFIX} bytes");
    row(CHANNEL_PREFIX, &[format!("| `{default}` |"), range]);
}

#[test]
fn every_field_of_info_is_described() {
    let server = Server::start();
    let info = server.client().run("INFO lock");
    let page = page("docs/configuration.md");
    let fields: Vec<&str> = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    assert!(!fields.is_empty());
    for field in fields {
        let row = format!("| `{field}` |");
        assert!(page.text.contains(&row), "{} has no row {row}", page.name());
    }
}

#[test]
fn every_target_of_make_is_described_and_no_other_is_named() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| line.contains(" ## ") || line.contains(": ## "))
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    assert!(targets.contains("run"), "{targets:?}");
    let mut described = BTreeSet::new();
    for page in pages() {
        for target in page.make_targets() {
            assert!(
                targets.contains(target),
                "{} names make {target}",
                page.name()
            );
            if page.path == Path::new("CONTRIBUTING.md") {
                described.insert(target.to_owned());
            }
        }
    }
    let missing: Vec<_> = targets
        .iter()
        .filter(|target| !described.contains(**target))
        .collect();
    assert!(
        missing.is_empty(),
        "CONTRIBUTING.md does not name {missing:?}"
    );
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
    assert!(fits(&[("(integer) 30000", "(integer) 28001")]));
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
        &[("(integer) 30000", "(integer) 27999")],
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

/// Types the sessions of the pages that are chosen by their path.
fn check_sessions(chosen: impl Fn(&Path) -> bool) {
    let (mut typed, mut newer, mut wrong) = (0, 0, Vec::new());
    for page in pages().iter().filter(|page| chosen(&page.path)) {
        let server = Server::start();
        let mut tokens = Tokens::default();
        for block in page.blocks("redis-cli") {
            if !block.is_for_this_server() {
                newer += 1;
                continue;
            }
            for example in block.examples(page) {
                typed += 1;
                let line = tokens.put_into(example.typed);
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
    if newer > 0 {
        support::skip(&format!(
            "blocks for newer servers: {newer}; lines typed all the same: {typed}"
        ));
    }
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
            let varies = (1001..TOKENS.start).contains(&shown);
            return shown == told || varies && shown.abs_diff(told) <= TIME_LEFT_VARIES_BY;
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

/// A page of the documentation.
struct Page {
    /// Its path from the project's folder.
    path: PathBuf,
    text: String,
}

/// A block between fences.
struct Block<'a> {
    /// The number of its first fence.
    line: usize,
    /// The words after the fence: the language, and what is said of the block besides.
    info: Vec<&'a str>,
    lines: Vec<&'a str>,
}

/// A line that is typed, and its reply.
struct Example<'a> {
    line: usize,
    typed: &'a str,
    reply: Vec<&'a str>,
}

impl Page {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The lines of the text with whether each stands between fences, or is one.
    fn marked_lines(&self) -> impl Iterator<Item = (bool, &str)> {
        let mut fenced = false;
        self.text.lines().map(move |line| {
            let fence = line.starts_with("```");
            let was_fenced = fenced;
            fenced ^= fence;
            (fence || was_fenced, line)
        })
    }

    fn all_blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines().zip(1..);
        while let Some((fence, line)) = lines.find(|(line, _)| line.starts_with("```")) {
            let block = lines.by_ref().map(|(line, _)| line);
            blocks.push(Block {
                line,
                info: fence[3..].split_whitespace().collect(),
                lines: block.take_while(|line| !line.starts_with("```")).collect(),
            });
        }
        blocks
    }

    fn blocks(&self, language: &'static str) -> impl Iterator<Item = Block<'_>> {
        let blocks = self.all_blocks().into_iter();
        blocks.filter(move |block| block.info.first() == Some(&language))
    }

    /// The line that says how a command is written.
    fn syntax(&self) -> &str {
        let block = self.blocks("text").next();
        block.map_or("", |block| block.lines.first().copied().unwrap_or_default())
    }

    /// The targets of its links.
    fn links(&self) -> Vec<&str> {
        let prose = self.marked_lines().filter(|(fenced, _)| !fenced);
        prose
            .flat_map(|(_, line)| line.split("](").skip(1))
            .filter_map(|rest| Some(rest.split_once(')')?.0))
            .collect()
    }

    /// What it tells the reader to `make`.
    fn make_targets(&self) -> Vec<&str> {
        let typed = self.blocks("sh").flat_map(|block| block.lines);
        let typed: Vec<&str> = typed.map(|line| line.trim_start_matches("sudo ")).collect();
        let prose = self.marked_lines().filter(|(fenced, _)| !fenced);
        let quoted = prose.flat_map(|(_, line)| line.split('`').skip(1).step_by(2));
        typed
            .into_iter()
            .chain(quoted)
            .filter_map(|line| line.strip_prefix("make ")?.split_whitespace().next())
            .collect()
    }
}

impl<'a> Block<'a> {
    fn has(&self, word: &str) -> bool {
        self.info.contains(&word)
    }

    /// Whether the server that is tested has what the block shows.
    fn is_for_this_server(&self) -> bool {
        let since = self
            .info
            .iter()
            .find_map(|word| word.strip_prefix("since="));
        let Some((major, minor)) = since.and_then(|since| since.split_once('.')) else {
            return true;
        };
        version() >= (major.parse().unwrap(), minor.parse().unwrap())
    }

    fn examples(&self, page: &Page) -> Vec<Example<'a>> {
        let mut examples: Vec<Example> = Vec::new();
        for (text, line) in self.lines.iter().zip(self.line + 1..) {
            match (text.strip_prefix(PROMPT), examples.last_mut()) {
                (Some(typed), _) => examples.push(Example {
                    line,
                    typed,
                    reply: Vec::new(),
                }),
                (None, Some(example)) => example.reply.push(text),
                (None, None) => panic!("{}:{line} comes before a prompt", page.name()),
            }
        }
        examples
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(path: &str) -> Page {
    let text = fs::read_to_string(root().join(path));
    Page {
        path: path.into(),
        text: text.unwrap_or_else(|error| panic!("{path}: {error}")),
    }
}

/// Every page of the documentation.
fn pages() -> Vec<Page> {
    let mut paths: Vec<String> = [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "examples/README.md",
    ]
    .map(str::to_owned)
    .into();
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in root().join(&folder).read_dir().unwrap() {
            let name = entry.unwrap().file_name();
            let path = format!("{folder}/{}", name.to_str().unwrap());
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.ends_with(".md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths.iter().map(|path| page(path)).collect()
}

/// The names of a page's headings as GitHub makes links of them.
fn headings(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let page = Page {
        path: PathBuf::new(),
        text: text.to_owned(),
    };
    let titles = page
        .marked_lines()
        .filter(|(fenced, line)| !fenced && line.starts_with('#'));
    titles
        .map(|(_, line)| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let name: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let times = seen.entry(name.clone()).or_default();
            *times += 1;
            match *times {
                1 => name,
                n => format!("{name}-{}", n - 1),
            }
        })
        .collect()
}

/// The commands that the server has from the module.
fn commands(client: &mut Client) -> BTreeSet<String> {
    let Value::Array(commands) = client.ask("COMMAND") else {
        panic!("COMMAND lists nothing")
    };
    let names = commands.iter().map(|command| show(&list(command)[0]));
    names.filter(|name| name.starts_with("lock.")).collect()
}

/// The parts of a command's syntax: words, and what stands in brackets.
fn parts(syntax: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for word in syntax.split(' ') {
        match parts.last_mut() {
            Some(part) if part.starts_with('[') && !part.ends_with(']') => {
                part.push(' ');
                part.push_str(word);
            }
            _ => parts.push(word.to_owned()),
        }
    }
    parts
}

fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) | Value::Set(values) => values,
        other => panic!("not a list: {}", show(other)),
    }
}

/// A value of a map that came as a list of names and values in turn.
fn field<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    let pairs = list(map).chunks_exact(2);
    pairs
        .into_iter()
        .find_map(|pair| (show(&pair[0]) == name).then_some(&pair[1]))
}
