//! `LOCK.ACQUIRE key owner [ttl] [WAIT timeout] [SESSION [LINGER linger]] [HOLDS n] [TOKEN token]`

use super::args::{parse, Accepts};
use super::spec::{HOLDS, OWNER, SESSION, TOKEN, TTL, WAIT};
use super::{Access, Command, Error, Reply, Spec, Store};
use crate::lock;
use crate::settings::Settings;

/// Takes the lock or reenters it.
pub struct Acquire;

impl Command for Acquire {
    const SPEC: Spec = Spec {
        name: "lock.acquire",
        flags: c"write deny-oom fast blocking",
        categories: c"write fast blocking",
        min_args: 3,
        fixed_args: false,
        access: Access::Update,
        summary: c"Takes a lock, or reenters it if the owner holds it",
        complexity: c"O(1)",
        arguments: &[OWNER, TTL, WAIT, SESSION, HOLDS, TOKEN],
    };

    fn run(args: &[&[u8]], store: &mut impl Store) -> Result<Reply, Error> {
        let accepts = Accepts {
            ttl: true,
            holds: Some(1),
            token: true,
            wait: true,
            session: true,
        };
        let (owner, options) = parse("lock.acquire", args, &accepts)?;
        let mut request = lock::Acquire {
            ttl: store.settings(|settings| options.ttl(settings))?,
            holds: options.holds,
            token: options.token,
        };
        let session = store.settings(|settings| options.session(settings))?;
        if session.is_some() {
            store.check_connection()?;
        }
        let now = store.now();
        let mut view = store.view(owner)?;
        if let Some(grace) = store.grace() {
            view = grace.seen(view, request.token, now);
            request.ttl = grace.lease(request.ttl, &view, now);
        }
        let limits = store.settings(Settings::limits);
        let (change, grant) =
            store.tokens(|tokens| lock::acquire(&view, &request, now, &limits, tokens))?;
        match (grant.holds, options.wait) {
            (0, Some(wait)) if store.may_wait() => {
                match store.wait(owner, request, session, wait) {
                    Ok(()) => return Ok(Reply::Later),
                    // The server refused to block the client after all.
                    Err(Error::NotNow) => store.count(|counters| &mut counters.busy),
                    Err(error) => return Err(error),
                }
                return Ok(Reply::Grant(grant));
            }
            (0, _) => {
                store.count(|counters| &mut counters.busy);
                return Ok(Reply::Grant(grant));
            }
            _ => store.apply(owner, &change),
        }
        store.answered(&grant);
        if let Some(session) = session {
            store.bind(owner, &grant, session);
        }
        store.count(match view {
            lock::View::Mine(_) => |counters| &mut counters.reentered,
            _ => |counters| &mut counters.acquired,
        });
        Ok(Reply::Grant(grant))
    }
}
