//! The channel on which unlock messages are published.

/// The bytes of a channel name, on the stack where they fit.
pub struct Channel {
    short: [u8; Channel::SHORT],
    long: Vec<u8>,
    len: usize,
}

impl Channel {
    const SHORT: usize = 256;

    /// The channel of the lock `name`: `prefix:{name}`, or `prefix:name` if the name contains a `{`,
    /// so that its hash tag stays. Redisson subscribes to the same name.
    pub fn of(prefix: &[u8], name: &[u8]) -> Channel {
        let parts: [&[u8]; 4] = if name.contains(&b'{') {
            [prefix, b":", name, b""]
        } else {
            [prefix, b":{", name, b"}"]
        };
        let len = parts.iter().map(|part| part.len()).sum();
        let mut channel = Channel {
            short: [0; Channel::SHORT],
            long: Vec::new(),
            len,
        };
        if len > Channel::SHORT {
            channel.long = parts.concat();
        } else {
            let mut rest = channel.short.as_mut_slice();
            for part in parts {
                let (to, after) = rest.split_at_mut(part.len());
                to.copy_from_slice(part);
                rest = after;
            }
        }
        channel
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        if self.long.is_empty() {
            &self.short[..self.len]
        } else {
            &self.long
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_wrapped_in_braces_unless_it_has_one() {
        let of = |name: &[u8]| Channel::of(b"p", name).as_bytes().to_vec();
        assert_eq!(of(b"orders"), b"p:{orders}");
        assert_eq!(of(b"{shop}:orders"), b"p:{shop}:orders");
        assert_eq!(of(b"odd{"), b"p:odd{");
        assert_eq!(of(b"}"), b"p:{}}");
        assert_eq!(of(b""), b"p:{}");
    }

    #[test]
    fn long_names_are_told_whole() {
        for len in [250, 252, 253, 254, 300, 5000] {
            let name = vec![b'x'; len];
            let expected = [b"p:{".as_slice(), &name, b"}"].concat();
            assert_eq!(Channel::of(b"p", &name).as_bytes(), expected);
        }
    }
}
