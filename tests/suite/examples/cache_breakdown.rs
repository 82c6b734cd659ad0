//! `examples/cache-breakdown`, in small: a herd at a real PostgreSQL, and one query in its place.

use super::{folder_of, root};
use crate::support::toolchain::{command, copy, end_with_test, execute, fetch_once, need, Missing};
use crate::support::{eventually, send_signal, Server};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

#[test]
fn the_lock_keeps_a_herd_of_workers_from_the_database() {
    with_program(|folder, server, temporary| {
        let options = "--workers 16 --rate 400 --seconds 3 --ttl 1 --rows 200000 --png plot.png";
        let said = execute(&mut program(folder, options, server, temporary)).unwrap();
        let row = |name: &str| -> [u32; 2] {
            let found = said
                .lines()
                .find(|line| line.starts_with(&format!("| {name} |")));
            let found = found.unwrap_or_else(|| panic!("no row {name} in\n{said}"));
            let mut values = found
                .split('|')
                .skip(2)
                .map(|value| value.trim().parse().unwrap());
            [values.next().unwrap(), values.next().unwrap()]
        };
        let [herd, one] = row("queries at once, at most");
        assert!(herd > 4, "{said}");
        assert_eq!(one, 1, "{said}");
        let [many, few] = row("queries at the database");
        // One for each expiry: at the start, and at most each second.
        assert!((1..=4).contains(&few) && many > 2 * few, "{said}");
        let [requests, as_many] = row("requests");
        assert!(requests >= 1_200 && requests == as_many, "{said}");
        let plot = fs::read(folder.join("plot.png")).unwrap();
        assert!(plot.starts_with(b"\x89PNG"));
        // It leaves nothing behind.
        assert_eq!(fs::read_dir(temporary).unwrap().count(), 0);
        assert_eq!(server.client().run("DBSIZE"), "0");
    });
}

#[test]
fn the_database_of_the_example_ends_when_the_program_is_killed() {
    with_program(|folder, server, temporary| {
        let mut program = program(folder, "--seconds 600", server, temporary);
        end_with_test(&mut program);
        let mut running = program
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut client = server.client();
        eventually("it works", || client.run("EXISTS cache:report") == "1");
        let cluster = fs::read_dir(temporary).unwrap().next().unwrap().unwrap();
        let pid = fs::read_to_string(cluster.path().join("data/postmaster.pid")).unwrap();
        let process = Path::new("/proc").join(pid.lines().next().unwrap());
        assert!(process.exists());
        send_signal(running.id(), libc::SIGKILL);
        running.wait().unwrap();
        eventually("PostgreSQL has ended", || !process.exists());
    });
}

#[test]
fn the_cache_breakdown_example_names_what_it_cannot_use() {
    with_program(|folder, server, temporary| {
        for (options, complaint) in [
            (
                "--workers 0",
                "argument --workers: must be a whole number from 1 to 500, not '0'",
            ),
            (
                "--ttl soon",
                "argument --ttl: must be a whole number from 1 to 3600, not 'soon'",
            ),
        ] {
            let said = execute(&mut program(folder, options, server, temporary)).unwrap_err();
            assert!(said.contains(complaint), "{said}");
        }
        let without = crate::support::Setup::without_module().start();
        let said = execute(&mut program(folder, "", &without, temporary)).unwrap_err();
        assert!(
            said.contains("has no LOCK commands: load the module there"),
            "{said}"
        );
    });
}

#[test]
fn the_page_of_the_cache_breakdown_shows_the_function_that_the_workers_call() {
    let read =
        |file| fs::read_to_string(root().join("examples/cache-breakdown").join(file)).unwrap();
    let (page, workers) = (read("README.md"), read("workers.py"));
    let function = &workers[workers.find("def with_lock").unwrap()..];
    let function = function.split("\n\n\n").next().unwrap();
    assert!(
        page.contains(&format!("```python\n{function}\n```")),
        "{function}"
    );
}

/// Runs a test with the example in a directory, a server, and a directory for temporary files.
fn with_program(test: impl Fn(&Path, &Server, &Path)) {
    static PREPARED: OnceLock<Result<PathBuf, Missing>> = OnceLock::new();
    match PREPARED.get_or_init(prepare) {
        Ok(folder) => {
            let temporary = TempDir::new().unwrap();
            // PostgreSQL is run by another user than root.
            fs::set_permissions(temporary.path(), Permissions::from_mode(0o755)).unwrap();
            test(folder, &Server::start(), temporary.path());
        }
        Err(missing) => missing.skip("the cache-breakdown example"),
    }
}

fn program(folder: &Path, options: &str, server: &Server, temporary: &Path) -> Command {
    let mut program = command(folder, &format!("python3 breakdown.py {options}"));
    let client = root().join("clients/python/src");
    program
        .env(
            "PYTHONPATH",
            format!(
                "{}:{}",
                folder.join("libraries").display(),
                client.display()
            ),
        )
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("REDIS_URL", server.url())
        .env("TMPDIR", temporary);
    program
}

fn prepare() -> Result<PathBuf, Missing> {
    let folder = folder_of("cache-breakdown");
    copy(&root().join("examples/cache-breakdown"), &folder);
    if !root().join("clients/python/src").is_dir() {
        return Err(Missing("clients/python is missing".to_owned()));
    }
    let find = "command -v initdb || ls /usr/lib/postgresql/*/bin/initdb";
    execute(Command::new("sh").args(["-c", find]))
        .map_err(|log| Missing(format!("PostgreSQL is missing: {log}")))?;
    need(&folder, "python3 -m pip --version")?;
    let install = "python3 -m pip --disable-pip-version-check --timeout 15 --retries 1 install \
                   --quiet --upgrade --target libraries --requirement requirements.txt";
    fetch_once(&folder, "requirements.txt", install)?;
    Ok(folder)
}
