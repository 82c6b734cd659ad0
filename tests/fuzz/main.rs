//! Fuzzing: any words of any client, on keys that hold anything, while anything happens. `make fuzz`.
//!
//! It is the code that runs in a server, without the server: a command from its words to its reply, the engine, and a
//! data set into which others write what they like. Under `cargo test` it takes random inputs for a second; bolero's
//! own command (`cargo bolero test`) lets a fuzzer choose them by the code that they reach.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../hashes.rs"]
mod hashes;
mod input;
mod play;
mod reached;
#[path = "../specs.rs"]
mod specs;

use input::Act;
use play::Play;
use reached::Reached;

/// An input has no more of them: what is to be chosen beyond that is the first of everything.
const BYTES: usize = 1 << 16;

#[test]
fn no_words_no_data_and_no_event_make_the_engine_panic_or_reply_what_a_client_cannot_read() {
    let mut reached = Reached::default();
    bolero::check!()
        .with_max_len(BYTES)
        .with_type::<Vec<Act>>()
        .for_each(|acts| {
            let mut play = Play::new();
            for act in acts {
                play.act(act);
            }
            reached.add(acts.len(), &play);
        });
    reached.check();
}
