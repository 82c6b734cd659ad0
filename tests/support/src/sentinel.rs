//! Three sentinels that watch a master and promote its replica when it is gone.

use crate::{binary, eventually, free_port, Client, Server, PATIENCE};
use std::fmt::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// The sentinels.
pub struct Sentinels {
    nodes: Vec<Node>,
}

struct Node {
    process: Child,
    port: u16,
    _dir: TempDir,
}

impl Sentinels {
    /// Starts them, and waits until they know one another and the replicas. They take a master for
    /// gone that was silent for `silent` ms.
    pub fn start(master: &Server, replicas: usize, silent: u32) -> Sentinels {
        let ports = [free_port(), free_port(), free_port()];
        let nodes = ports.iter().map(|port| {
            let config = config(*port, &ports, master.port(), silent);
            Node::start(*port, &config)
        });
        let sentinels = Sentinels {
            nodes: nodes.collect(),
        };
        for node in &sentinels.nodes {
            let mut client = node.client();
            eventually("the sentinels know one another", || {
                client.run("SENTINEL CKQUORUM locks").starts_with("OK 3 ")
            });
            eventually("they know the replicas", || {
                let shown = client.run("SENTINEL REPLICAS locks");
                let healthy = |sign: &str| shown.matches(sign).count() == replicas;
                healthy("flags slave ") && healthy("master-link-status ok")
            });
        }
        sentinels
    }

    /// The addresses, as client libraries take them.
    pub fn urls(&self) -> Vec<String> {
        let address = |node: &Node| format!("redis://127.0.0.1:{}/", node.port);
        self.nodes.iter().map(address).collect()
    }

    /// The name under which they watch the master.
    pub fn name(&self) -> String {
        "locks".to_owned()
    }

    /// The port of the server that is the master by now, as a client asks for it.
    pub fn master(&self) -> u16 {
        let shown = self.nodes[0]
            .client()
            .run("SENTINEL GET-MASTER-ADDR-BY-NAME locks");
        let port = shown.trim_matches(['[', ']']).rsplit(' ').next();
        port.and_then(|port| port.parse().ok())
            .unwrap_or_else(|| panic!("no master: {shown}"))
    }
}

/// Each knows the others from the start: it takes seconds until they find one another.
fn config(port: u16, all: &[u16], master: u16, silent: u32) -> String {
    let id = |port: u16| format!("{port:040}");
    let mut text = format!(
        "port {port}\nbind 127.0.0.1\n\
         sentinel myid {}\n\
         sentinel monitor locks 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds locks {silent}\n\
         sentinel failover-timeout locks 20000\n",
        id(port)
    );
    for other in all.iter().filter(|other| **other != port) {
        let other_id = id(*other);
        writeln!(
            text,
            "sentinel known-sentinel locks 127.0.0.1 {other} {other_id}"
        )
        .unwrap();
    }
    text
}

impl Node {
    fn start(port: u16, config: &str) -> Node {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("sentinel.conf");
        std::fs::write(&file, format!("dir {}\n{config}", dir.path().display())).unwrap();
        let mut command = Command::new(binary());
        command.arg(file).arg("--sentinel");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let end_with_test = || {
            // SAFETY: a system call that touches no memory.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            Ok(())
        };
        // SAFETY: the closure only makes a system call, which may be made between fork and exec.
        unsafe { command.pre_exec(end_with_test) };
        let process = command.spawn().unwrap();
        let node = Node {
            process,
            port,
            _dir: dir,
        };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "the sentinel did not start");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        node
    }

    fn client(&self) -> Client {
        Client::new(&format!("redis://127.0.0.1:{}/", self.port))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
