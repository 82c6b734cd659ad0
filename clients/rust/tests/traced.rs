//! What the client says through `tracing`. A process of its own: what is listened to is decided once for all threads.
#![allow(clippy::unwrap_used, clippy::panic)]

use lock_test_support::Server;
use redis_reentrant_lock_client::LockClient;
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn what_happens_to_a_lock_is_traced() {
    let server = Server::start();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(log.clone())
        .finish();
    let locks = LockClient::open(server.url()).unwrap();
    let _default = tracing::subscriber::set_default(subscriber);
    let guard = locks.lock("a").acquire().await.unwrap();
    let token = guard.token();
    server.client().run("LOCK.FORCERELEASE a");
    guard.lost().await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for (level, said) in [("DEBUG", "lock acquired"), ("WARN", "lock lost")] {
        let line = text.lines().find(|line| line.contains(said));
        let line = line.unwrap_or_else(|| panic!("no {said} in {text}"));
        assert!(
            line.contains(level) && line.contains(&format!("token={token}")),
            "{line}"
        );
        assert!(line.contains("lock=a"), "{line}");
    }
}

/// What was traced.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Log;
    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}
