//! The programs of `examples/`: each is run as its reader would run it, and the README shows the
//! lines of one. Their libraries come from their own package managers, into the target folder.
//!
//! A language that this machine lacks is skipped, or a failure with `LOCK_TEST_EXAMPLES=require`.

mod cache_breakdown;
mod program;
mod sessions;

use crate::support::toolchain::{build, command, copy, execute, fetch, fetch_once, need, Missing};
use crate::support::{skip, Server};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_python_example_takes_and_releases_the_lock() {
    check("python", |folder| {
        need(folder, "python3 -m pip --version")?;
        let install =
            "python3 -m pip --disable-pip-version-check --timeout 15 --retries 1 install \
                       --quiet --upgrade --target libraries --requirement requirements.txt";
        fetch_once(folder, "requirements.txt", install)?;
        let mut program = command(folder, "python3 lock.py");
        program.env("PYTHONPATH", folder.join("libraries"));
        Ok(program)
    });
}

#[test]
fn the_java_example_takes_and_releases_the_lock() {
    check("java", |folder| {
        need(folder, "javac -version")?;
        need(folder, "mvn --version")?;
        // Maven fetches as it goes; what it says of a failure tells the network from the compiler.
        let run = "mvn --quiet --batch-mode compile exec:java";
        match execute(command(folder, run).arg("-Dexec.skip")) {
            Err(log) if log.contains("resolve") || log.contains("transfer") => {
                return Err(Missing(log));
            }
            outcome => outcome.unwrap_or_else(|log| panic!("{run}: {log}")),
        };
        let mut program = command(folder, run);
        program.arg("--offline");
        Ok(program)
    });
}

#[test]
fn the_rust_example_takes_and_releases_the_lock() {
    check("rust", |folder| {
        let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        fetch(folder, &format!("{cargo} fetch --locked"))?;
        let options = "--locked --quiet --target-dir target";
        build(folder, &format!("{cargo} build {options}"));
        Ok(command(folder, &format!("{cargo} run {options}")))
    });
}

#[test]
fn the_readme_shows_the_python_example_as_it_is() {
    let read = |path| fs::read_to_string(root().join(path)).unwrap();
    let (readme, example) = (read("README.md"), read("examples/python/lock.py"));
    let marked = example.split_once("# lock:begin\n").unwrap().1;
    let marked = marked.split_once("# lock:end\n").unwrap().0;
    assert!(marked.lines().count() > 1, "no marked lines");
    let block = format!("```python\n{marked}```\n");
    assert!(readme.contains(&block), "README.md does not show\n{block}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs an example against a free lock and against a busy one. `prepare` is given a copy of the
/// example's folder, brings its libraries there, and returns the program.
fn check(language: &str, prepare: impl FnOnce(&Path) -> Result<Command, Missing>) {
    if env::var_os("LOCK_TEST_SERVER").is_some() {
        return skip("an example tests a client, which one server is enough for");
    }
    let folder = folder_of(language);
    copy(&root().join("examples").join(language), &folder);

    match prepare(&folder) {
        Ok(program) => takes_and_releases_the_lock(program),
        Err(missing) => missing.skip(&format!("the {language} example")),
    }
}

/// Where an example is built and run.
fn folder_of(language: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("examples").join(language)
}

fn prepare_node(folder: &Path) -> Result<(), Missing> {
    copy(&root().join("examples/node"), folder);
    need(folder, "node --version")?;
    need(folder, "npm --version")?;
    let install = "npm ci --engine-strict --ignore-scripts --no-audit --no-fund \
                   --fetch-timeout=30000 --fetch-retries=1";
    fetch_once(folder, "package-lock.json", install)
}

fn prepare_go(folder: &Path) -> Result<(), Missing> {
    copy(&root().join("examples/go"), folder);
    need(folder, "go version")?;
    fetch(folder, "go mod download")?;
    build(folder, "go build -o lock .");
    Ok(())
}

fn takes_and_releases_the_lock(mut program: Command) {
    let server = Server::start();
    let mut client = server.client();
    program.env("REDIS_URL", server.url());

    let said = execute(&mut program).unwrap();
    let token = said
        .strip_prefix("acquired token=")
        .and_then(|said| said.strip_suffix("\nreleased"))
        .and_then(|token| token.parse::<i64>().ok());
    let token = token.unwrap_or_else(|| panic!("with the lock free it said: {said}"));
    assert!(token > 0);
    assert_eq!(client.calls("lock.acquire"), 1);
    assert_eq!(client.calls("lock.release"), 1);
    assert_eq!(client.run("LOCK.INFO lock:orders"), "nil");

    let taken = client.grant("LOCK.ACQUIRE lock:orders another 1800000");
    assert!(taken[0] == 1 && taken[2] > token, "{taken:?}");
    let said = execute(&mut program).unwrap();
    let left = said
        .strip_prefix("busy, ")
        .and_then(|said| said.strip_suffix(" ms left"))
        .and_then(|left| left.parse::<i64>().ok());
    let left = left.unwrap_or_else(|| panic!("with the lock taken it said: {said}"));
    assert!((1..=1_800_000).contains(&left), "{left}");
    assert_eq!(client.calls("lock.release"), 1);
    let asserted = client.run(&format!(
        "LOCK.ASSERT lock:orders another TOKEN {}",
        taken[2]
    ));
    assert_eq!(asserted, "OK");
}
