//! Lengths of time.

use std::time::Duration;

use jiff::SignedDuration;

/// A length of time above zero: seconds, with or without a fraction, or with units such as `90s`, `5m` or `1h30m`.
pub fn seconds(text: &str) -> Result<Duration, String> {
    match moment(text)? {
        Duration::ZERO => Err("must be more than 0 seconds".into()),
        duration => Ok(duration),
    }
}

/// A time since the beginning, in the same form; it can be zero.
pub fn moment(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time such as 30, 90s, 5m or 1h30m".to_owned();
    match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong()),
        Err(_) => {
            let signed: SignedDuration = text.parse().map_err(|_| wrong())?;
            Duration::try_from(signed).map_err(|_| wrong())
        }
    }
}

/// How long a hunt lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HuntTime {
    /// As long as it takes to decide.
    Auto,
    /// Exactly so long.
    Fixed(Duration),
}

impl HuntTime {
    /// How long a hunt lasts that is decided in time.
    const AUTO: Duration = Duration::from_secs(30);
    /// How long it lasts at most.
    const LONGEST_AUTO: Duration = Duration::from_secs(180);

    /// Reads `auto` or a length of time.
    pub fn parse(text: &str) -> Result<HuntTime, String> {
        match text {
            "auto" => Ok(HuntTime::Auto),
            _ => seconds(text).map(HuntTime::Fixed).map_err(|error| format!("{error}, or auto")),
        }
    }

    /// The duration, if it is decided then.
    pub fn duration(self) -> Duration {
        match self {
            HuntTime::Auto => HuntTime::AUTO,
            HuntTime::Fixed(duration) => duration,
        }
    }

    /// The duration, if it is not.
    pub fn longest(self) -> Duration {
        match self {
            HuntTime::Auto => HuntTime::LONGEST_AUTO,
            HuntTime::Fixed(duration) => duration,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_or_are_seconds() {
        for (text, expected) in [
            ("30", 30.0),
            ("0.5", 0.5),
            ("90s", 90.0),
            ("5m", 300.0),
            ("1h30m", 5400.0),
            ("2h", 7200.0),
        ] {
            assert_eq!(seconds(text), Ok(Duration::from_secs_f64(expected)), "{text}");
        }
        assert_eq!(moment("0"), Ok(Duration::ZERO));
        for text in ["", "0", "-1", "x", "5 parsecs", "nan", "-5m", "inf"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_hunt_lasts_as_long_as_it_takes_or_exactly_so_long() {
        assert_eq!(HuntTime::parse("auto"), Ok(HuntTime::Auto));
        let fixed = HuntTime::parse("2h").expect("it is a time");
        assert_eq!(
            (fixed.duration(), fixed.longest()),
            (Duration::from_secs(7200), Duration::from_secs(7200))
        );
        assert!(HuntTime::Auto.longest() > HuntTime::Auto.duration());
    }
}
