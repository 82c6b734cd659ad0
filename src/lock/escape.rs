//! Bytes that a client sent, escaped for a log line or an error reply.

use std::fmt;

/// Displays bytes in quotes, escaped as redis-cli does, so that no NUL, newline or invalid UTF-8
/// reaches a reply or a log. After [`Escaped::SHOWN`] bytes the rest is replaced by dots.
pub struct Escaped<'a>(pub &'a [u8]);

impl Escaped<'_> {
    /// How many bytes are shown.
    pub const SHOWN: usize = 64;
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for &byte in self.0.iter().take(Escaped::SHOWN) {
            match byte {
                b'\\' | b'"' => write!(f, "\\{}", byte as char),
                b'\n' => f.write_str("\\n"),
                b'\r' => f.write_str("\\r"),
                b'\t' => f.write_str("\\t"),
                0x07 => f.write_str("\\a"),
                0x08 => f.write_str("\\b"),
                b' '..=b'~' => write!(f, "{}", byte as char),
                _ => write!(f, "\\x{byte:02x}"),
            }?;
        }
        if self.0.len() > Escaped::SHOWN {
            f.write_str("...")?;
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_escaped_as_redis_cli_does() {
        let text = Escaped(b"a\0\n\r\t\x07\x08\"\\%s\xff~").to_string();
        assert_eq!(text, r#""a\x00\n\r\t\a\b\"\\%s\xff~""#);
    }

    #[test]
    fn long_bytes_are_cut() {
        let text = Escaped(&[b'x'; 65]).to_string();
        assert_eq!(text, format!("\"{}...\"", "x".repeat(64)));
    }
}
