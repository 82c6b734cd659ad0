//! Who holds what, and who waits for what.

/// Locks, and those who wait for them. The waits are in an order in which each of them is cheap.
pub struct Shape {
    /// What it is called.
    pub name: &'static str,
    /// The calls by which the locks are held.
    pub holds: Vec<String>,
    /// The calls that wait, and what is called on that connection before.
    pub waits: Vec<(Option<String>, String)>,
    /// What is measured.
    pub then: Then,
}

/// A call.
pub enum Then {
    /// One more that waits.
    Wait(String),
    /// One that is answered at once.
    Run(String),
}

fn hold(lock: impl AsRef<str>, owner: impl AsRef<str>) -> String {
    let (lock, owner) = (lock.as_ref(), owner.as_ref());
    format!("LOCK.ACQUIRE {lock} {owner} 3600000")
}

fn wait(lock: impl AsRef<str>, owner: impl AsRef<str>) -> (Option<String>, String) {
    let (lock, owner) = (lock.as_ref(), owner.as_ref());
    (None, format!("LOCK.ACQUIRE {lock} {owner} 3600000 WAIT 0"))
}

fn one_more(lock: &str) -> Then {
    Then::Wait(format!("LOCK.ACQUIRE {lock} newcomer 3600000 WAIT 0"))
}

/// A lock `l` that `h` will get, and someone else after it.
fn about_to_get() -> (String, Vec<(Option<String>, String)>, Then) {
    (
        hold("l", "first"),
        vec![wait("l", "h"), wait("l", "last")],
        Then::Run("LOCK.RELEASE l first".to_owned()),
    )
}

/// All shapes, of about so many waits each.
pub fn all(waits: usize) -> Vec<Shape> {
    vec![
        queue(waits),
        chain(waits),
        chain_of_connections(waits),
        fan(waits, "one owner waits for many locks: one more wait"),
        layers(waits),
        one_lock(waits),
        two_fans(waits, 2),
        two_fans(waits, 1),
        cycles(waits, false),
        cycles(waits, true),
        refused_together(waits),
        granted_together(waits),
        Shape {
            then: Then::Run("LOCK.LINES".to_owned()),
            ..fan(waits, "one owner waits for many locks: LOCK.LINES")
        },
    ]
}

fn queue(waits: usize) -> Shape {
    Shape {
        name: "one queue: a release",
        holds: vec![hold("l", "first")],
        waits: (0..waits).map(|n| wait("l", format!("o{n}"))).collect(),
        then: Then::Run("LOCK.RELEASE l first".to_owned()),
    }
}

fn chain(waits: usize) -> Shape {
    Shape {
        name: "a chain of owners: one more wait",
        holds: (0..=waits)
            .map(|n| hold(format!("k{n}"), format!("o{n}")))
            .collect(),
        waits: (0..waits)
            .map(|n| wait(format!("k{}", n + 1), format!("o{n}")))
            .collect(),
        then: one_more("k0"),
    }
}

fn chain_of_connections(waits: usize) -> Shape {
    Shape {
        name: "a chain of connections: one more wait",
        holds: vec![hold(format!("k{waits}"), "last")],
        // From the last to the first: each lock is there before someone waits for it.
        waits: (0..waits)
            .rev()
            .map(|n| {
                let (_, line) = wait(format!("k{}", n + 1), format!("w{n}"));
                (
                    Some(format!("LOCK.ACQUIRE k{n} h{n} 3600000 SESSION")),
                    line,
                )
            })
            .collect(),
        then: one_more("k0"),
    }
}

fn fan(waits: usize, name: &'static str) -> Shape {
    let mut holds: Vec<String> = (0..waits)
        .map(|n| hold(format!("k{n}"), format!("o{n}")))
        .collect();
    holds.push(hold("l", "h"));
    Shape {
        name,
        holds,
        waits: (0..waits).map(|n| wait(format!("k{n}"), "h")).collect(),
        then: one_more("l"),
    }
}

fn layers(waits: usize) -> Shape {
    const WIDTH: usize = 25;
    let layers = waits / (WIDTH * WIDTH);
    let locks = (0..=layers).flat_map(|layer| (0..WIDTH).map(move |n| format!("{layer}.{n}")));
    let between = |layer: usize| {
        (0..WIDTH).flat_map(move |from| {
            (0..WIDTH).map(move |to| {
                let owner = format!("o{layer}.{from}");
                wait(format!("k{}.{to}", layer + 1), owner)
            })
        })
    };
    Shape {
        name: "layers of owners that wait for all of the next: one more wait",
        holds: locks
            .map(|lock| hold(format!("k{lock}"), format!("o{lock}")))
            .collect(),
        waits: (0..layers).flat_map(between).collect(),
        then: one_more("k0.0"),
    }
}

fn one_lock(waits: usize) -> Shape {
    Shape {
        name: "one owner waits for one lock: one more wait",
        holds: vec![hold("l", "h"), hold("k", "o")],
        waits: (0..waits).map(|_| wait("k", "h")).collect(),
        then: one_more("l"),
    }
}

/// `h` waits for locks of `g`, who waits for others, and gets one more.
fn two_fans(waits: usize, fans: usize) -> Shape {
    let (lock, mut waiting, then) = about_to_get();
    let mut holds = vec![lock];
    for n in 0..waits / fans {
        holds.push(hold(format!("k{n}"), "g"));
        waiting.push(wait(format!("k{n}"), "h"));
        if fans == 2 {
            holds.push(hold(format!("m{n}"), format!("o{n}")));
            waiting.push(wait(format!("m{n}"), "g"));
        }
    }
    Shape {
        name: match fans {
            2 => "a fan behind a fan: a hand-over to the first",
            _ => "one owner waits for many locks: a hand-over to it",
        },
        holds,
        waits: waiting,
        then,
    }
}

/// `h` waits for locks whose owners wait for the one that it gets.
fn cycles(waits: usize, theirs_first: bool) -> Shape {
    let (lock, mut waiting, then) = about_to_get();
    let locks = 0..waits / 2;
    let mut holds = vec![lock];
    holds.extend(
        locks
            .clone()
            .map(|n| hold(format!("k{n}"), format!("o{n}"))),
    );
    let h: Vec<_> = locks.clone().map(|n| wait(format!("k{n}"), "h")).collect();
    let theirs = locks.map(|n| wait("l", format!("o{n}")));
    match theirs_first {
        true => {
            waiting.extend(theirs);
            waiting.extend(h);
        }
        false => {
            waiting.extend(h);
            waiting.extend(theirs);
        }
    }
    Shape {
        name: match theirs_first {
            true => "a hand-over that closes many cycles, younger on this side",
            false => "a hand-over that closes many cycles, younger on the others'",
        },
        holds,
        waits: waiting,
        then,
    }
}

fn refused_together(waits: usize) -> Shape {
    let (lock, mut waiting, then) = about_to_get();
    waiting.push(wait("l", "o"));
    waiting.extend((0..waits).map(|_| wait("k", "h")));
    Shape {
        name: "a hand-over that closes a cycle with all of one owner's waits",
        holds: vec![lock, hold("k", "o")],
        waits: waiting,
        then,
    }
}

fn granted_together(waits: usize) -> Shape {
    Shape {
        name: "one owner waits for one lock: a hand-over to it",
        holds: vec![hold("l", "first")],
        waits: (0..waits).map(|_| wait("l", "h")).collect(),
        then: Then::Run("LOCK.RELEASE l first".to_owned()),
    }
}
