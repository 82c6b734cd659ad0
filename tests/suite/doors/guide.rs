//! `deploy/tls/README.md` can be typed as it stands.

use super::{configured, House, Key};
use crate::support::skip;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

#[test]
fn what_the_guide_says_to_type_makes_a_server_lets_a_worker_in_and_revokes_its_certificate() {
    // Says why, if the server has no TLS.
    if House::build().is_none() {
        return;
    }
    let help = Command::new("redis-cli").arg("--help").output().unwrap();
    let (said, told) = (help.stdout, help.stderr);
    if ![said, told]
        .iter()
        .any(|text| String::from_utf8_lossy(text).contains("--tls"))
    {
        return skip("this redis-cli has no TLS");
    }
    let dir = TempDir::new().unwrap();
    let installed = dir.path().join("installed");
    let guide = fs::read_to_string(super::folder().join("README.md")).unwrap();
    let guide = guide
        .replace("sudo install -o redis -g redis", "install")
        .replace("/etc/redis/tls", installed.to_str().unwrap())
        .replace("-h redis.example.com", "-h 127.0.0.1")
        .replace("redis.example.com", "localhost")
        .replace(
            "deploy/tls/pki.sh",
            super::folder().join("pki.sh").to_str().unwrap(),
        );
    let blocks: Vec<&str> = guide
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let (before, after) = blocks.split_at(2);
    type_in(dir.path(), 0, before);
    let server = configured(&installed).start();
    let copy = |ending: &str| {
        let to = dir.path().join(format!("revoked.{ending}"));
        let from = dir.path().join(format!("pki/clients/worker-1.{ending}"));
        fs::copy(from, &to).unwrap();
        to
    };
    let revoked = Key {
        port: server.port(),
        trusted: dir.path().join("pki/server-ca.crt"),
        shown: Some((copy("crt"), copy("key"))),
        resumed: None,
    };
    assert!(revoked.knock().is_ok());
    let told = type_in(dir.path(), server.port(), after);
    assert!(revoked.knock().is_err());
    let told: Vec<&str> = told
        .lines()
        .filter(|line| !line.starts_with("pki:"))
        .collect();
    // The acquire's four integers; a new server certificate; the user off, no connection of it, and saved;
    // two reloads with no other connection between them; the user on, and saved.
    assert_eq!(told[..2], ["1", "1"], "{told:?}");
    let after = ["OK", "OK", "0", "OK", "OK", "OK", "0", "OK", "OK"];
    assert_eq!(told[4..], after, "{told:?}");
}

/// Types these blocks into a shell, one after the other, and returns what it prints.
fn type_in(dir: &Path, port: u16, blocks: &[&str]) -> String {
    let script = format!("set -eu\n{}", blocks.concat());
    let script = script.replace("--tls ", &format!("--tls -p {port} "));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(dir);
    shell.env("REDISCLI_RCFILE", "/dev/null");
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
