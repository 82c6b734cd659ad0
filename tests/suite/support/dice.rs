//! Random choices that are the same each time.

/// A stream of numbers, which its seed decides.
pub struct Dice(u64);

impl Dice {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Dice {
        Dice::nth(seed, 0)
    }

    /// One of many streams of a seed.
    pub fn nth(seed: u64, number: u64) -> Dice {
        let mixed = (seed.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number + 1) << 20;
        let mut dice = Dice(mixed | 1);
        // Close seeds give close numbers at first.
        (0..8).for_each(|_| {
            dice.roll(2);
        });
        dice
    }

    /// Another stream.
    pub fn other(&self) -> Dice {
        Dice(self.0.rotate_left(32) | 1)
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % sides as u64) as usize
    }
}
