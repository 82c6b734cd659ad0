//! The documentation is true: its examples are typed into a server, every command, setting and field
//! is described, and every link leads somewhere.
//!
//! A block with the info string `redis-cli` is a session: what follows the prompt is typed, and the
//! lines after it are the reply. All blocks of a page go to one fresh server, in order. After
//! `redis-cli` may follow `resp3`, and `elsewhere`: each line is typed by a client of its own, which
//! stays, and whose reply is not shown. A block with the info string `conf` is a configuration that
//! starts a server.

mod page;
mod robustness;
mod session;

use crate::support::{show, version, Client, Server, Setup};
use page::{headings, page, pages, root};
use redis::Value;
use redis_reentrant_lock::engine::{Settings, CHANNEL_PREFIX, CHOICES, MAX_PREFIX, NUMBERS};
use session::check_sessions;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

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
        for block in page.blocks("conf") {
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
            // A node of a cluster needs the port that is 10,000 above its own too, which may be taken.
            let mut tries = (0..20).map(|_| setup.clone().try_start());
            if let Err(log) = tries
                .find(Result::is_ok)
                .unwrap_or(setup.clone().try_start())
            {
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
        let with_key = if name == "lock.lines" { "" } else { " key" };
        assert!(
            page.syntax().starts_with(&format!("{upper}{with_key}")),
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
    let server = Server::start();
    let mut client = server.client();
    // An ACL category of a module's own is newer than the others.
    let has_own = !client.run("ACL CAT lock").starts_with("ERR");
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
                // Several arguments that come together.
                (None, true) if field(argument, "arguments").is_some() => {
                    part.starts_with(&format!("[{}", word.to_uppercase()))
                }
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
    let row = |name: &str, parts: &[String]| {
        let start = format!("| `lock.{}` |", name);
        let row = page.text.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("{} has no row {start}", page.name()));
        for part in parts {
            assert!(row.contains(part), "not in the row: {part}\n{row}");
        }
    };
    for number in &NUMBERS {
        let default = format!("| `{}` |", (number.get)(&settings));
        let or_0 = if number.or_0 { "`0`, or " } else { "" };
        let range = format!("| {or_0}`{}` to `{}` |", number.min, number.max);
        row(number.name, &[default, range]);
    }
    for choice in &CHOICES {
        let words = choice.words.iter();
        let default = choice.words[(choice.get)(&settings)];
        let mut parts = vec![format!("| `{default}` |")];
        parts.extend(words.map(|word| format!("`{word}`")));
        row(choice.name, &parts);
    }
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
            Some(part) if part.matches('[').count() > part.matches(']').count() => {
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
