//! A clock that tests set, for servers that read it: by Debian's `libfaketime`.

use crate::toolchain::Missing;
use crate::{is_sanitized, Server, Setup};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// The wall clock of servers. Their monotonic clock is not affected.
pub struct FakeClock {
    folder: TempDir,
    /// What has the modules of a server read it, too.
    scope: Option<PathBuf>,
}

impl FakeClock {
    /// A clock that is right, and that servers read. An error says what is missing.
    pub fn of_servers() -> Result<FakeClock, String> {
        if is_sanitized() {
            return Err("AddressSanitizer wants to be loaded before libfaketime".to_owned());
        }
        if !Path::new(LIBRARY).exists() {
            let missing = Missing("libfaketime is missing".to_owned());
            missing.fail_if_required("a clock that is set");
            return Err(missing.0);
        }
        let allocator = Server::start().client().info("memory", "mem_allocator");
        if allocator.as_deref() != Some("libc") {
            return Err("libfaketime needs a server that uses the libc's malloc".to_owned());
        }
        let clock = FakeClock {
            folder: TempDir::new().unwrap(),
            scope: None,
        };
        clock.set(0);
        Ok(clock)
    }

    /// The same, and their modules read it too.
    pub fn of_servers_and_modules() -> Result<FakeClock, String> {
        let program = std::env::current_exe().unwrap();
        // From target/PROFILE/deps.
        let profile = program.ancestors().nth(2).unwrap_or(Path::new("."));
        let scope = profile.join("examples/libone_scope.so");
        if !scope.exists() {
            return Err("`cargo build --example one_scope` has not been run".to_owned());
        }
        let scope = Some(scope);
        FakeClock::of_servers().map(|clock| FakeClock { scope, ..clock })
    }

    /// A server that reads it.
    pub fn setup(&self, setup: Setup) -> Setup {
        let scope = self.scope.iter().map(|path| format!(":{}", path.display()));
        let libraries: String = [LIBRARY.to_owned()].into_iter().chain(scope).collect();
        setup
            .env("LD_PRELOAD", &libraries)
            .env(
                "FAKETIME_TIMESTAMP_FILE",
                &self.offset().display().to_string(),
            )
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    /// Sets it to so many ms beyond the right time.
    pub fn set(&self, ms: i64) {
        // A server that reads it meanwhile reads the old or the new one.
        let new = self.folder.path().join("new");
        std::fs::write(&new, format!("{:+.3}", ms as f64 / 1000.0)).unwrap();
        std::fs::rename(new, self.offset()).unwrap();
    }

    fn offset(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}
