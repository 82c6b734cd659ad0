//! Text for people: what clients have sent, spans of time, tables.

use std::time::Duration;
use unicode_width::UnicodeWidthStr;

/// Bytes of a client as a line of text: control characters, which could steer a terminal, and bytes that are no UTF-8
/// are escaped.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char.is_control() || is_bidi(char) {
                true => text.extend(char.escape_default()),
                false => text.push(char),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Characters that change the direction of what follows, or have no width.
fn is_bidi(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A span of time in at most seven characters: `12 ms`, `3.2 s`, `5m 07s`, `2h 05m`, `3d 04h`.
pub fn span(span: Duration) -> String {
    let (ms, s) = (span.as_millis(), span.as_secs());
    match s {
        _ if ms < 1000 => format!("{ms} ms"),
        0..60 => format!("{}.{} s", s, span.subsec_millis() / 100),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        3600..86400 => format!("{}h {:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d {:02}h", s / 86400, s / 3600 % 24),
    }
}

/// Rows in columns that align, two spaces apart. Those named in `right` are aligned to the right.
pub fn table(head: &[&str], right: &[usize], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.width()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (n, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.width());
            match right.contains(&n) {
                true => line.extend([&gap, cell.as_str(), "  "]),
                false => line.extend([cell.as_str(), &gap, "  "]),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_cannot_steer_a_terminal() {
        assert_eq!(shown(b"a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(shown(b"\xff ok"), "\\xff ok");
        assert_eq!(shown("schlüssel\u{202e}".as_bytes()), "schlüssel\\u{202e}");
    }

    #[test]
    fn spans_are_short() {
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (61_000, "1m 01s"),
            (7_500_000, "2h 05m"),
            (100 * 3_600_000, "4d 04h"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn columns_align_whatever_the_width_of_their_characters() {
        let rows = [
            vec!["鎖".to_owned(), "1".to_owned()],
            vec!["orders".to_owned(), "22".to_owned()],
        ];
        let expected = "LOCK     N\n鎖       1\norders  22\n";
        assert_eq!(table(&["LOCK", "N"], &[1], &rows), expected);
    }
}
