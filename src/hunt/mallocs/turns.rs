//! Which functions have the breakpoint that is left over: one after the other, until it shows which of them are called
//! at all.

use super::blocks::Function;

/// After so many turns a function that was not called is left out, if another was.
const TRIALS: usize = 3;

/// The turns that functions have had.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    functions: Vec<Function>,
    called: Vec<bool>,
    /// The number of turns so far.
    taken: usize,
}

impl Turns {
    /// The function that is next, of these.
    pub fn next(&mut self, functions: &[Function]) -> Option<Function> {
        if self.taken == 0 {
            self.functions = functions.to_vec();
            self.called = vec![false; functions.len()];
        }
        if self.taken == TRIALS * functions.len() && self.called.contains(&true) {
            let mut called = self.called.iter();
            self.functions.retain(|_| called.next() == Some(&true));
        }
        self.taken += 1;
        self.functions.get(self.present()?).copied()
    }

    /// How many take turns.
    pub fn number(&self) -> usize {
        self.functions.len()
    }

    /// The present one was called.
    pub fn was_called(&mut self) {
        if self.taken <= TRIALS * self.called.len()
            && let Some(place) = self.present()
            && let Some(called) = self.called.get_mut(place)
        {
            *called = true;
        }
    }

    fn present(&self) -> Option<usize> {
        self.taken.checked_sub(1)?.checked_rem(self.functions.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::mallocs::blocks::Call;

    #[test]
    fn whatever_is_never_called_has_no_more_turns() {
        let functions = [10, 20, 30].map(|address| Function { address, call: Call::Aligned });
        let mut turns = Turns::default();
        let mut seen = Vec::new();
        for _ in 0..12 {
            let address = turns.next(&functions).map(|it| it.address);
            if address == Some(20) {
                turns.was_called();
            }
            seen.extend(address);
        }
        assert_eq!(seen, [10, 20, 30, 10, 20, 30, 10, 20, 30, 20, 20, 20]);
        assert_eq!(turns.number(), 1);
        assert_eq!(Turns::default().next(&[]), None);
    }
}
