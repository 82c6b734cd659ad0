//! Scenarios with one server.

use super::{Crowd, Faults, Promises, Scenario, Sessions, ALL, BUSY};
use crate::aftermath;
use crate::check::{self, Kind};
use crate::fault::clients::{EvictClients, Kill, Pause, Rights, Unblock};
use crate::fault::clock::Step;
use crate::fault::data::{Evict, Flush, MassExpiry, Others, Reload, Save, Swap};
use crate::fault::network::{How, Network};
use crate::fault::process::{Crash, Stop, Stored};
use crate::fault::settings::{Settings, Unload};
use crate::fault::Fault;
use crate::fencing;
use crate::route::{OneServer, Proxied};
use crate::world::{self, World};
use lock_test_support::{FakeClock, Proxy, Setup};
use std::time::Duration;

/// How long the longest lease and the grace period of the scenarios are that have one, in ms.
const LONGEST: i64 = 1200;

pub fn all() -> Vec<Scenario> {
    vec![
        clients(),
        crash(),
        forgets_everysec(),
        forgets_snapshot(),
        forgets_all(),
        crash_without(),
        losses(),
        network(),
        clocks(),
        unloads(),
        fencing::scenario(),
    ]
}

/// A server that is as quick as it can be.
pub fn setup() -> Setup {
    let lines = [
        "unixsocket s",
        "enable-module-command yes",
        "slowlog-log-slower-than -1",
        "acllog-max-len 0",
        "maxclients 2000",
    ];
    lines.into_iter().fold(Setup::new(), Setup::config)
}

/// Starts one server, and sends all clients there.
pub fn one(setup: Setup) -> Result<World, String> {
    let server = setup.start();
    let route = OneServer {
        port: server.port(),
        socket: Some(server.dir().join("s")),
    };
    Ok(World::new(vec![server], Box::new(route)))
}

fn nothing_more(_: &World) -> Result<(), String> {
    Ok(())
}

fn clients() -> Scenario {
    let faults: Faults = || {
        vec![
            Box::new(Kill),
            Box::new(Unblock {
                beside_pauses: true,
            }),
            Box::new(EvictClients),
            Box::new(Pause),
            Box::new(Rights),
            Box::new(Settings),
            Box::new(Stop { most: 1500 }),
            Box::new(MassExpiry),
            Box::new(Save::Snapshot),
            Box::new(Save::File),
            Box::new(Reload),
        ]
    };
    Scenario {
        name: "clients",
        about: "one server; clients are killed, unblocked, evicted and paused, rights come and go, settings change",
        short: true,
        start: || one(setup()),
        troublemakers: vec![faults, faults],
        pause: Duration::from_millis(150),
        promises: ALL,
        crowd: BUSY,
        finally: nothing_more,
        instead: None,
    }
}

fn crash() -> Scenario {
    Scenario {
        name: "crash, AOF always",
        about: "kill -9 and restart; every reply is on disk before it is sent",
        short: true,
        start: || {
            one(setup()
                .config("appendonly yes")
                .config("appendfsync always"))
        },
        troublemakers: vec![|| {
            vec![
                Box::new(Crash {
                    stored: Stored::All,
                }) as Box<dyn Fault>,
                Box::new(Save::Snapshot),
                Box::new(Save::File),
                Box::new(Kill),
                Box::new(Stop { most: 300 }),
            ]
        }],
        pause: Duration::from_millis(500),
        promises: Promises {
            check: check::Promises {
                kept_linger: i64::MAX,
                ..ALL.check
            },
            ..ALL
        },
        crowd: Crowd {
            round: Duration::from_secs(4),
            ..BUSY
        },
        finally: |world| aftermath::is_stored(world, &world.nodes[0]),
        instead: None,
    }
}

fn with_grace() -> Setup {
    setup().module_args(&format!("max-ttl {LONGEST} grace-period {LONGEST}"))
}

/// `kill -9` and a restart without the last writes, and a grace period that makes up for them.
fn forgets(name: &'static str, start: Start, faults: Faults) -> Scenario {
    Scenario {
        name,
        about: "kill -9 and restart with the last writes lost; nothing is granted for as long as the longest lease",
        short: false,
        start,
        troublemakers: vec![faults],
        pause: Duration::from_millis(3000),
        promises: LOSSY,
        crowd: Crowd {
            ttl: (60, LONGEST),
            round: Duration::from_secs(6),
            shortens: false,
            ..BUSY
        },
        finally: nothing_more,
        instead: None,
    }
}

type Start = fn() -> Result<World, String>;

fn crash_of(stored: Stored) -> Vec<Box<dyn Fault>> {
    vec![Box::new(Crash { stored })]
}

fn forgets_everysec() -> Scenario {
    let start = || one(with_grace().config("appendonly yes"));
    forgets("crash, AOF everysec", start, || {
        let mut faults = crash_of(Stored::CutFile);
        faults.push(Box::new(Save::Snapshot));
        faults.push(Box::new(Save::File));
        faults
    })
}

