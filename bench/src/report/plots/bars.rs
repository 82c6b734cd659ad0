//! Horizontal bars, the best first, each with its name and number.

use super::style::{FAINT, FONT, GRID, INK, colour, is_ours, short};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// One bar.
pub struct Bar {
    /// The system.
    pub system: String,
    /// Its name for a reader.
    pub label: String,
    /// How long the bar is.
    pub value: f64,
    /// How far a thin line goes on.
    pub to: Option<f64>,
}

const WIDTH: i32 = 860;
const LEFT: i32 = 270;
const RIGHT: i32 = 110;
const TOP: i32 = 76;
const STEP: i32 = 26;

/// Draws them in the order of their values; where these are far apart, on a logarithmic scale.
///
/// # Errors
/// It cannot be drawn.
pub fn bars(title: &str, note: &str, mut bars: Vec<Bar>) -> Result<String, String> {
    bars.sort_by(|a, b| a.value.total_cmp(&b.value));
    let height = TOP + STEP * bars.len() as i32 + 20;
    let mut svg = String::new();
    {
        let area =
            SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        draw(&area, title, note, &bars, height).map_err(|error| error.to_string())?;
        area.present().map_err(|error| error.to_string())?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(area: &Area, title: &str, note: &str, bars: &[Bar], height: i32) -> Drawn {
    area.fill(&WHITE)?;
    let text = |size: i32, colour: &RGBColor, h, v| {
        (FONT, size).into_font().color(colour).pos(Pos::new(h, v))
    };
    let (left, right, middle) = (HPos::Left, HPos::Right, VPos::Center);
    area.draw(&Text::new(
        title.to_owned(),
        (16, 24),
        text(16, &INK, left, middle),
    ))?;
    let scale = Scale::of(bars);
    let note = if scale.linear {
        note.to_owned()
    } else {
        format!("{note}; logarithmic")
    };
    area.draw(&Text::new(note, (16, 46), text(12, &FAINT, left, middle)))?;
    for tick in scale.ticks() {
        let x = scale.x(tick);
        area.draw(&PathElement::new(
            vec![(x, TOP - 8), (x, height - 16)],
            GRID,
        ))?;
        let style = text(11, &FAINT, HPos::Center, VPos::Bottom);
        area.draw(&Text::new(short(tick), (x, TOP - 10), style))?;
    }
    for (at, bar) in bars.iter().enumerate() {
        let y = TOP + STEP * at as i32 + STEP / 2;
        let ink = if is_ours(&bar.system) {
            colour(&bar.system)
        } else {
            INK
        };
        let style = text(13, &ink, right, middle);
        area.draw(&Text::new(bar.label.clone(), (LEFT - 10, y), style))?;
        let (end, fill) = (scale.x(bar.value), colour(&bar.system));
        area.draw(&Rectangle::new(
            [(LEFT, y - 8), (end, y + 8)],
            fill.filled(),
        ))?;
        let mut number = short(bar.value);
        let mut after = end;
        if let Some(to) = bar.to {
            after = scale.x(to).max(end);
            area.draw(&PathElement::new(
                vec![(end, y), (after, y)],
                fill.stroke_width(2),
            ))?;
            area.draw(&PathElement::new(
                vec![(after, y - 5), (after, y + 5)],
                fill.stroke_width(2),
            ))?;
            number = format!("{number} | {}", short(to));
        }
        area.draw(&Text::new(
            number,
            (after + 6, y),
            text(12, &ink, left, middle),
        ))?;
    }
    Ok(())
}

/// Where a value is.
struct Scale {
    linear: bool,
    low: f64,
    high: f64,
}

impl Scale {
    /// From zero; or, where the values are far apart, from the power of ten below half of the least, so that the shortest
    /// bar can be seen.
    fn of(bars: &[Bar]) -> Scale {
        let values = || bars.iter().map(|bar| bar.value.max(MIN));
        let ends = bars
            .iter()
            .map(|bar| bar.to.unwrap_or(bar.value).max(bar.value).max(MIN));
        let least = values().fold(f64::INFINITY, f64::min);
        let most = ends.fold(MIN, f64::max);
        if most < least * NEAR {
            return Scale {
                linear: true,
                low: 0.0,
                high: most,
            };
        }
        let low = 10f64.powf((least / 2.0).log10().floor());
        Scale {
            linear: false,
            low,
            high: most.max(low * 10.0),
        }
    }

    fn x(&self, value: f64) -> i32 {
        let room = f64::from(WIDTH - LEFT - RIGHT);
        let part = match self.linear {
            true => value / self.high,
            false => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        LEFT + (part * room) as i32
    }

    fn ticks(&self) -> Vec<f64> {
        if self.linear {
            // One, two or five times a power of ten, so that there are two to five.
            let power = 10f64.powf((self.high / 2.0).log10().floor());
            let step = [5.0, 2.0, 1.0].map(|factor| factor * power);
            let step = step
                .into_iter()
                .find(|step| self.high / step >= 2.0)
                .unwrap_or(power);
            return (0..=(self.high / step) as u32)
                .map(|at| f64::from(at) * step)
                .collect();
        }
        let first = self.low.log10().round() as i32;
        let powers = (first..first + 12).map(|power| 10f64.powi(power));
        powers
            .take_while(|tick| *tick <= self.high * 1.001)
            .collect()
    }
}

/// Values that are nearer than so many times are drawn on a linear scale.
const NEAR: f64 = 25.0;

/// Less is drawn as this.
const MIN: f64 = 1e-3;
