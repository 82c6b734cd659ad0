//! Connections by TLS.

use crate::soon;
use lock_test_support::tls::TlsServer;
use redis::{Client, ClientTlsConfig, TlsCertificates};
use redis_reentrant_lock_client::LockClient;

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_acquired_and_waited_for_by_tls_with_a_certificate_and_a_login() {
    let Some(house) = TlsServer::start(&["worker-1"], &[]) else {
        return;
    };
    let file = |name| std::fs::read(house.path(name)).unwrap();
    let certificates = TlsCertificates {
        client_tls: Some(ClientTlsConfig {
            client_cert: file("clients/worker-1.crt"),
            client_key: file("clients/worker-1.key"),
        }),
        root_cert: Some(file("server-ca.crt")),
    };
    let client = Client::build_with_tls(house.url("worker"), certificates).unwrap();
    let locks = LockClient::open(client.get_connection_info().clone()).unwrap();
    let lock = locks.lock("lock:orders");
    let guard = soon(lock.acquire()).await.unwrap();
    assert!(guard.is_held());
    assert!(soon(lock.try_acquire()).await.unwrap().is_none());
    let token = guard.token();
    let waits = tokio::spawn(async move { lock.acquire().await });
    guard.release().await.unwrap();
    let next = soon(waits).await.unwrap().unwrap();
    assert!(next.token() > token);
    next.release().await.unwrap();
}