fn forgets_snapshot() -> Scenario {
    let start = || one(with_grace());
    forgets("crash, RDB", start, || crash_of(Stored::Snapshot))
}

fn forgets_all() -> Scenario {
    let start = || one(with_grace());
    forgets("crash, nothing stored", start, || crash_of(Stored::Nothing))
}

/// What is promised of a server that forgets its last writes, and has a grace period.
const LOSSY: Promises = Promises {
    check: check::Promises {
        kept_linger: i64::MAX,
        ..ALL.check
    },
    ..ALL
};

fn crash_without() -> Scenario {
    Scenario {
        name: "crash without a grace period",
        about:
            "kill -9 and restart with an old snapshot: a lock that is forgotten is granted again",
        short: false,
        start: || one(setup()),
        troublemakers: vec![|| crash_of(Stored::Snapshot)],
        pause: Duration::from_millis(700),
        promises: Promises {
            tolerated: &[Kind::TwoOwners, Kind::LeaseCutShort],
            ..LOSSY
        },
        crowd: Crowd {
            round: Duration::from_secs(4),
            ..BUSY
        },
        finally: nothing_more,
        instead: None,
    }
}

fn losses() -> Scenario {
    Scenario {
        name: "losses",
        about: "locks are flushed, swapped away, evicted and overwritten: nothing is promised of those, and all of the others",
        short: true,
        start: || one(setup()),
        troublemakers: vec![|| {
            vec![
                Box::new(Flush),
                Box::new(Swap),
                Box::new(Evict),
                Box::new(Others),
                Box::new(MassExpiry),
                Box::new(Kill),
                Box::new(Unblock {
                    beside_pauses: false,
                }),
            ]
        }],
        pause: Duration::from_millis(200),
        promises: Promises {
            check: check::Promises {
                kept_linger: i64::MAX,
                ..ALL.check
            },
            ..ALL
        },
        crowd: BUSY,
        finally: nothing_more,
        instead: None,
    }
}

fn unloads() -> Scenario {
    Scenario {
        name: "module",
        about: "the module is unloaded and loaded again: the locks stay",
        short: false,
        start: || one(setup()),
        troublemakers: vec![|| {
            vec![
                Box::new(Unload),
                Box::new(Save::Snapshot),
                Box::new(Save::File),
            ]
        }],
        pause: Duration::from_millis(100),
        promises: Promises {
            sessions: Sessions::WhileAnswered,
            ..ALL
        },
        crowd: Crowd {
            waiters: 0,
            sessions: false,
            ..BUSY
        },
        finally: nothing_more,
        instead: None,
    }
}

fn network() -> Scenario {
    Scenario {
        name: "network",
        about: "connections are cut, fall silent, are slow and half open, replies are lost",
        short: false,
        start: || {
            let mut world = one(setup())?;
            world.proxies = (0..3).map(|_| Proxy::to(world.nodes[0].port)).collect();
            world.route = Box::new(Proxied {
                ports: world.proxies.iter().map(Proxy::port).collect(),
            });
            Ok(world)
        },
        troublemakers: vec![|| {
            let ways = [
                How::Cut,
                How::Silent,
                How::HalfOpen,
                How::Slow,
                How::LosesReply,
            ];
            let network = |how| Box::new(Network(how)) as Box<dyn Fault>;
            ways.into_iter().map(network).collect()
        }],
        pause: Duration::from_millis(200),
        promises: Promises {
            check: check::Promises {
                kept_linger: i64::MAX,
                ..ALL.check
            },
            sessions: Sessions::WhileAnswered,
            ..ALL
        },
        crowd: Crowd {
            round: Duration::from_secs(4),
            ..BUSY
        },
        finally: nothing_more,
        instead: None,
    }
}

fn clocks() -> Scenario {
    Scenario {
        name: "clock",
        about: "the clock of the server is set forward and back: leases end early or late, and tokens grow",
        short: false,
        start: with_a_clock,
        troublemakers: vec![|| vec![Box::new(Step), Box::new(Kill)]],
        pause: Duration::from_millis(400),
        promises: LOSSY,
        crowd: Crowd {
            round: Duration::from_secs(4),
            ..BUSY
        },
        finally: nothing_more,
        instead: None,
    }
}

/// A server whose clock can be set.
fn with_a_clock() -> Result<World, String> {
    let clock = FakeClock::of_servers_and_modules()?;
    // Far enough for the check below.
    clock.set(60_000);
    let mut world = one(clock.setup(setup()))?;
    let mut client = world::client(&world.nodes[0]);
    let token = client.grant("LOCK.ACQUIRE clock me")[2];
    client.run("LOCK.RELEASE clock me");
    if (token / 1000 - client.clock()).abs() > 30_000 {
        return Err("the module reads another clock than the server".to_owned());
    }
    clock.set(0);
    world.clock_of_servers = Some(clock);
    Ok(world)
}
