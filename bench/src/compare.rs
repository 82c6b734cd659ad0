//! The comparison from the command line to the report.

use crate::catalogue::BASE;
use crate::cli::Options;
use crate::core::Core;
use crate::figures::Report;
use crate::languages::Languages;
use crate::machine;
use crate::report;
use crate::repository::root;
use crate::run::{Bench, progress_bar};
use std::path::{Path, PathBuf};

/// Measures what the options say, and writes the report.
///
/// # Errors
/// A wrong option, a folder that cannot be written, or a system that did something wrong.
pub fn compare(options: &Options) -> Result<(), String> {
    let (systems, topics, extent) = (options.systems()?, options.topics()?, options.extent()?);
    let logs = options.out.join("logs");
    std::fs::create_dir_all(&logs).map_err(|error| format!("{}: {error}", logs.display()))?;
    let mut languages = Languages::new(&root(), &absolute(&options.out)?);
    // While all cores are this program's; why one cannot be had is told where it is needed.
    for system in &systems {
        let _ = languages.worker(system.language);
    }
    lock_test_support::allow_many_files();
    let mut bench = Bench {
        core: Core::reserve(),
        languages,
        extent,
        only: options.cells.clone(),
        logs,
        bar: progress_bar(),
        gaps: Vec::new(),
    };
    let date = machine::now();
    let mut cells: Vec<_> = topics
        .iter()
        .flat_map(|&topic| bench.measure(topic, &systems))
        .collect();
    bench.bar.finish_and_clear();
    cells.iter_mut().for_each(|cell| cell.summarize(BASE));
    let report = Report {
        date,
        commit: machine::commit(&root()),
        machine: machine::describe(),
        extent,
        base: BASE.to_owned(),
        cells,
        missing: bench.gaps,
    };
    report::write(&report, &options.out)?;
    if options.keep {
        let name = options.dated(&report.date[..10]);
        let dated = root().join("docs/benchmarks").join(name);
        report::write(&report, &dated)?;
    }
    println!("{}{}", report::text(&report), report::gaps(&report.missing));
    println!("written to {}", options.out.join("report.md").display());
    let failed = report.missing.iter().filter(|gap| gap.failed).count();
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} measurements failed: see the report")),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}
