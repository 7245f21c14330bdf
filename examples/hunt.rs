//! Hunts for leaks in a Python process: `cargo run --example hunt -- PID [SECONDS]`.

#![allow(clippy::print_stdout)]

use std::env;
use std::error::Error;
use std::time::Duration;

use leakspy::attach;

fn main() -> Result<(), Box<dyn Error>> {
    // The guardian that traces the process is this program, started again.
    let guardian = leakspy::serve_if_guardian();
    let pid = env::args().nth(1).ok_or("usage: hunt PID [SECONDS]")?.parse()?;
    let seconds = env::args().nth(2).map_or(Ok(30), |seconds| seconds.parse())?;
    let verdict = leakspy::hunt(attach(pid)?, Duration::from_secs(seconds), guardian)?;
    for leak in &verdict.findings {
        println!("{} in {}: {:+.0} bytes/s", leak.grown, leak.holder.path, leak.bytes_per_s);
        for feeder in &leak.feeders {
            if let Some(frame) = &feeder.own_frame {
                println!(
                    "    {:.0} % by {} ({})",
                    100.0 * feeder.share,
                    frame.function,
                    frame.file
                );
            }
        }
    }
    if verdict.findings.is_empty() {
        println!("No leak found.");
    }
    Ok(())
}
