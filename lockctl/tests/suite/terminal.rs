//! On a terminal: a pseudo-terminal of `script`, of util-linux.

use crate::{LOCKCTL, Running};
use lock_test_support::{PATIENCE, Server};
use std::io::{Read, Write};
use std::process::Command;
use std::sync::mpsc;
use std::time::Instant;

const ROWS: u16 = 30;
const COLUMNS: u16 = 120;

/// A shell command on a terminal.
pub struct Terminal {
    pub running: Running,
    output: mpsc::Receiver<Vec<u8>>,
    emulator: vt100::Parser,
}

impl Terminal {
    /// Starts `lockctl` with these arguments, quoted for a shell.
    pub fn start(server: &Server, arguments: &str) -> Terminal {
        Terminal::shell(server, &format!("exec {LOCKCTL} {arguments}"))
    }

    /// Starts a script.
    fn shell(server: &Server, script: &str) -> Terminal {
        let script = format!("stty -echo rows {ROWS} cols {COLUMNS}; {script}");
        let mut command = Command::new("script");
        command.args([
            "--quiet",
            "--flush",
            "--return",
            "--command",
            &script,
            "/dev/null",
        ]);
        command
            .env("LOCKCTL_URL", server.url())
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh");
        let mut running = Running::start(&command);
        let mut pipe = running.output.take().unwrap();
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = pipe.read(&mut buffer) {
                if sender.send(buffer[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal {
            running,
            output,
            emulator: vt100::Parser::new(ROWS, COLUMNS, 0),
        }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        let stdin = self.running.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Waits until something is shown, and returns all that is.
    pub fn until(&mut self, text: &str) -> String {
        self.wait(text, |screen| screen.contents().contains(text));
        self.emulator.screen().contents()
    }

    /// Waits until the screen is given back.
    pub fn until_restored(&mut self) {
        self.wait("the screen of before", |screen| !screen.alternate_screen());
    }

    fn wait(&mut self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let start = Instant::now();
        while !is_so(self.emulator.screen()) {
            let left = PATIENCE.saturating_sub(start.elapsed());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.emulator.process(&bytes),
                Err(error) => panic!(
                    "no {what:?} ({error}), but:\n{}",
                    self.emulator.screen().contents()
                ),
            }
        }
    }
}

#[test]
fn ctrl_c_reaches_the_command_once() {
    let server = Server::start();
    let script = r#"trap "echo got" INT; trap "echo usr; exit 3" USR1; echo pid=$PPID.; while :; do :; done"#;
    // The shell between does not mind that lockctl is stopped, and outlives the key.
    let script = format!("trap : INT; {LOCKCTL} run a -- sh -c '{script}'");
    let mut terminal = Terminal::shell(&server, &script);
    let seen = terminal.until(".");
    let pid = seen
        .split("pid=")
        .nth(1)
        .unwrap()
        .split('.')
        .next()
        .unwrap();
    let pid = pid.parse().unwrap();
    // The command has got it, and done with it, before lockctl sees it.
    lock_test_support::send_signal(pid, libc::SIGSTOP);
    terminal.press("\x03");
    terminal.until("got");
    lock_test_support::send_signal(pid, libc::SIGCONT);
    // It comes after whatever lockctl passed on before it.
    lock_test_support::send_signal(pid, libc::SIGUSR1);
    let seen = terminal.until("usr");
    assert_eq!(seen.matches("got").count(), 1, "{seen}");
    assert_eq!(terminal.running.end().0, 3);
}

#[test]
fn a_command_reads_from_the_terminal() {
    let server = Server::start();
    let mut terminal = Terminal::start(
        &server,
        r#"run a -- sh -c 'echo on; read word; echo "=$word="'"#,
    );
    terminal.until("on");
    terminal.press("hello\n");
    terminal.until("=hello=");
    assert_eq!(terminal.running.end().0, 0);
}

#[test]
fn a_release_by_force_is_confirmed_on_a_terminal() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE a me 600000");
    for (answer, status) in [("n\n", 122), ("y\n", 0)] {
        let mut terminal = Terminal::start(&server, "release --force a");
        terminal.until("Release a (held by me, 0 waiting)?");
        terminal.press(answer);
        assert_eq!(terminal.running.end().0, status);
    }
    assert!(!crate::is_held(&mut client, "a"));
}
