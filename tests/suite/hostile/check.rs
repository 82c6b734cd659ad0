//! Sends calls and checks what comes of them.

use crate::support::{show, Client, Server};
use redis::Value;

/// A call as the protocol has it.
pub fn pack(words: &[Vec<u8>]) -> Vec<u8> {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word);
    }
    command.get_packed_command()
}

/// A call as a test's failure shows it.
fn shown(words: &[Vec<u8>]) -> String {
    let shown = words
        .iter()
        .map(|word| word[..word.len().min(40)].escape_ascii().to_string());
    shown.collect::<Vec<_>>().join(" ")
}

/// Checks that an error is one short line that starts with a code in capitals.
fn check_error(reply: &Value, call: &[Vec<u8>]) {
    let errors: Vec<String> = match reply {
        Value::ServerError(_) => vec![show(reply)],
        Value::Array(parts) => {
            let errors = parts
                .iter()
                .filter(|part| matches!(part, Value::ServerError(_)));
            errors.map(show).collect()
        }
        _ => Vec::new(),
    };
    for error in errors {
        let code = error.split(' ').next().unwrap();
        assert!(
            code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()),
            "{}: {error}",
            shown(call)
        );
        let printable = error.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        assert!(printable && error.len() < 600, "{}: {error}", shown(call));
    }
}

/// Sends calls in one go, and checks each reply.
pub fn send_all(client: &mut Client, calls: &[Vec<Vec<u8>>]) {
    let packed: Vec<u8> = calls.iter().flat_map(|call| pack(call)).collect();
    client.raw.send_packed_command(&packed).unwrap();
    read_all(client, calls);
}

/// Reads and checks the reply to each call.
pub fn read_all(client: &mut Client, calls: &[Vec<Vec<u8>>]) {
    for call in calls {
        match client.raw.recv_response() {
            Ok(reply) => check_error(&reply, call),
            Err(error) => panic!("{error}: after {}", shown(call)),
        }
    }
}

/// Checks that the server is there, and that neither it nor the module complained.
pub fn check_health(server: &Server) {
    assert_eq!(server.client().run("PING"), "PONG");
    server.assert_sound();
}
