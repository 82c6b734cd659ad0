use redis_reentrant_lock::lock::*;
use redis_reentrant_lock::queue::*;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;
fn place(s: String) -> Place {
    Place {
        db: 0,
        name: Rc::from(s.into_bytes()),
    }
}
fn join(lines: &mut Lines, client: u64, owner: String, what: String) {
    lines.join(Waiter {
        owner: Rc::from(owner.into_bytes()),
        place: place(what),
        client,
        request: Acquire {
            ttl: Millis(1),
            holds: None,
            token: None,
        },
        session: None,
        since: Tick(0),
        until: None,
    });
}
fn run(name: &str, lines: &Lines, held: &HashMap<Place, Rc<[u8]>>, target: &str) {
    let mut best = u128::MAX;
    let mut asks = 0;
    for _ in 0..50 {
        let mut budget = Budget::full();
        let t = Instant::now();
        asks = 0;
        let mut s = Search::of_wait(
            Rc::from(b"newcomer".as_slice()),
            1_000_000,
            place(target.to_owned()),
        );
        loop {
            match s.next(lines, &mut budget) {
                Next::Ask(p) => {
                    asks += 1;
                    s.held(held.get(&p).map(|o| Holding {
                        owner: Rc::from(&o[..]),
                        client: None,
                    }))
                }
                _ => break,
            }
        }
        drop(s);
        best = best.min(t.elapsed().as_nanos());
    }
    println!("{name:20} {asks} lookups {:.1} us", best as f64 / 1000.0);
}
fn main() {
    let n = 10_000;
    // chain
    let (mut lines, mut held) = (Lines::new(), HashMap::new());
    for i in 0..=n {
        held.insert(
            place(format!("k{i}")),
            Rc::from(format!("o{i}").into_bytes()),
        );
    }
    for i in 0..n {
        join(&mut lines, i, format!("o{i}"), format!("k{}", i + 1));
    }
    run("chain", &lines, &held, "k0");
    let (mut lines, mut held) = (Lines::new(), HashMap::new());
    for i in 0..=n {
        held.insert(
            place(format!("k{i}")),
            Rc::from(format!("o{i}").into_bytes()),
        );
    }
    held.insert(place("l".into()), Rc::from(b"h".as_slice()));
    let t = Instant::now();
    for i in 0..n {
        join(&mut lines, i, "h".into(), format!("k{}", i + 1));
    }
    println!("join {} ns", t.elapsed().as_nanos() / n as u128);
    run("fan", &lines, &held, "l");
    let (mut lines, mut held) = (Lines::new(), HashMap::new());
    let mut c = 0;
    for l in 0..=16 {
        for i in 0..25 {
            held.insert(
                place(format!("k{l}.{i}")),
                Rc::from(format!("o{l}.{i}").into_bytes()),
            );
        }
    }
    for l in 0..16 {
        for i in 0..25 {
            for j in 0..25 {
                c += 1;
                join(
                    &mut lines,
                    c,
                    format!("o{l}.{i}"),
                    format!("k{}.{j}", l + 1),
                );
            }
        }
    }
    run("layers", &lines, &held, "k0.0");
    let mut lines = Lines::new();
    for i in 0..n {
        join(&mut lines, i, "h".into(), "k".into());
    }
    let t = Instant::now();
    let taken = lines.take_first(0, b"k");
    println!(
        "take_first {} us for {}",
        t.elapsed().as_micros(),
        taken.len()
    );
}
