//! Which server and which build of the module: what `lock_test_support` reads from the environment.

use crate::repository::root;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const SERVER: &str = "LOCK_TEST_SERVER";
const MODULE: &str = "LOCK_TEST_MODULE";

/// Sets what is not set yet: the server that was asked for, and the module as it is installed. The environment of a process
/// that runs cannot be changed safely, so this program starts itself again with it.
///
/// # Errors
/// There is no such server.
pub fn prepare(server: Option<&str>) -> Result<(), String> {
    const AGAIN: &str = "LOCK_BENCH_PREPARED";
    if std::env::var_os(AGAIN).is_some() {
        return Ok(());
    }
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(&this);
    command.args(std::env::args_os().skip(1)).env(AGAIN, "1");
    let installed = released(&this).filter(|path| path.exists());
    match (std::env::var_os(MODULE), installed) {
        (None, Some(module)) => command.env(MODULE, module),
        _ => &mut command,
    };
    if let Some(server) = server {
        command.env(SERVER, find(server)?);
    }
    Err(format!("{}: {}", this.display(), command.exec()))
}

/// Where cargo puts the release build of the module, beside the profile of this program.
fn released(this: &Path) -> Option<PathBuf> {
    let target = this.ancestors().nth(2)?;
    Some(target.join("release/libredis_reentrant_lock.so"))
}

/// A program as it is named, or the one that `tests/servers.tsv` has under this name, fetched if need be.
fn find(server: &str) -> Result<PathBuf, String> {
    let table = root().join("tests/servers.tsv");
    let text = std::fs::read_to_string(&table).unwrap_or_default();
    let names: Vec<&str> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').next())
        .collect();
    if names.contains(&server) {
        return fetch(server);
    }
    let runs = Command::new(server).arg("--version").output();
    if runs.is_ok_and(|output| output.status.success()) {
        return Ok(server.into());
    }
    let names = names.join(", ");
    Err(format!(
        "there is no server {server}: name a program, or one of {names}"
    ))
}

fn fetch(name: &str) -> Result<PathBuf, String> {
    const SCRIPT: &str = "
import sys
sys.path.insert(0, 'scripts')
import servers
try:
    print(servers.find(servers.listed([sys.argv[1]])[sys.argv[1]]))
except servers.Unavailable as reason:
    sys.exit(str(reason))";
    let output = Command::new("python3")
        .args(["-B", "-c", SCRIPT, name])
        .current_dir(root())
        .output()
        .map_err(|error| format!("python3: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    // What it fetches is a line before.
    match said.lines().last() {
        Some(path) if output.status.success() => Ok(path.into()),
        _ => Err(format!(
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}
