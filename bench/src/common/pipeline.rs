//! Commands that are sent in one go, and the replies that they must get.

use super::support::{Client, show};

/// A command as a line of words, and its reply as [`show`] writes it. A reply that ends with a
/// space is only the beginning: what follows is a number that differs each time.
pub type Step = (String, &'static str);

/// Packed once, sent often.
pub struct Pipeline {
    bytes: Vec<u8>,
    replies: Vec<&'static str>,
}

impl Pipeline {
    /// Packs the commands.
    pub fn new(steps: &[Step]) -> Pipeline {
        let mut bytes = Vec::new();
        for (line, _) in steps {
            bytes.extend(pack(line));
        }
        let replies = steps.iter().map(|(_, reply)| *reply).collect();
        Pipeline { bytes, replies }
    }

    /// Sends the commands, and checks every reply.
    ///
    /// # Errors
    /// The first wrong reply.
    pub fn run(&self, client: &mut Client) -> Result<(), String> {
        if self.replies.is_empty() {
            return Ok(());
        }
        client
            .raw
            .send_packed_command(&self.bytes)
            .map_err(|error| error.to_string())?;
        for (at, expected) in self.replies.iter().enumerate() {
            let reply = match client.raw.recv_response() {
                Ok(value) => show(&value),
                Err(error) => error.to_string(),
            };
            let right = match expected.strip_suffix(' ') {
                Some(_) => reply.starts_with(expected),
                None => reply == *expected,
            };
            if !right {
                return Err(format!("reply {at} is {reply}, not {expected}"));
            }
        }
        Ok(())
    }
}

/// A line of words as the bytes that a client sends.
pub fn pack(line: &str) -> Vec<u8> {
    let mut command = redis::Cmd::new();
    line.split(' ').for_each(|word| {
        command.arg(word);
    });
    command.get_packed_command()
}
