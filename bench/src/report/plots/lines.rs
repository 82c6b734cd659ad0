//! Lines over the number of clients, each with its name at its end.

use super::style::{FAINT, FONT, GRID, INK, OURS, is_ours, short};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// One line.
pub struct Line {
    /// The system.
    pub system: String,
    /// Its name for a reader.
    pub label: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: i32 = 960;
const LEFT: i32 = 70;
const RIGHT: i32 = 320;
const TOP: i32 = 76;
const BOTTOM: i32 = 50;
/// Between two names.
const STEP: i32 = 17;

/// Those of other systems, told apart by hue and, where the hues begin again, by their names only.
const HUES: [RGBColor; 10] = [
    RGBColor(31, 119, 180),
    RGBColor(44, 140, 80),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(23, 160, 170),
    RGBColor(110, 116, 125),
    RGBColor(180, 150, 20),
    RGBColor(90, 90, 200),
    RGBColor(60, 120, 60),
    RGBColor(170, 90, 150),
];

/// Draws them; both axes are logarithmic.
///
/// # Errors
/// It cannot be drawn.
pub fn lines(title: &str, note: &str, axis: &str, lines: &[Line]) -> Result<String, String> {
    let height = (TOP + BOTTOM + STEP * lines.len() as i32).max(460);
    let mut svg = String::new();
    {
        let area =
            SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        draw(&area, [title, note, axis], lines, height).map_err(|error| error.to_string())?;
        area.present().map_err(|error| error.to_string())?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(area: &Area, [title, note, axis]: [&str; 3], lines: &[Line], height: i32) -> Drawn {
    area.fill(&WHITE)?;
    let text = |size: i32, colour: &RGBColor, h, v| {
        (FONT, size).into_font().color(colour).pos(Pos::new(h, v))
    };
    let write = |words: &str, at, style| area.draw(&Text::new(words.to_owned(), at, style));
    write(title, (16, 24), text(16, &INK, HPos::Left, VPos::Center))?;
    write(note, (16, 46), text(12, &FAINT, HPos::Left, VPos::Center))?;
    let (right, bottom) = (WIDTH - RIGHT, height - BOTTOM);
    let across = Scale::of(lines, |point| point.0, (LEFT + 10, right));
    let up = Scale::of(lines, |point| point.1, (bottom, TOP));
    for tick in up.powers() {
        let y = up.at(tick);
        area.draw(&PathElement::new(vec![(LEFT, y), (right, y)], GRID))?;
        write(
            &short(tick),
            (LEFT - 8, y),
            text(11, &FAINT, HPos::Right, VPos::Center),
        )?;
    }
    let mut clients: Vec<f64> = lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|p| p.0)
        .collect();
    clients.sort_by(f64::total_cmp);
    clients.dedup();
    for tick in clients {
        let x = across.at(tick);
        area.draw(&PathElement::new(vec![(x, TOP), (x, bottom)], GRID))?;
        let style = text(11, &FAINT, HPos::Center, VPos::Top);
        write(&format!("{tick}"), (x, bottom + 8), style)?;
    }
    let style = text(12, &FAINT, HPos::Center, VPos::Top);
    write(axis, ((LEFT + right) / 2, bottom + 26), style)?;

    let names = names(lines, &up, (TOP, bottom));
    let mut hues = HUES.iter().cycle();
    for (line, name_y) in lines.iter().zip(names) {
        let ours = is_ours(&line.system);
        let colour = if ours {
            OURS
        } else {
            *hues.next().unwrap_or(&FAINT)
        };
        let points: Vec<(i32, i32)> = line
            .points
            .iter()
            .map(|(x, y)| (across.at(*x), up.at(*y)))
            .collect();
        let stroke = colour.stroke_width(if ours { 3 } else { 2 });
        for point in &points {
            area.draw(&Circle::new(*point, 3, colour.filled()))?;
        }
        if let (Some(&end), Some(last)) = (points.last(), line.points.last()) {
            // From the line's end to its name.
            let to = vec![end, (right + 14, name_y)];
            area.draw(&PathElement::new(to, colour.mix(0.35).stroke_width(1)))?;
            let words = format!("{}  {}", short(last.1), line.label);
            write(
                &words,
                (right + 18, name_y),
                text(12, &colour, HPos::Left, VPos::Center),
            )?;
        }
        area.draw(&PathElement::new(points, stroke))?;
    }
    Ok(())
}

/// Where the names stand: as near to the ends of their lines as they can without covering each other.
fn names(lines: &[Line], up: &Scale, (top, bottom): (i32, i32)) -> Vec<i32> {
    let end = |line: &Line| line.points.last().map_or(bottom, |point| up.at(point.1));
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|&at| end(&lines[at]));
    let mut places = vec![0; lines.len()];
    let mut next = top;
    for &at in &order {
        places[at] = end(&lines[at]).max(next);
        next = places[at] + STEP;
    }
    // What was pushed below the end moves up again.
    let mut limit = bottom;
    for &at in order.iter().rev() {
        places[at] = places[at].min(limit);
        limit = places[at] - STEP;
    }
    places
}

/// A logarithmic axis.
struct Scale {
    low: f64,
    high: f64,
    from: i32,
    to: i32,
}

impl Scale {
    fn of(lines: &[Line], value: impl Fn(&(f64, f64)) -> f64, (from, to): (i32, i32)) -> Scale {
        let values = || {
            lines
                .iter()
                .flat_map(|line| &line.points)
                .map(&value)
                .map(|v| v.max(1e-3))
        };
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(low, f64::max);
        Scale {
            low: low * 0.9,
            high: high.max(low * 1.2) * 1.1,
            from,
            to,
        }
    }

    fn at(&self, value: f64) -> i32 {
        let part = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        self.from + (part * f64::from(self.to - self.from)) as i32
    }

    fn powers(&self) -> Vec<f64> {
        let powers = (-3..10).map(|power| 10f64.powi(power));
        powers
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_cover_each_other() {
        let line = |rate| Line {
            system: String::new(),
            label: String::new(),
            points: vec![(1.0, rate)],
        };
        let lines: Vec<Line> = [100.0, 101.0, 102.0, 5.0, 5.0].map(line).into();
        let up = Scale::of(&lines, |point| point.1, (400, 100));
        let mut places = names(&lines, &up, (100, 400));
        places.sort_unstable();
        assert!(
            places.windows(2).all(|two| two[1] - two[0] >= STEP),
            "{places:?}"
        );
        assert!(places[0] >= 100 && places[4] <= 400);
    }
}
