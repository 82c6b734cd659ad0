//! Random events beside plain lists.

use super::*;
use proptest::prelude::*;

/// What may happen to the queues.
#[derive(Debug, Clone)]
enum Event {
    Join(u8, u8, Option<i64>),
    Leave(usize),
    TakeFirst(u8),
    TakeYoungest(u8, u8, usize),
    TakeAll(u8),
    TakeLate(i64),
    Lease(u8, Option<i64>),
}

fn event() -> impl Strategy<Value = Event> {
    let until = prop::option::of(0..20_i64);
    prop_oneof![
        4 => (0..3_u8, 0..3_u8, until.clone()).prop_map(|(o, p, u)| Event::Join(o, p, u)),
        2 => (0..40_usize).prop_map(Event::Leave),
        1 => (0..3_u8).prop_map(Event::TakeFirst),
        1 => (0..3_u8, 0..3_u8, 0..4_usize).prop_map(|(o, p, n)| Event::TakeYoungest(o, p, n)),
        1 => (0..3_u8).prop_map(Event::TakeAll),
        1 => (0..20_i64).prop_map(Event::TakeLate),
        2 => (0..3_u8, until).prop_map(|(p, u)| Event::Lease(p, u)),
    ]
}

/// The queues again, as plain lists: everyone who waits, and the lease of each lock.
#[derive(Default)]
struct Model {
    waits: Vec<(WaiterId, u8, u8, Option<i64>)>,
    leases: BTreeMap<u8, i64>,
}

impl Model {
    /// Takes out those that a test names, in order.
    fn take(&mut self, gone: impl Fn(&(WaiterId, u8, u8, Option<i64>)) -> bool) -> Vec<WaiterId> {
        let (out, stay) = self.waits.iter().partition(|wait| gone(wait));
        self.waits = stay;
        let out: Vec<(WaiterId, u8, u8, Option<i64>)> = out;
        let waited_for: Vec<u8> = self.waits.iter().map(|wait| wait.2).collect();
        self.leases.retain(|lock, _| waited_for.contains(lock));
        out.into_iter().map(|(id, ..)| id).collect()
    }
}

fn lock(number: u8) -> LockKey {
    key_of(i32::from(number % 2), ["a", "a", "b"][usize::from(number)])
}

fn ids(waits: impl IntoIterator<Item = (WaiterId, Waiter)>) -> Vec<WaiterId> {
    waits.into_iter().map(|(id, _)| id).collect()
}

proptest! {
    #[test]
    fn lines_do_what_plain_lists_do(events in prop::collection::vec(event(), 1..120)) {
        let (mut queues, mut model, mut joined) = (WaitQueues::new(), Model::default(), Vec::new());
        for event in events {
            match event {
                Event::Join(who, what, until) => {
                    let client = ClientId(joined.len() as u64);
                    let waiter = waiter(&who.to_string(), &lock(what), until);
                    let id = queues.join(Waiter { client, ..waiter });
                    model.waits.push((id, who, what, until));
                    joined.push(id);
                }
                Event::Leave(which) => if let Some(&id) = joined.get(which) {
                    let left = queues.remove(id).map(|_| id);
                    prop_assert_eq!(left.into_iter().collect::<Vec<_>>(), model.take(|w| w.0 == id));
                },
                Event::TakeFirst(what) => {
                    let first = model.waits.iter().find(|w| w.2 == what).map(|w| w.1);
                    let key = lock(what);
                    let taken = model.take(|w| w.2 == what && Some(w.1) == first);
                    prop_assert_eq!(ids(queues.take_first(key.borrowed())), taken);
                }
                Event::TakeYoungest(who, what, most) => {
                    let group = model.waits.iter().filter(|w| (w.1, w.2) == (who, what));
                    let youngest: Vec<WaiterId> = group.map(|w| w.0).rev().take(most).collect();
                    let owner: Arc<[u8]> = who.to_string().as_bytes().into();
                    let taken = queues.take_youngest_of(&owner, &lock(what), most);
                    prop_assert_eq!(ids(taken), youngest.clone());
                    model.take(|w| youngest.contains(&w.0));
                }
                Event::TakeAll(what) => {
                    let key = lock(what);
                    prop_assert_eq!(ids(queues.take_all(key.borrowed())), model.take(|w| w.2 == what));
                }
                Event::TakeLate(now) => {
                    let late = |w: &&(WaiterId, u8, u8, Option<i64>)| w.3.is_some_and(|u| u <= now);
                    let first = model.waits.iter().filter(late).min_by_key(|w| (w.3, w.0));
                    let first = first.map(|w| w.0);
                    let taken = model.take(|w| Some(w.0) == first);
                    prop_assert_eq!(ids(queues.take_late(Tick(now))), taken);
                }
                Event::Lease(what, lease) => {
                    queues.set_lease(lock(what).borrowed(), lease.map(Deadline));
                    if model.waits.iter().any(|w| w.2 == what) {
                        model.leases.remove(&what);
                        model.leases.extend(lease.map(|lease| (what, lease)));
                    }
                }
            }
            prop_assert_eq!(queues.len(), model.waits.len());
            prop_assert_eq!(queues.is_empty(), model.waits.is_empty());
            let everyone: Vec<WaiterId> = model.waits.iter().map(|w| w.0).collect();
            prop_assert_eq!(queues.everyone(), everyone);
            let timeout = model.waits.iter().filter_map(|w| w.3).min().map(Tick);
            prop_assert_eq!(queues.next_timeout(), timeout);
            let lease = model.leases.values().min().copied().map(Deadline);
            prop_assert_eq!(queues.next_lease(), lease);
            prop_assert_eq!(queues.by_client.len(), model.waits.len());
            for wait in &model.waits {
                let client = joined.iter().position(|id| *id == wait.0).unwrap() as u64;
                prop_assert_eq!(queues.wait_on(ClientId(client)).map(|(id, _)| id), Some(wait.0));
            }
            for who in 0..3 {
                let owner: Arc<[u8]> = who.to_string().as_bytes().into();
                let mut groups: BTreeMap<LockKey, Vec<WaiterId>> = BTreeMap::new();
                for wait in model.waits.iter().filter(|w| w.1 == who) {
                    groups.entry(lock(wait.2)).or_default().push(wait.0);
                }
                let found: Vec<(LockKey, WaiterId)> =
                    queues.waits_of(&owner, None).map(|(key, id)| (key.clone(), id)).collect();
                let oldest: Vec<(LockKey, WaiterId)> =
                    groups.iter().map(|(key, ids)| (key.clone(), ids[0])).collect();
                prop_assert_eq!(&found, &oldest);
                for (at, (key, ids)) in groups.iter().enumerate() {
                    prop_assert_eq!(queues.oldest_of(&owner, key), Some(ids[0]));
                    prop_assert_eq!(queues.count_of(&owner, key), ids.len());
                    let after: Vec<WaiterId> =
                        queues.waits_of(&owner, Some(key)).map(|(_, id)| id).collect();
                    let ids: Vec<WaiterId> = oldest[at + 1..].iter().map(|(_, id)| *id).collect();
                    prop_assert_eq!(after, ids);
                }
            }
            for what in 0..3 {
                let key = lock(what);
                let here: Vec<WaiterId> =
                    model.waits.iter().filter(|w| w.2 == what).map(|w| w.0).collect();
                let found: Vec<WaiterId> = queues.waiters_of(key.borrowed()).map(|(id, _)| id).collect();
                prop_assert_eq!(queues.is_waited_for(key.borrowed()), !here.is_empty());
                prop_assert_eq!(found, here);
            }
        }
    }
}
