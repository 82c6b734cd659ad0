#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::call::Kind;
use crate::owner::Owner;
use lock_test_support::Server;

#[tokio::test]
async fn a_release_that_follows_the_end_of_its_connection_tells_of_the_loss() {
    let server = Server::start();
    let client = LockClient::open(server.url()).unwrap();
    let (kind, limit) = (Kind::Session(None), client.patience);
    let ticket = Ticket::new(Owner::new(), b"a").unwrap();
    let link = client.servers.own(b"a", limit).await.unwrap();
    let (cmd, sent) = (ticket.who().acquire(kind, None, 1, None), Moment::now());
    let grant = Grant::of(&link.call(&cmd, Some(limit)).await.unwrap()).unwrap();
    // Nobody watches it, so that the release is what finds the end.
    let hold = Hold::new(client, ticket, kind, &grant, sent, Some(link.clone()));
    server.client().run("CLIENT KILL TYPE normal");
    link.closed().await;
    assert_eq!(hold.phase(), Phase::Held);
    let released = hold.release().await;
    assert!(
        matches!(released, Err(Error::Lost(Loss::Disconnected))),
        "{released:?}"
    );
}
