//! The machine, the date, the commit.

use crate::figures::Machine;
use std::fs::read_to_string;
use std::path::Path;
use std::process::Command;

/// What this machine is.
pub fn describe() -> Machine {
    let cpus = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes =
        field(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
    let kilobytes: u64 = kilobytes.unwrap_or(0);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Machine {
        cpu: field(&cpus, "model name").unwrap_or("unknown").to_owned(),
        cores: cpus
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count(),
        kernel: format!("Linux {}", kernel.trim()),
        memory_gib: (kilobytes + (1 << 19)) >> 20,
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

/// The time in UTC, as ISO 8601 has it.
pub fn now() -> String {
    output(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]))
}

/// The commit of this folder, and whether something was changed since.
pub fn commit(root: &Path) -> String {
    let git = |args: &[&str]| output(Command::new("git").arg("-C").arg(root).args(args));
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    match git(&["status", "--porcelain"]).is_empty() {
        true => commit,
        false => format!("{commit}, with changes"),
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}
