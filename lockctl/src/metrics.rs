//! `lockctl metrics`: what INFO lock tells, in the text format of Prometheus.

mod fields;
mod http;

use crate::args::Metrics;
use crate::print;
use crate::servers::{Each, Server, Target};
use crate::status::{FAILED, Failure};
use fields::{FIELDS, Kind};
use prometheus::core::Collector;
use prometheus::{Encoder, Gauge, GaugeVec, IntCounterVec, Opts, Registry, TextEncoder};
use std::collections::HashMap;

/// What every name begins with.
const PREFIX: &str = "redis_lock";

/// Prints them once, or serves them until it is ended.
pub async fn metrics(target: Target, args: Metrics) -> Result<u8, Failure> {
    if let Some(address) = args.listen {
        return http::serve(target, address).await;
    }
    let found = Found::of(&target).await?;
    print(&found.text()?)?;
    for failure in found.failures() {
        say!("{failure}");
    }
    let is_whole = found.failures().next().is_none();
    Ok(if is_whole { 0 } else { FAILED })
}

/// What the servers told: each by its address.
pub struct Found(Each<Fields>);

/// The fields of a section of INFO.
type Fields = HashMap<String, u64>;

impl Found {
    /// Asks all primaries.
    pub async fn of(target: &Target) -> Result<Found, Failure> {
        let mut found = Vec::new();
        for (address, server) in target.primaries().await? {
            let fields = match server {
                Ok(mut server) => read(&mut server).await,
                Err(failure) => Err(failure),
            };
            found.push((address, fields));
        }
        Ok(Found(found))
    }

    /// Of the servers that told nothing.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        let failures = self
            .0
            .iter()
            .filter_map(|(address, fields)| Some((address, fields.as_ref().err()?)));
        failures.map(|(address, failure)| format!("nothing was read from {address}: {failure}"))
    }

    /// In the text format.
    pub fn text(&self) -> Result<String, Failure> {
        self.written()
            .map_err(|error| Failure(format!("cannot write the metrics: {error}")))
    }

    fn written(&self) -> Result<String, prometheus::Error> {
        let registry = Registry::new();
        let up = "Whether the server could be asked: 1 if so, else 0";
        let up = gauge(&registry, "up", up)?;
        for (address, fields) in &self.0 {
            up.with_label_values(&[address])
                .set(f64::from(u8::from(fields.is_ok())));
        }
        for field in FIELDS {
            let known = self.0.iter().filter_map(|(address, fields)| {
                let value = *fields.as_ref().ok()?.get(field.name)?;
                Some((address, value))
            });
            match field.kind {
                Kind::Counter => {
                    let options = Opts::new(format!("{PREFIX}_{}", field.metric), field.help);
                    let counter = added(&registry, IntCounterVec::new(options, &["server"])?)?;
                    known.for_each(|(address, value)| {
                        counter.with_label_values(&[address]).inc_by(value)
                    });
                }
                Kind::Gauge | Kind::Millis => {
                    let gauge = gauge(&registry, field.metric, field.help)?;
                    let unit = if matches!(field.kind, Kind::Millis) {
                        1000.0
                    } else {
                        1.0
                    };
                    known.for_each(|(address, value)| {
                        let gauge: Gauge = gauge.with_label_values(&[address]);
                        // Exact below 2^53.
                        #[allow(clippy::cast_precision_loss)]
                        gauge.set(value as f64 / unit);
                    });
                }
            }
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<GaugeVec, prometheus::Error> {
    let options = Opts::new(format!("{PREFIX}_{name}"), help);
    added(registry, GaugeVec::new(options, &["server"])?)
}

fn added<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// The section `lock` of INFO.
pub async fn read(server: &mut Server) -> Result<Fields, Failure> {
    let mut cmd = redis::cmd("INFO");
    let reply = server.call(cmd.arg("lock")).await?;
    let text: String =
        redis::from_redis_value(reply).map_err(|_| crate::servers::unexpected("INFO"))?;
    let fields = parse(&text);
    if fields.is_empty() {
        // The server has no such section.
        return Err(redis_reentrant_lock_client::Error::NoModule.into());
    }
    Ok(fields)
}

/// The numbers of that section.
pub fn parse(text: &str) -> Fields {
    let fields = text.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("lock_")?.trim().split_once(':')?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    fields.collect()
}
