//! What all plots look like, and the way from SVG to PNG.

use crate::catalogue::SYSTEMS;
use plotters::style::RGBColor;
use resvg::{tiny_skia, usvg};
use std::sync::Arc;

/// The font: `fonts-dejavu-core` in Debian; where it is missing, a browser takes its own.
pub const FONT: &str = "DejaVu Sans, Verdana, sans-serif";

/// What is written.
pub const INK: RGBColor = RGBColor(40, 44, 52);
/// What is less important.
pub const FAINT: RGBColor = RGBColor(110, 116, 125);
/// Lines of the grid.
pub const GRID: RGBColor = RGBColor(226, 229, 233);
/// This project's systems.
pub const OURS: RGBColor = RGBColor(200, 50, 47);
/// The others.
pub const OTHERS: RGBColor = RGBColor(120, 144, 168);

/// Whether it is this project's.
pub fn is_ours(system: &str) -> bool {
    SYSTEMS
        .iter()
        .any(|known| known.name == system && known.ours)
}

/// The colour of a bar.
pub fn colour(system: &str) -> RGBColor {
    if is_ours(system) { OURS } else { OTHERS }
}

/// A number as short as it can be read.
pub fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.1}M", v / 1e6),
        v if v >= 10_000.0 => format!("{:.0}k", v / 1e3),
        v if v >= 1_000.0 => format!("{:.1}k", v / 1e3),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Twice as large, for screens of today.
const SCALE: f32 = 2.0;

/// Draws an SVG.
///
/// # Errors
/// It cannot be drawn, or there is no font.
pub fn png(svg: &str) -> Result<Vec<u8>, String> {
    let mut options = usvg::Options::default();
    let fonts = Arc::make_mut(&mut options.fontdb);
    fonts.load_system_fonts();
    if fonts.is_empty() {
        return Err("this machine has no font for the plots: install fonts-dejavu-core".to_owned());
    }
    // What a name means that this machine does not have.
    let family =
        |face: &usvg::fontdb::FaceInfo| face.families.first().map(|(name, _)| name.clone());
    let any = fonts.faces().next().and_then(family);
    if let Some(family) = any {
        fonts.set_sans_serif_family(family);
    }
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let size = tree.size();
    let [width, height] = [size.width(), size.height()].map(|side| (side * SCALE) as u32);
    let mut pixels = tiny_skia::Pixmap::new(width, height).ok_or("the plot is empty")?;
    let transform = tiny_skia::Transform::from_scale(SCALE, SCALE);
    resvg::render(&tree, transform, &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| error.to_string())
}
