//! docs/lockctl.md says what the program says.

use crate::{lockctl, outcome};
use std::collections::BTreeSet;
use std::path::Path;

const COMMANDS: [&str; 6] = ["run", "ls", "info", "release", "top", "metrics"];

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lockctl.md");
    std::fs::read_to_string(path).unwrap()
}

/// A section of the page.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = format!("\n## {heading}\n");
    let after = page
        .split_once(&start)
        .unwrap_or_else(|| panic!("there is no section {heading}"))
        .1;
    after.split("\n## ").next().unwrap()
}

/// The first words in backquotes of the rows of its tables.
fn rows(section: &str) -> BTreeSet<String> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let first = rows.map(|row| row.split('`').next().unwrap());
    first
        .map(|cell| cell.split(' ').next().unwrap().to_owned())
        .collect()
}

/// Those that are options.
fn option_rows(section: &str) -> BTreeSet<String> {
    let rows = rows(section).into_iter();
    rows.filter(|row| row.starts_with("--")).collect()
}

fn help(line: &str) -> String {
    let (help, _, status) = outcome(&mut lockctl("", line));
    assert_eq!(status, 0);
    help
}

/// The options that a help text explains.
fn options(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim_start);
    // `- own: ...` is a value.
    let lines = lines.filter(|line| line.starts_with('-') && !line.starts_with("- "));
    let names = lines.map(|line| {
        line.split_whitespace()
            .find(|word| word.starts_with("--"))
            .unwrap()
    });
    let names = names.map(|name| name.trim_end_matches(',').to_owned());
    names
        .filter(|name| name != "--help" && name != "--version")
        .collect()
}

#[test]
fn the_page_has_the_options_of_each_command_and_no_other() {
    let page = page();
    let connection = options(&help("--help"));
    assert_eq!(option_rows(section(&page, "Connection")), connection);
    for command in COMMANDS {
        let own = &options(&help(&format!("{command} --help"))) - &connection;
        assert_eq!(option_rows(section(&page, command)), own, "{command}");
    }
}

#[test]
fn the_page_has_the_commands_and_no_other() {
    let help = help("--help");
    let list = help
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let listed = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let listed: Vec<&str> = listed.filter(|name| *name != "help").collect();
    assert_eq!(listed, COMMANDS);
    let page = page();
    COMMANDS
        .iter()
        .for_each(|command| assert!(!section(&page, command).is_empty()));
}

/// The exit statuses with what the help says of each.
fn statuses_of_help() -> Vec<(String, String)> {
    let help = help("run --help");
    let list = help.split("Exit status:\n").nth(1).unwrap();
    let lines = list.lines().filter_map(|line| line.trim().split_once("  "));
    let lines = lines.map(|(status, meaning)| (status.to_owned(), meaning.trim().to_owned()));
    lines.collect()
}

/// The same of the page's table: status, command, meaning.
fn statuses_of_page() -> Vec<(String, String)> {
    let page = page();
    let rows = section(&page, "Exit status").lines();
    let rows = rows.filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let rows = rows.map(|row| {
        let row = row.replace('`', "");
        let cells: Vec<&str> = row.split(" | ").collect();
        let [status, command, meaning] = cells[..] else {
            panic!("it has three cells: {row}")
        };
        let meaning = match command {
            "all" => meaning.to_owned(),
            _ => format!("{command}: {meaning}"),
        };
        (status.to_owned(), meaning)
    });
    rows.collect()
}

#[test]
fn the_page_has_the_exit_statuses_in_the_words_of_the_help() {
    let statuses = statuses_of_help();
    assert_eq!(statuses.len(), 8, "{statuses:?}");
    assert_eq!(statuses_of_page(), statuses);
}

#[test]
fn the_page_has_the_default_of_each_option_that_has_one() {
    let page = page();
    let mut found = 0;
    for command in COMMANDS {
        let help = help(&format!("{command} --help"));
        // Lines are wrapped anywhere.
        let help: Vec<&str> = help.split_whitespace().collect();
        for part in help.join(" ").split(" --").skip(1) {
            let Some((text, default)) = part.split_once("[default: ") else {
                continue;
            };
            let start = format!("| `--{} ", text.split(' ').next().unwrap());
            let default = format!("`{}`", default.split(']').next().unwrap());
            let row = section(&page, command)
                .lines()
                .find(|row| row.starts_with(&start));
            assert!(row.unwrap().contains(&default), "{start}: {default}");
            found += 1;
        }
    }
    assert_eq!(found, 5, "{found} defaults");
}
