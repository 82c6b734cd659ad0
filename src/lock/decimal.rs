//! Whole numbers as the server stores them.

/// A whole number above 0 in the one form that the server writes: no sign, no leading zero.
pub fn decimal(text: &[u8]) -> Option<i64> {
    const LONGEST: usize = 18; // 18 digits always fit
    if text.is_empty() || text[0] == b'0' || text.len() > LONGEST {
        return None;
    }
    let mut number = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(number)
}
