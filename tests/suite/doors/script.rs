//! The script that makes certificates.

use super::{make, pki};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

#[test]
fn everything_that_the_script_writes_is_in_its_directory_and_for_its_owner_only() {
    let outer = TempDir::new().unwrap();
    let dir = outer.path().join("pki");
    make("init", &dir, &[]);
    make("server", &dir, &["localhost"]);
    make("client", &dir, &["worker-1"]);
    make("users", &dir, &[]);
    make("rotate", &dir, &[]);
    make("reissue", &dir, &[]);
    make("retire", &dir, &[]);
    assert_eq!(outer.path().read_dir().unwrap().count(), 1);
    let mut folders = vec![dir];
    let mut keys = 0;
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
            keys += usize::from(path.extension().is_some_and(|ending| ending == "key"));
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    // Of both authorities, the server and the client.
    assert_eq!(keys, 4);
}

#[test]
fn a_wrong_call_of_the_script_is_told_in_one_line_and_changes_nothing() {
    let outer = TempDir::new().unwrap();
    let dir = outer.path().join("pki");
    let refused = |command: &str, dir: &Path, args: &[&str], why: &str| {
        let output = pki(command, dir, args);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{command} {args:?}");
        assert!(told.starts_with("pki: ") && told.contains(why), "{told}");
        assert!(told.lines().count() == 1 || why == "usage", "{told}");
    };
    refused("client", &dir, &["worker-1"], "run pki.sh init first");
    make("init", &dir, &[]);
    make("client", &dir, &["worker-1"]);
    let key = dir.join("clients/worker-1.key");
    let before = fs::read(&key).unwrap();
    refused("init", &dir, &[], "has authorities already");
    refused("client", &dir, &["../worker"], "is no name");
    refused("client", &dir, &["-worker"], "is no name");
    refused("client", &dir, &["worker-1", "0"], "is no number of days");
    refused("client", &dir, &["worker-1", "1x"], "is no number of days");
    refused("server", &dir, &[], "needs the host names");
    refused("server", &dir, &["a,b"], "is no name");
    refused("server", &dir, &["999.1.1.1"], "999.1.1.1");
    refused("revoke", &dir, &["worker-2"], "there is no client worker-2");
    refused("retire", &dir, &[], "there is no old authority");
    refused("destroy", &dir, &[], "usage");
    refused("client", &dir, &[], "usage");
    assert_eq!(fs::read(&key).unwrap(), before);
    make("rotate", &dir, &[]);
    refused("rotate", &dir, &[], "run retire first");
    refused("revoke", &dir, &["worker-1"], "run retire first");
    refused("retire", &dir, &[], "run reissue first");
    assert!(key.exists());
}
