//! The rules by which a server refuses writes that no client sends, where it has to be asked for
//! each of them: Redis 6.2 checks them for a client's command and in scripts only.

/// Whether a master takes writes now.
///
/// `info` reads a field of a section of `INFO`, `config` a setting. A setting that is hidden, for
/// `CONFIG` may have another name, is taken for the one that most servers have: refusing for ever
/// would be worse.
pub fn takes_writes(
    info: impl Fn(&str, &str) -> Option<String>,
    config: impl Fn(&str) -> Option<String>,
) -> bool {
    let enough_replicas = || {
        // Only shown where replicas are asked for.
        let good = info("replication", "min_slaves_good_slaves").and_then(number);
        good.is_none_or(|good| {
            let wanted = config("min-replicas-to-write").and_then(number);
            good >= wanted.unwrap_or(1)
        })
    };
    let failed = |field| info("persistence", field).is_some_and(|status| status != "ok");
    let snapshots_fail = || {
        failed("rdb_last_bgsave_status")
            && config("stop-writes-on-bgsave-error").is_none_or(|stop| stop == "yes")
            && config("save").is_none_or(|points| !points.is_empty())
    };
    let log_fails = || {
        failed("aof_last_write_status")
            && info("persistence", "aof_enabled").is_none_or(|on| on == "1")
    };
    enough_replicas() && !snapshots_fail() && !log_fails()
}

fn number(text: String) -> Option<i64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: [(&str, &str); 3] = [
        ("rdb_last_bgsave_status", "ok"),
        ("aof_last_write_status", "ok"),
        ("aof_enabled", "1"),
    ];

    /// What holds with these fields of INFO changed, and these settings.
    fn taken(info: &[(&str, &str)], config: &[(&str, &str)]) -> bool {
        let find = |pairs: &[(&str, &str)], name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        takes_writes(
            |_, field| find(info, field).or_else(|| find(&FINE, field)),
            |name| find(config, name),
        )
    }

    #[test]
    fn a_server_without_trouble_takes_writes() {
        assert!(taken(&[], &[]));
    }

    #[test]
    fn too_few_replicas_refuse() {
        let wanted = [("min-replicas-to-write", "2")];
        for (good, enough) in [("0", false), ("1", false), ("2", true), ("3", true)] {
            let good = [("min_slaves_good_slaves", good)];
            assert_eq!(taken(&good, &wanted), enough, "{good:?}");
        }
        // Without a max-lag none are asked for, and INFO counts none.
        assert!(taken(&[], &wanted));
    }

    #[test]
    fn where_the_settings_are_hidden_one_replica_is_enough() {
        assert!(!taken(&[("min_slaves_good_slaves", "0")], &[]));
        assert!(taken(&[("min_slaves_good_slaves", "1")], &[]));
    }

    #[test]
    fn a_failed_snapshot_refuses_where_snapshots_are_asked_for_and_matter() {
        let failed = [("rdb_last_bgsave_status", "err")];
        for (stop, points, refused) in [
            ("yes", "3600 1", true),
            ("no", "3600 1", false),
            ("yes", "", false),
        ] {
            let config = [("stop-writes-on-bgsave-error", stop), ("save", points)];
            assert_eq!(taken(&failed, &config), !refused, "{config:?}");
        }
        assert!(!taken(&failed, &[]));
    }

    #[test]
    fn a_log_that_cannot_be_written_refuses_where_there_is_one() {
        let failed = ("aof_last_write_status", "err");
        assert!(!taken(&[failed], &[]));
        assert!(taken(&[failed, ("aof_enabled", "0")], &[]));
    }
}
