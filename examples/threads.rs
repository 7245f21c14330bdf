//! Prints the stack of every thread of a Python process: `cargo run --example threads -- PID`.

#![allow(clippy::print_stdout)]

use std::env;
use std::error::Error;

use leakspy::{Source, attach};

fn main() -> Result<(), Box<dyn Error>> {
    let pid = env::args().nth(1).ok_or("usage: threads PID")?.parse()?;
    let process = attach(pid)?;
    let identity = process.identity();
    println!("Process {pid}: {} (Python {})", identity.command, identity.version);
    for thread in process.threads(None)?.threads {
        println!("{}", thread.name.as_deref().unwrap_or("(unnamed thread)"));
        for frame in thread.stack.frames {
            let line = frame.line.map_or(String::new(), |line| format!(":{line}"));
            println!("    {} ({}{line})", frame.function, frame.file);
        }
    }
    Ok(())
}
