//! What `leakspy watch` waits for.

use std::time::Duration;

use bytesize::ByteSize;

use crate::cli::args::size::size;
use crate::render::phrases::mib;
use crate::timeline::Condition;

/// The possible conditions.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub struct Conditions {
    /// The resident set exceeds this, such as 2GiB.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub rss_above: Option<ByteSize>,
    /// The resident set grows faster than this, such as 50MiB/min.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub growth: Option<f64>,
    /// There are more objects of a type than this, such as 'app.Session>10000'. Counting them pauses the
    /// process.
    #[arg(long, value_name = "TYPE>N", value_parser = objects)]
    pub objects: Vec<(String, u64)>,
    /// The arenas of Python's own allocator exceed this.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub arena_above: Option<ByteSize>,
    /// Its control group (container) uses more than this percentage of its limit.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub cgroup_above: Option<f64>,
}

impl Conditions {
    /// All conditions; growth is measured over the `window`, and objects are counted `every` so often.
    pub fn all(&self, window: Duration, every: Duration) -> Vec<Condition> {
        let mut all = Vec::new();
        all.extend(self.rss_above.map(|size| Condition::Rss(size.as_u64())));
        all.extend(self.growth.map(|per_second| Condition::Growth { per_second, window }));
        all.extend(self.arena_above.map(|size| Condition::Arenas(size.as_u64())));
        all.extend(self.cgroup_above.map(Condition::Group));
        all.extend(self.objects.iter().map(|(kind, count)| Condition::Objects {
            kind: kind.clone(),
            count: *count,
            every,
        }));
        all
    }
}

/// Bytes a second, from a size and a unit of time.
fn rate(text: &str) -> Result<f64, String> {
    let (bytes, unit) =
        text.split_once('/').ok_or("must be a size and a time, such as 50MiB/min")?;
    let bytes = size(bytes)?;
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        "d" | "day" => 86400.0,
        _ => return Err("the time must be s, min, h or d".into()),
    };
    Ok(bytes.as_u64() as f64 / seconds)
}

/// A type and a number of objects.
fn objects(text: &str) -> Result<(String, u64), String> {
    let (kind, count) = text.split_once('>').ok_or("must be a type and a number: TYPE>N")?;
    let count = count.trim().parse().map_err(|_| "not a number of objects".to_string())?;
    match kind.trim() {
        "" => Err("the type is missing".into()),
        kind => Ok((kind.into(), count)),
    }
}

/// A part of a whole.
fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 =
        text.trim_end_matches('%').parse().map_err(|_| "not a number".to_string())?;
    match percent {
        0.0..=100.0 => Ok(percent / 100.0),
        _ => Err("must be from 0 to 100".into()),
    }
}

/// A condition and its figure in words.
pub fn words(condition: &Condition, figure: f64) -> String {
    match condition {
        Condition::Rss(limit) => {
            format!("{} in memory, the limit is {}", mib(figure), mib(*limit as f64))
        }
        Condition::Growth { per_second, .. } => format!(
            "it grows by {} a minute, the limit is {}",
            mib(figure * 60.0),
            mib(per_second * 60.0)
        ),
        Condition::Arenas(limit) => {
            format!("{} in arenas, the limit is {}", mib(figure), mib(*limit as f64))
        }
        Condition::Group(limit) => format!(
            "{:.1} % of what its control group may have, the limit is {:.1} %",
            100.0 * figure,
            100.0 * limit
        ),
        Condition::Objects { kind, count, .. } => {
            format!("{figure} objects of {kind}, the limit is {count}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_counts_and_parts_are_read() {
        assert_eq!(rate("60MiB/min"), Ok(1048576.0));
        assert_eq!(rate("3600B/h"), Ok(1.0));
        assert!(rate("60MiB").is_err() && rate("60MiB/fortnight").is_err());
        assert_eq!(objects("app.Session>1000"), Ok(("app.Session".into(), 1000)));
        assert!(objects("app.Session").is_err() && objects(">5").is_err());
        assert_eq!(percent("90%"), Ok(0.9));
        assert!(percent("101").is_err() && percent("many").is_err());
    }
}
