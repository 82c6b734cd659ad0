//! The slot of a key, one of a cluster's 16,384, as in the cluster specification.

use crc::{Crc, Table, CRC_16_XMODEM};

const CRC: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&CRC_16_XMODEM);

/// The slot of a key: that of its hash tag, if it has one.
pub fn slot_of(key: &[u8]) -> u16 {
    CRC.checksum(hashed(key)) % 16_384
}

fn hashed(key: &[u8]) -> &[u8] {
    let tag = || {
        let open = key.iter().position(|byte| *byte == b'{')?;
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then_some(&rest[..close])
    };
    tag().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_is_the_crc_of_the_key() {
        // The example of the cluster specification.
        assert_eq!(slot_of(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b""), 0);
    }

    #[test]
    fn of_a_key_with_braces_only_what_they_enclose_first_counts() {
        for (key, counts) in [
            ("{a}b", "a"),
            ("b{a}c{d}", "a"),
            ("b{{a}}c", "{a"),
            ("{}a", "{}a"),
            ("a{", "a{"),
            ("a}{b", "a}{b"),
        ] {
            let whole = CRC.checksum(counts.as_bytes()) % 16_384;
            assert_eq!(slot_of(key.as_bytes()), whole, "{key}");
        }
    }
}
