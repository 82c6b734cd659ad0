//! Reads replies as the clients of the proof need them: what has come before a timeout is not lost.

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Number(i64),
    Text(String),
    Error(String),
    Many(Vec<Said>),
    Nothing,
}

impl Said {
    /// The numbers of a reply that has only numbers.
    pub fn numbers(&self) -> Option<Vec<i64>> {
        let Said::Many(values) = self else {
            return None;
        };
        let number = |value: &Said| match value {
            Said::Number(number) => Some(*number),
            _ => None,
        };
        values.iter().map(number).collect()
    }
}

/// The first reply of these bytes, and how long it is. None: it is not whole yet.
pub fn parse(bytes: &[u8]) -> Option<(Said, usize)> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let text = String::from_utf8_lossy(bytes.get(1..end).unwrap_or_default()).into_owned();
    let after = end + 2;
    let number = || text.parse::<i64>().unwrap_or(-1);
    let said = match bytes[0] {
        b':' => Said::Number(number()),
        b'-' => Said::Error(text),
        b'$' | b'*' if number() < 0 => Said::Nothing,
        b'$' => {
            let until = after + number() as usize;
            // With the line's end after it.
            bytes.get(..until + 2)?;
            let text = String::from_utf8_lossy(&bytes[after..until]).into_owned();
            return Some((Said::Text(text), until + 2));
        }
        b'*' => {
            let (mut values, mut at) = (Vec::new(), after);
            for _ in 0..number() {
                let (value, length) = parse(&bytes[at..])?;
                values.push(value);
                at += length;
            }
            return Some((Said::Many(values), at));
        }
        _ => Said::Text(text),
    };
    Some((said, after))
}
