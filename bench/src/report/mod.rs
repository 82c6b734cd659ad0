//! The report: Markdown, JSON, plots.

mod table;

use crate::figures::Report;
use std::path::Path;
pub use table::text;

/// Writes everything into a folder.
///
/// # Errors
/// It cannot be written.
pub fn write(report: &Report, folder: &Path) -> Result<(), String> {
    let json = serde_json::to_string_pretty(report).map_err(|error| error.to_string())?;
    put(folder, "report.json", &json)?;
    put(folder, "report.md", &text(report))
}

fn put(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> Result<(), String> {
    let path = folder.join(name);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}
