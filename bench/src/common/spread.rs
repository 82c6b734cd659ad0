//! The middle of some numbers, and how far they lie apart.

/// The middle of some numbers, and the ends.
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    /// Of these; there must be some.
    pub fn of(mut numbers: Vec<f64>) -> Spread {
        numbers.sort_by(f64::total_cmp);
        let (low, high) = ((numbers.len() - 1) / 2, numbers.len() / 2);
        Spread {
            least: numbers[0],
            median: (numbers[low] + numbers[high]) / 2.0,
            most: numbers[numbers.len() - 1],
        }
    }

    /// Of the ratios of one to the other, round by round: what slows the machine for a while slows
    /// both.
    pub fn of_ratios(ours: &[f64], other: &[f64]) -> Spread {
        let ratios = ours.iter().zip(other).map(|(ours, other)| ours / other);
        Spread::of(ratios.collect())
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let [least, median, most] =
            [self.least, self.median, self.most].map(|number| format!("{number:.digits$}"));
        let text = format!("{median} ({least} to {most})");
        write!(f, "{text:>width$}", width = f.width().unwrap_or(0))
    }
}
