//! `LOCK.RENEW key owner [ttl] [TOKEN token]`

use super::args::{parse, session_ttl, Accepts};
use super::spec::{OWNER, TOKEN, TTL};
use super::{Access, Command, Error, Reply, Spec, Store};
use crate::lock;
use crate::settings::Settings;

/// Sets the time left of a hold.
pub struct Renew;

impl Command for Renew {
    const SPEC: Spec = Spec {
        name: "lock.renew",
        flags: c"write fast",
        categories: c"write fast",
        min_args: 3,
        fixed_args: false,
        access: Access::Update,
        summary: c"Sets the time left of the holder's lease",
        complexity: c"O(1)",
        arguments: &[OWNER, TTL, TOKEN],
    };

    fn run(args: &[&[u8]], store: &mut impl Store) -> Result<Reply, Error> {
        let accepts = Accepts {
            ttl: true,
            token: true,
            ..Accepts::default()
        };
        let (owner, options) = parse("lock.renew", args, &accepts)?;
        let ttl = store.settings(|settings| options.ttl(settings))?;
        let now = store.now();
        let view = store.view(owner)?;
        let mut lease = ttl;
        if let Some(grace) = store.grace() {
            grace.check(&view, options.token)?;
            lease = grace.lease(ttl, &view, now);
        }
        let limits = store.settings(Settings::limits);
        let (change, grant) = store
            .tokens(|tokens| lock::renew(&view, lease, options.token, now, &limits, tokens))?;
        let has_session = store.has_session();
        if has_session {
            session_ttl(ttl)?;
        }
        store.apply(owner, &change);
        if has_session {
            store.set_session_ttl(ttl);
        }
        store.count(|counters| &mut counters.renewed);
        Ok(Reply::Grant(grant))
    }
}
