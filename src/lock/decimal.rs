//! Whole numbers as the server stores them.

/// A whole number above 0 in the one form that the server writes: no sign, no leading zero.
pub fn decimal(text: &[u8]) -> Option<i64> {
    match leading_decimal(text)? {
        (number, []) => Some(number),
        _ => None,
    }
}

/// Such a number at the beginning of a text, and what follows it.
pub fn leading_decimal(text: &[u8]) -> Option<(i64, &[u8])> {
    const LONGEST: usize = 18; // 18 digits always fit
    let mut number = 0;
    let mut len = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if len == LONGEST {
            return None;
        }
        number = number * 10 + i64::from(digit);
        len += 1;
    }
    let is_plain = text.first().is_some_and(|first| *first != b'0') && len > 0;
    is_plain.then(|| (number, &text[len..]))
}
