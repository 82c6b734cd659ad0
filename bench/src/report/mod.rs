//! The report: Markdown, JSON, plots.

mod markdown;
mod plots;
mod table;

use crate::figures::Report;
use std::path::Path;
pub use table::{gaps, text};

/// Writes everything into a folder.
///
/// # Errors
/// It cannot be written.
pub fn write(report: &Report, folder: &Path) -> Result<(), String> {
    let json = serde_json::to_string_pretty(report).map_err(|error| error.to_string())?;
    put(folder, "report.json", &json)?;
    let mut shown = Vec::new();
    for plot in plots::all(report) {
        let svg = plot.svg?;
        put(folder, &format!("{}.svg", plot.name), &svg)?;
        put(folder, &format!("{}.png", plot.name), plots::png(&svg)?)?;
        shown.push((format!("{}.svg", plot.name), plot.title));
    }
    put(folder, "report.md", markdown::markdown(report, &shown))
}

fn put(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> Result<(), String> {
    let path = folder.join(name);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
