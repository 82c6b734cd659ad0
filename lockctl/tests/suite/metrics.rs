//! `lockctl metrics`.

use crate::{Running, lockctl, outcome, until_waiting};
use lock_test_support::Server;
use lock_test_support::toolchain::{Missing, need};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn every_field_of_info_is_a_metric_with_its_value() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE a me 600000");
    client.run("LOCK.ACQUIRE b me 600000 SESSION");
    let mut waiting = server.client();
    waiting.forget("LOCK.ACQUIRE a next WAIT 0");
    until_waiting(&mut client, 1);
    let fields = client.run("INFO lock");
    let fields = fields
        .lines()
        .filter(|line| line.starts_with("lock_"))
        .count();
    let (printed, text, status) = outcome(&mut lockctl(&server.url(), "metrics"));
    assert_eq!((text.as_str(), status), ("", 0));
    let samples: Vec<&str> = printed
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    // And whether the server is up.
    assert_eq!(samples.len(), fields + 1, "{printed}");
    let label = format!("{{server=\"127.0.0.1:{}\"}}", server.port());
    for (metric, value) in [
        ("up", 1),
        ("acquired_total", 2),
        ("waits_started_total", 1),
        ("sessions", 1),
        ("waiters", 1),
        ("wait_queues", 1),
    ] {
        let sample = format!("redis_lock_{metric}{label} {value}");
        assert!(
            samples.contains(&sample.as_str()),
            "{sample} is not in {printed}"
        );
    }
}

#[test]
fn spans_of_time_are_in_seconds() {
    let server = Server::start();
    let mut client = server.client();
    client.run("LOCK.ACQUIRE a me 300");
    client.run("LOCK.ACQUIRE a next 600000 WAIT 0");
    let longest = client.counter("wait_ms_max");
    let (printed, _, _) = outcome(&mut lockctl(&server.url(), "metrics"));
    let sample = printed
        .lines()
        .find(|line| line.starts_with("redis_lock_wait_longest_seconds{"));
    let value: f64 = sample.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(
        (value - longest as f64 / 1000.0).abs() < 1e-9,
        "{value} for {longest} ms"
    );
    assert!((0.1..60.0).contains(&value), "{value}");
}

#[test]
fn promtool_finds_nothing_wrong() {
    let here = Path::new(".");
    if let Err(missing) = need(here, "promtool --version") {
        let Missing(what) = &missing;
        let what = Missing(format!("{what}; it is in Debian's package prometheus"));
        return what.skip("promtool");
    }
    let server = Server::start();
    let (printed, _, _) = outcome(&mut lockctl(&server.url(), "metrics"));
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut promtool = promtool
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(printed.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "");
    assert!(output.status.success());
}

#[test]
fn metrics_are_served_by_http_and_fresh_each_time() {
    let mut server = Server::start();
    let command = lockctl(&server.url(), "metrics --listen 127.0.0.1:0");
    let mut running = Running::start(&command);
    let mut line = String::new();
    let mut stderr = BufReader::new(running.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    running.stderr = Some(stderr.into_inner());
    let address = line
        .trim_end()
        .strip_prefix("lockctl: serving http://")
        .unwrap();
    let (address, path) = address.split_once('/').unwrap();
    assert_eq!(path, "metrics");
    for expected in [0, 1] {
        let (status, page) = get(address, "/metrics");
        assert_eq!(status, 200);
        assert!(
            page.contains("content-type: text/plain; version=0.0.4"),
            "{page}"
        );
        let sample = format!(
            "redis_lock_acquired_total{{server=\"127.0.0.1:{}\"}} {expected}",
            server.port()
        );
        assert!(page.contains(&sample), "{page}");
        server.client().run("LOCK.ACQUIRE a me 600000");
    }
    assert_eq!(get(address, "/").0, 404);
    server.kill();
    let (status, page) = get(address, "/metrics");
    assert_eq!(status, 503);
    assert!(page.contains("cannot connect"), "{page}");
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0, 0);
}

fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let status = page.split(' ').nth(1).unwrap().parse().unwrap();
    (status, page)
}
