//! The module that only blocks clients and unblocks them (`tests/bare_block`): what the server takes for that is no cost
//! of locks.

use crate::repository::root;
use std::path::PathBuf;
use std::process::Command;

/// Builds it, beside what this program was built to. Returns where it is.
///
/// # Errors
/// What cargo says.
pub fn build() -> Result<PathBuf, String> {
    // target/harness/lock-bench
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = this
        .ancestors()
        .nth(2)
        .ok_or("this program is in no folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--example", "bare_block"])
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target.join("bare"))
        .status();
    match built {
        Ok(status) if status.success() => Ok(target.join("bare/release/examples/libbare_block.so")),
        Ok(status) => Err(format!("the bare module is not built: {status}")),
        Err(error) => Err(error.to_string()),
    }
}
