//! The slot of a key, one of a cluster's 16,384, as in the cluster specification.

/// CRC-16/XMODEM of each byte, its polynomial x^16 + x^12 + x^5 + 1.
const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc << 1) ^ if crc & 0x8000 != 0 { 0x1021 } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The slot of a key: that of its hash tag, if it has one.
pub fn slot_of(key: &[u8]) -> u16 {
    let crc = hashed(key).iter().fold(0, |crc: u16, byte| {
        (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)]
    });
    crc % 16_384
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
        // The check value of CRC-16/XMODEM is 0x31C3.
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
            let wanted = match counts == key {
                true => slot_of_whole(key),
                false => slot_of(counts.as_bytes()),
            };
            assert_eq!(slot_of(key.as_bytes()), wanted, "{key}");
        }
    }

    fn slot_of_whole(key: &str) -> u16 {
        let bits = key.bytes().fold(0u32, |crc, byte| {
            (0..8).fold(crc ^ (u32::from(byte) << 8), |crc, _| {
                let shifted = crc << 1;
                (if crc & 0x8000 != 0 {
                    shifted ^ 0x1021
                } else {
                    shifted
                }) & 0xffff
            })
        });
        (bits % 16_384) as u16
    }
}
