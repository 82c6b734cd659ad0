//! What the tests rest on, and what the targets of make run.

use crate::support::{skip, Server};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

#[test]
fn importing_the_script_that_runs_the_servers_starts_nothing() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let target = TempDir::new().unwrap();
    let imported = Command::new("python3")
        // Were it to start, it would end at once: there is no such server.
        .args(["-B", "-c", "import servers", "no-such-server"])
        .current_dir(scripts)
        // Where it would put what it fetches and logs,.
        .env("TARGET", target.path())
        .stdin(Stdio::null())
        .output();
    let Ok(imported) = imported else {
        return skip("there is no python3");
    };
    assert!(imported.status.success(), "{imported:?}");
    assert!(imported.stdout.is_empty(), "{imported:?}");
    assert_eq!(target.path().read_dir().unwrap().count(), 0);
}

#[test]
#[should_panic(expected = "the server told of: internal error")]
fn a_mistake_that_the_module_tells_of_in_the_log_fails_the_test_that_started_the_server() {
    let server = Server::start();
    let line: [&[u8]; 3] = [b"DEBUG", b"LOG", b"internal error"];
    assert_eq!(server.client().say(&line), "OK");
}
