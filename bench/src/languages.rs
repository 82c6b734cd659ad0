//! The workers' programs: this one, and those of `bench/workers`, each with a `build.sh` and a `run.sh`.

use crate::catalogue::Language;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What each language needs to be started, or why it cannot be.
pub struct Languages {
    root: PathBuf,
    target: PathBuf,
    built: BTreeMap<Language, Result<(), String>>,
}

impl Languages {
    /// Of this repository, with what is built below this folder.
    pub fn new(root: &Path, target: &Path) -> Languages {
        Languages {
            root: root.to_owned(),
            target: target.to_owned(),
            built: BTreeMap::new(),
        }
    }

    /// The command that runs a worker, built if that was not done yet.
    ///
    /// # Errors
    /// Why it cannot be had, in one clause.
    pub fn worker(&mut self, language: Language) -> Result<Command, String> {
        if language == Language::Rust {
            let this = std::env::current_exe().map_err(|error| error.to_string())?;
            let mut command = Command::new(this);
            command.arg("worker");
            return Ok(command);
        }
        let folder = self.root.join("bench/workers").join(language.folder());
        let out = self.target.join("workers").join(language.folder());
        let built = self.built.entry(language);
        built.or_insert_with(|| build(&folder, &out)).clone()?;
        let mut command = Command::new(folder.join("run.sh"));
        command.arg(&out);
        Ok(command)
    }
}

fn build(folder: &Path, out: &Path) -> Result<(), String> {
    let script = folder.join("build.sh");
    if !script.exists() {
        let name = folder.file_name().unwrap_or_default();
        return Err(format!("there is no worker in {}", name.display()));
    }
    std::fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    eprintln!("building {}", folder.display());
    let log = out.join("build.log");
    let open = || std::fs::File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
    let (stdout, stderr) = open().map_err(|error| format!("{}: {error}", log.display()))?;
    let status = Command::new(&script)
        .arg(out)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .status()
        .map_err(|error| format!("{}: {error}", script.display()))?;
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    Err(format!(
        "its worker was not built: {}",
        last.unwrap_or("build.sh failed").trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_without_a_worker_is_a_reason_and_one_that_does_not_build_too() {
        let root = tempfile::tempdir().unwrap();
        let mut languages = Languages::new(root.path(), &root.path().join("target"));
        let missing = languages.worker(Language::Go).map(drop);
        assert_eq!(missing, Err("there is no worker in go".to_owned()));

        let folder = root.path().join("bench/workers/node");
        std::fs::create_dir_all(&folder).unwrap();
        let script = folder.join("build.sh");
        std::fs::write(&script, "#!/bin/sh\necho npm is missing\nexit 1\n").unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let failed = languages.worker(Language::Node).map(drop);
        assert_eq!(
            failed,
            Err("its worker was not built: npm is missing".to_owned())
        );
    }
}
