//! A system at work: its servers, its worker, and what they take.

use super::{Bench, Problem};
use crate::catalogue::{Language, System};
use crate::figures::{Round, Row};
use crate::meter::{Meter, on_cpu_in_all};
use crate::metrics::{PERCENTS, of_round};
use crate::protocol::{Job, Outcome, Work};
use crate::service::{Missing, Service, Setting};
use crate::stats::{Times, jain};
use crate::worker_process::{Refusal, WorkerProcess};
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

/// A system's servers.
pub struct Servers {
    /// Dropped last: the worker and the meter are connected to them.
    service: Box<dyn Service>,
    /// What they take.
    pub meter: Meter,
}

impl Servers {
    /// Starts them.
    pub fn start(bench: &Bench, system: &System, setting: Setting) -> Result<Servers, Problem> {
        let service = system.service.start(&bench.core, setting);
        let service = service.map_err(|Missing(reason)| Problem::lacks(reason))?;
        Ok(Servers {
            meter: Meter::new(service.as_ref()),
            service,
        })
    }

    /// All clients have connected: from now on what serves them is read too.
    pub fn serve_all(&mut self) {
        self.meter.watch(self.service.pids());
    }

    /// Where they are.
    pub fn urls(&self) -> Vec<String> {
        self.service.urls()
    }

    /// Their name and version.
    pub fn version(&self) -> String {
        self.service.version()
    }
}

/// Starts a worker with this job, but for the system and its servers; also its client's name and version.
pub fn start_worker(
    bench: &mut Bench,
    system: &System,
    urls: Vec<String>,
    job: &Job,
) -> Result<(WorkerProcess, String), Problem> {
    let command = bench.languages.worker(system.language);
    let mut command = command.map_err(Problem::lacks)?;
    let log = bench.logs.join(format!("{}.log", system.name));
    let mut worker = WorkerProcess::start(&mut command, &log)?;
    let job = Job {
        system: system.name.to_owned(),
        urls,
        ..job.clone()
    };
    let client = worker.job(&job)?;
    Ok((worker, client))
}

/// A system that takes turns with others.
pub struct Side {
    /// Dropped before its servers.
    worker: WorkerProcess,
    servers: Servers,
    contends: bool,
    client: String,
    row: Row,
    times: BTreeMap<&'static str, Times>,
    shares: Vec<u64>,
}

impl Side {
    /// Starts everything.
    pub fn start(
        bench: &mut Bench,
        system: &System,
        setting: Setting,
        job: &Job,
    ) -> Result<Side, Problem> {
        // The other workers play real clients, which do not pipeline.
        if job.pipeline > 1 && system.language != Language::Rust {
            return Err(Problem::lacks("its client sends one command at a time"));
        }
        let mut servers = Servers::start(bench, system, setting)?;
        let (worker, client) = start_worker(bench, system, servers.urls(), job)?;
        servers.serve_all();
        Ok(Side {
            row: Row {
                system: system.name.to_owned(),
                server: servers.version(),
                ..Row::default()
            },
            worker,
            servers,
            contends: job.work == Work::Contend,
            client,
            times: BTreeMap::new(),
            shares: Vec::new(),
        })
    }

    /// Takes a turn; whether it is counted.
    pub fn turn(&mut self, seconds: f64, counted: bool) -> Result<(), Problem> {
        let meter = &mut self.servers.meter;
        let (start, client_start) = (meter.start(), on_cpu_in_all(self.worker.pid()));
        self.worker.begin(seconds)?;
        let finished = match self.contends {
            false => Some(self.worker.finish(seconds)?),
            // What comes after the end is not counted.
            true => {
                sleep(Duration::from_secs_f64(seconds));
                None
            }
        };
        let taken = meter.since(&start);
        let client_cpu = on_cpu_in_all(self.worker.pid()).saturating_sub(client_start);
        let outcome = finished.map_or_else(|| self.worker.finish(seconds), Ok)?;
        if outcome.errors > 0 {
            return Err(self.wrong(&outcome));
        }
        if outcome.operations == 0 {
            return Err(Problem::failed("no operation was done in a round"));
        }
        if !counted {
            return Ok(());
        }
        let mut round = of_round(&outcome, &taken, client_cpu, meter.counts_commands());
        round.insert(
            "server_memory_kb".to_owned(),
            meter.memory() as f64 / 1024.0,
        );
        self.note(&outcome, round);
        Ok(())
    }

    fn wrong(&mut self, outcome: &Outcome) -> Problem {
        let last = self.worker.last_words();
        Problem::failed(format!("{} operations failed: {last}", outcome.errors))
    }

    fn note(&mut self, outcome: &Outcome, round: Round) {
        self.row.rounds.push(round);
        let all = [
            ("latency", &outcome.latency),
            ("waits", &outcome.waits),
            ("handoff", &outcome.handoff),
        ];
        for (name, pairs) in all.into_iter().filter(|(_, pairs)| !pairs.is_empty()) {
            self.times.entry(name).or_default().add(pairs);
        }
        self.shares
            .resize(outcome.per_client.len().max(self.shares.len()), 0);
        for (sum, share) in self.shares.iter_mut().zip(&outcome.per_client) {
            *sum += share;
        }
    }

    /// What all rounds came to.
    pub fn finish(mut self) -> Row {
        self.row.client = self.client;
        for (name, times) in &self.times {
            let percentile = |&percent| Some((percent, times.percentile(percent)?));
            let list = PERCENTS.iter().filter_map(percentile).collect();
            self.row.percentiles.insert((*name).to_owned(), list);
        }
        // Fairness is of all rounds together: one is too short for a thousand clients.
        let fairness = [
            ("jain", jain(&self.shares)),
            (
                "wait_longest_to_median",
                self.times.get("waits").and_then(Times::spread),
            ),
        ];
        for (name, value) in fairness {
            let has = self
                .row
                .rounds
                .iter_mut()
                .filter_map(|round| round.get_mut(name));
            if let Some(value) = value {
                has.for_each(|figure| *figure = value);
            }
        }
        self.row
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        match refusal {
            Refusal::Unsupported(reason) => Problem::lacks(reason),
            Refusal::Failed(reason) => Problem::failed(reason),
        }
    }
}
