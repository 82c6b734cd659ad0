//! What happens between clients and servers: connections are cut, lose what is sent, are slow and half open.

use crate::fault::Fault;
use crate::world::World;
use fastrand::Rng;
use lock_test_support::Proxy;
use std::time::Duration;

/// How a connection fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Closed at both sides.
    Cut,
    /// Nothing arrives, in either direction.
    Silent,
    /// Closed at the server's side only.
    HalfOpen,
    /// Everything arrives late.
    Slow,
    /// A call arrives, and its reply is lost with the connection.
    LosesReply,
}

/// All connections through one proxy fail.
pub struct Network(pub How);

impl Fault for Network {
    fn name(&self) -> &'static str {
        match self.0 {
            How::Cut => "connections-cut",
            How::Silent => "connections-silent",
            How::HalfOpen => "connections-half-open",
            How::Slow => "connections-slow",
            How::LosesReply => "reply-lost",
        }
    }

    fn lacks(&self, world: &World) -> Option<String> {
        let none = world.proxies.is_empty();
        none.then(|| "nothing stands between clients and servers".to_owned())
    }

    fn inject(&mut self, world: &World, rng: &mut Rng) -> bool {
        let proxy = &world.proxies[rng.usize(..world.proxies.len())];
        match self.0 {
            How::Cut => proxy.cut(),
            How::Silent => proxy.fall_silent(),
            How::HalfOpen => proxy.half_open(),
            How::Slow => proxy.slow_down(Duration::from_millis(rng.u64(1..15))),
            How::LosesReply => {
                let commands = ["LOCK.ACQUIRE", "LOCK.RELEASE", "LOCK.RENEW"];
                proxy.lose_reply(commands[rng.usize(..commands.len())]);
                world.sleep(Duration::from_millis(20));
                return true;
            }
        }
        if self.0 != How::Cut {
            // Some wake up before their clients have given up, some after.
            world.sleep(Duration::from_millis(rng.u64(..1500)));
        }
        proxy.recover();
        true
    }

    fn calm(&mut self, world: &World) {
        world.proxies.iter().for_each(Proxy::recover);
    }
}
