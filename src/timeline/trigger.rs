//! When a figure crosses a limit: reported once, and again only after it has been clearly below.

/// How far below its limit a figure has to fall before it can cross it again, as a part of the limit.
const HYSTERESIS: f64 = 0.05;

/// Watches one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trigger {
    limit: f64,
    above: bool,
}

/// What a figure has done since it was last checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// It has risen above its limit.
    Crossed,
    /// It has fallen far enough below its limit that it can cross it again.
    Rearmed,
    /// Neither.
    None,
}

impl Trigger {
    /// Waits for a figure above this limit.
    pub fn new(limit: f64) -> Trigger {
        Trigger { limit, above: false }
    }

    /// Takes the current figure. One that is above the limit from the start has crossed it, too.
    pub fn see(&mut self, figure: f64) -> Edge {
        let before = self.above;
        if figure > self.limit {
            self.above = true;
        } else if figure < self.limit - self.limit.abs() * HYSTERESIS {
            self.above = false;
        }
        match (before, self.above) {
            (false, true) => Edge::Crossed,
            (true, false) => Edge::Rearmed,
            _ => Edge::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_trembles_at_its_limit_crosses_once() {
        let mut trigger = Trigger::new(100.0);
        let edges = [99.0, 100.0, 101.0, 99.0, 102.0, 96.0, 200.0, 94.0, 99.0, 101.0];
        let edges = edges.map(|figure| trigger.see(figure));
        let (n, c, r) = (Edge::None, Edge::Crossed, Edge::Rearmed);
        assert_eq!(edges, [n, n, c, n, n, n, n, r, n, c]);
    }
}
