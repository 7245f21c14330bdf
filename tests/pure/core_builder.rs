//! Small core files whose every number can be chosen: for property tests and the fuzz target.

use std::fs;
use std::path::Path;

use leakspy::memory::Memory;
use leakspy::process::core::binaries::Places;
use leakspy::process::{Core, CoreError, Target};
use leakspy::python::Python;

/// A segment: type, flags, address, bytes in memory, bytes in the file; its offset is that of its content plus
/// what is given.
#[derive(Debug, Clone)]
pub struct Segment {
    pub kind: u32,
    pub flags: u32,
    pub address: u64,
    pub memory: u64,
    pub file: u64,
    pub shift: u64,
}

/// A note: its type, and its description.
pub type Note = (u32, Vec<u8>);

/// A core file.
#[derive(Debug, Clone, Default)]
pub struct Crafted {
    pub segments: Vec<Segment>,
    pub notes: Vec<Note>,
    /// The content of all segments.
    pub content: Vec<u8>,
    /// In place of the number of program headers.
    pub count: Option<u16>,
}

impl Crafted {
    pub fn bytes(&self) -> Vec<u8> {
        let mut notes = Vec::new();
        for (kind, description) in &self.notes {
            notes.extend([5, description.len() as u32, *kind].map(u32::to_le_bytes).concat());
            notes.extend(b"CORE\0\0\0\0");
            notes.extend(description);
            notes.resize(notes.len().next_multiple_of(4), 0);
        }
        let headers = 64 + 56 * (self.segments.len() + 1);
        let content = (headers + notes.len()).next_multiple_of(8);
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([4_u16, 62].map(u16::to_le_bytes).concat());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend([0_u64, 64, 0].map(u64::to_le_bytes).concat());
        bytes.extend(0_u32.to_le_bytes());
        let count = self.count.unwrap_or(self.segments.len() as u16 + 1);
        bytes.extend([64, 56, count, 64, 0, 0].map(u16::to_le_bytes).concat());
        let mut program = |kind: u32, flags: u32, numbers: [u64; 6]| {
            bytes.extend([kind, flags].map(u32::to_le_bytes).concat());
            bytes.extend(numbers.map(u64::to_le_bytes).concat());
        };
        program(4, 4, [headers as u64, 0, 0, notes.len() as u64, 0, 4]);
        for it in &self.segments {
            let offset = (content as u64).wrapping_add(it.shift);
            program(it.kind, it.flags, [offset, it.address, 0, it.file, it.memory, 4096]);
        }
        bytes.extend(&notes);
        bytes.resize(content, 0);
        bytes.extend(&self.content);
        bytes
    }
}

/// `NT_FILE`: mappings with a start, an end, an offset in units, and a path.
pub fn files(count: u64, unit: u64, files: &[([u64; 3], &str)]) -> Note {
    let mut note = [count, unit].map(u64::to_le_bytes).concat();
    for (numbers, _) in files {
        note.extend(numbers.map(u64::to_le_bytes).concat());
    }
    for (_, path) in files {
        note.extend(path.as_bytes());
        note.push(0);
    }
    (0x4649_4c45, note)
}

/// Asks everything that a core file is asked for; whatever it contains, each question has an answer or an error.
pub fn ask(path: &Path) -> Result<(), CoreError> {
    let core = Core::open(path, Places { sysroot: None, only_sysroot: true })?;
    let _ = (core.command(), core.executable(), core.death(), core.pid());
    let maps = core.maps().expect("they are known");
    for mapping in &maps {
        assert!(mapping.start < mapping.end, "{mapping:?}");
        let _ = core.image(mapping);
        for address in [mapping.start, mapping.end - 1, mapping.start.wrapping_sub(1)] {
            let _ = core.u64(address);
            let _ = core.lend(address, 64);
            let _ = core.c_string(address, 100);
        }
    }
    let kept: u64 = core.kept(0..u64::MAX).map(|(range, _)| range.end - range.start).sum();
    assert!(kept <= fs::metadata(path).map_or(0, |it| it.len()) * maps.len().max(1) as u64);
    assert!(Python::attach(&core).is_err());
    assert!(Python::without_file(&core).is_none());
    Ok(())
}
