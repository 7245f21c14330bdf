//! The errors of core files. Each says what to do about it, since nobody can be asked what the file is.

use std::io;

use indicatif::HumanBytes;

use crate::obstacle::{Obstructed, Obstruction};

/// Why a core file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no ELF file.
    #[error("it is not a core file: {hint}")]
    NotElf {
        /// What it is, and what to do with it.
        hint: &'static str,
    },
    /// It is an ELF file of another kind.
    #[error(
        "it is {kind} and not a core file: give the file that the kernel, gcore or coredumpctl wrote"
    )]
    NotCore {
        /// What it is.
        kind: &'static str,
    },
    /// It is from a machine that leakspy does not read.
    #[error("it is the core of a program for {machine}; leakspy reads those for x86-64 Linux")]
    Foreign {
        /// The machine.
        machine: String,
    },
    /// Its end is missing.
    #[error(
        "it is truncated: {} of {} are there. The disk was full, or the size of cores is limited \
         (`ulimit -c unlimited`; ProcessSizeMax= and ExternalSizeMax= in coredump.conf)",
        HumanBytes(*length), HumanBytes(*expected)
    )]
    Truncated {
        /// The bytes that are there.
        length: u64,
        /// The bytes that its headers describe.
        expected: u64,
    },
    /// Its headers contradict each other.
    #[error("it is damaged: {what}")]
    Unsound {
        /// What is wrong.
        what: &'static str,
    },
    /// It does not say which files were mapped.
    #[error(
        "it does not list the files that the process had mapped (no NT_FILE note): cores of Linux 3.7 and \
         later, and of gcore, do"
    )]
    NoFiles,
    /// It is compressed in a way that leakspy does not know.
    #[error("it is compressed with {format}; decompress it first (`{command}`)")]
    Compressed {
        /// The format.
        format: &'static str,
        /// The command that decompresses it.
        command: &'static str,
    },
    /// There is no room to decompress it.
    #[error(
        "decompressed it takes more than the {} that may be used in {folder}: set TMPDIR to a folder with \
         more room, or decompress it elsewhere and give the result",
        HumanBytes(*allowed)
    )]
    NoRoom {
        /// The bytes that may be used.
        allowed: u64,
        /// Where.
        folder: String,
    },
    /// The compressed data are damaged.
    #[error("it cannot be decompressed: {0}")]
    Decompression(#[source] io::Error),
}

impl Obstructed for CoreError {
    fn obstacle(&self) -> Option<Obstruction> {
        None
    }
}
