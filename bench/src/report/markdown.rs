//! report.md.

use super::table::{gaps, text, title};
use crate::figures::Report;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The whole report; the plots lie beside it.
pub fn markdown(report: &Report, plots: &[(String, String)]) -> String {
    let mut out = String::from("# Benchmark\n\n");
    let machine = &report.machine;
    let _ = writeln!(
        out,
        "{}, commit {}. {}, {} cores, {} GiB, {}. Servers had one core, clients the others.\n",
        report.date, report.commit, machine.cpu, machine.cores, machine.memory_gib, machine.kernel
    );
    let _ = writeln!(
        out,
        "Medians of {} rounds of {} s (longer where a queue of 1,000 has to come round). In brackets, where the systems took \
         turns: the median of the ratios to `{}` in the same round. In the other works one system came after the other. \
         Server and client CPU, commands and bytes are by operation: a pair, a renewal, a grant.",
        report.extent.rounds, report.extent.seconds, report.base
    );
    for (file, title) in plots {
        let _ = writeln!(out, "\n![{title}]({file})");
    }
    out += &text(report);
    out += &versions(report);
    out += &gaps(&report.missing);
    out
}

fn versions(report: &Report) -> String {
    let mut known = BTreeMap::new();
    for row in report.cells.iter().flat_map(|table| &table.rows) {
        let entry: &mut (String, String) = known.entry(&row.system).or_default();
        for (have, new) in [(&mut entry.0, &row.server), (&mut entry.1, &row.client)] {
            if !new.is_empty() {
                have.clone_from(new);
            }
        }
    }
    let mut out =
        String::from("\n## Versions\n\n| system | server | client |\n| --- | --- | --- |\n");
    for (system, (server, client)) in known {
        let _ = writeln!(
            out,
            "| {} (`{system}`) | {server} | {client} |",
            title(system)
        );
    }
    out
}
