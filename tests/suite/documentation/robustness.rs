//! docs/robustness.md: the last cell of each row names tests that exist, or says that there is none.

use super::page::{page, root, Page};
use std::fs;

/// Where the tests in Rust are. What `cargo test` shows before a test's name is a path from there.
const RUST: [&str; 8] = [
    "tests/suite",
    "tests/sim",
    "tests/exhaustive",
    "src",
    "clients/rust/tests/suite",
    "clients/rust/src",
    "lockctl/tests/suite",
    "lockctl/src",
];
/// The files whose tests have no path.
const ROOTS: [&str; 2] = ["main", "suite"];
const PYTHON: &str = "clients/python/tests";
const JAVA: &str = "clients/java/src/test/java/io/github/redisreentrantlock";

/// What the last column of each table is called.
const COLUMN: &str = "tests";
/// How the last cell of a row begins that no test shows.
const UNTESTED: &str = "none";

#[test]
fn every_row_about_robustness_names_tests_that_exist_or_says_that_there_is_none() {
    let page = page("docs/robustness.md");
    let (mut named, mut wrong) = (0, Vec::new());
    for (line, cell) in last_cells(&page) {
        let names = names(cell);
        if names.is_empty() && !cell.starts_with(UNTESTED) {
            wrong.push(format!("{}:{line} names no test", page.name()));
        }
        let missing = names.iter().filter(|(by_proof, name)| match by_proof {
            true => !is_scenario(name),
            false => !is_test(name),
        });
        wrong.extend(missing.map(|(_, name)| format!("{}:{line}: {name} is no test", page.name())));
        named += names.len();
    }
    assert!(named > 0, "no test is named");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_name_counts_as_a_test_only_where_its_file_has_that_test() {
    for name in [
        "documentation::robustness::a_name_counts_as_a_test_only_where_its_file_has_that_test",
        "lock::rules::tests::a_reentry_never_shortens_the_lease",
        "lock::token::tests::a_token_is_the_time_in_microseconds",
        "stories::a_renewal_that_shortens_a_lease_is_not_known_to_a_new_master",
        "every_plan_is_run_and_holds",
        "owners_queue_for_a_lock_and_give_up",
        "test_promises.py::test_two_holders_exclude_each_other",
        "LockContractTest.two_clients_exclude_each_other",
    ] {
        assert!(is_test(name), "{name}");
    }
    for name in [
        "documentation::robustness::a_name_that_is_made_up",
        // A function, but no test.
        "documentation::robustness::is_test",
        // A test of another file.
        "commands::a_name_counts_as_a_test_only_where_its_file_has_that_test",
        "a_name_counts_as_a_test_only_where_its_file_has_that_test",
        "test_promises.py::test_that_is_made_up",
        "test_made_up.py::test_two_holders_exclude_each_other",
        "LockContractTest.made_up",
        "LOCK.ACQUIRE",
    ] {
        assert!(!is_test(name), "{name}");
    }
    assert!(is_scenario("clock") && !is_scenario("clock of a sundial"));
    let cell = "`a`; proof `b`, `c`; simulation `d` (as `e`)";
    let by_proof = |name| (true, name);
    let other = |name| (false, name);
    let wanted = [
        other("a"),
        by_proof("b"),
        by_proof("c"),
        other("d"),
        other("e"),
    ];
    assert_eq!(names(cell), wanted);
}

/// The names in a cell, and whether each is one of the proof's scenarios: those after that word, with commas between
/// them.
fn names(cell: &str) -> Vec<(bool, &str)> {
    let mut by_proof = false;
    let mut names = Vec::new();
    let mut parts = cell.split('`');
    while let (Some(before), Some(name)) = (parts.next(), parts.next()) {
        by_proof = before.ends_with("proof ") || (by_proof && before == ", ");
        names.push((by_proof, name));
    }
    names
}

/// Whether `make prove` has such a scenario.
fn is_scenario(name: &str) -> bool {
    const FILES: [&str; 4] = [
        "scenario/single.rs",
        "scenario/several.rs",
        "others.rs",
        "fencing.rs",
    ];
    let text = |file| fs::read_to_string(root().join("tests/prove").join(file)).unwrap();
    let quoted = format!("\"{name}\"");
    FILES.iter().any(|file| text(file).contains(&quoted))
}

/// The last cell of each row, with the number of its line.
fn last_cells(page: &Page) -> impl Iterator<Item = (usize, &str)> {
    let rows = page
        .text
        .lines()
        .zip(1..)
        .filter(|(line, _)| line.starts_with("| ") && !line.starts_with("| ---"));
    let cells = rows.map(|(row, line)| {
        let cell = row
            .strip_suffix(" |")
            .and_then(|row| row.rsplit(" | ").next());
        (line, cell.unwrap_or_default())
    });
    cells.filter(|(_, cell)| *cell != COLUMN)
}

/// Whether there is such a test, as `cargo test`, pytest or Maven names it.
fn is_test(name: &str) -> bool {
    let text = |path: String| fs::read_to_string(root().join(path)).unwrap_or_default();
    if let Some((file, test)) = name.split_once(".py::") {
        let function = format!("def {test}(");
        return text(format!("{PYTHON}/{file}.py")).contains(&function);
    }
    if let Some((class, test)) = name.split_once('.') {
        let method = format!("void {test}(");
        return text(format!("{JAVA}/{class}.java")).contains(&method);
    }
    let (files, test) = match name.rsplit_once("::") {
        Some((modules, test)) => {
            let file = modules.replace("::", "/");
            // The module `tests` may be in the file of what it tests.
            let outer = file.strip_suffix("/tests").map(str::to_owned);
            (std::iter::once(file).chain(outer).collect(), test)
        }
        None => (ROOTS.map(str::to_owned).to_vec(), name),
    };
    let function = format!("fn {test}(");
    files
        .iter()
        .flat_map(|file| RUST.map(|folder| text(format!("{folder}/{file}.rs"))))
        .any(|text| {
            text.split_once(&function).is_some_and(|(before, _)| {
                let attributes = before.rsplit("\n\n").next().unwrap_or_default();
                attributes.contains("#[test]") || attributes.contains("#[tokio::test")
            })
        })
}
