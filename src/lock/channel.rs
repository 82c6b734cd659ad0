//! The channel on which unlock messages are published.

/// Appends the channel of the lock `name`: `prefix:{name}`, or `prefix:name` if the name contains a `{`, so that its
/// hash tag stays. Redisson subscribes to the same name.
pub fn push_channel(to: &mut Vec<u8>, prefix: &[u8], name: &[u8]) {
    let (open, close): (&[u8], &[u8]) = match name.contains(&b'{') {
        true => (b":", b""),
        false => (b":{", b"}"),
    };
    to.reserve(prefix.len() + open.len() + name.len() + close.len());
    for part in [prefix, open, name, close] {
        to.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(prefix: &[u8], name: &[u8]) -> Vec<u8> {
        let mut channel = b"before".to_vec();
        push_channel(&mut channel, prefix, name);
        channel.split_off(b"before".len())
    }

    #[test]
    fn a_name_is_wrapped_in_braces_unless_it_has_one() {
        let of = |name: &[u8]| channel(b"p", name);
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
            assert_eq!(channel(b"p", &name), expected);
        }
    }
}
