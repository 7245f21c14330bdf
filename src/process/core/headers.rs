//! The headers of a core file: which memory it has, and where its notes are.
//!
//! The headers are hostile: they are read only where the file has them, and whatever they say about addresses
//! and lengths is checked before it is used. Accepted segments lie in the file, do not overlap, and do not
//! wrap around.

use std::ops::Range;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::Elf;
use goblin::elf::header::{EM_X86_64, ET_CORE, ET_DYN, ET_EXEC, ET_REL, Header, machine_to_str};
use goblin::elf::program_header::{PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE, ProgramHeader};
use goblin::elf::section_header::SectionHeader;

use super::error::CoreError;
use crate::memory::PAGE;

/// Bytes of an ELF header, of a program header and of a section header.
const HEADER: usize = 64;
const PROGRAM: u64 = 56;
const SECTION: u64 = 64;
/// In place of a number of program headers that 16 bits cannot hold: it is in the first section header.
const MANY: u16 = 0xffff;
/// The most notes that are read, in bytes.
const MOST_NOTES: u64 = 256 << 20;

/// A piece of the process's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Its addresses.
    pub range: Range<u64>,
    /// Where the file has its first bytes.
    pub offset: u64,
    /// How many bytes the file has; the rest was left out.
    pub kept: u64,
    /// May be read.
    pub readable: bool,
    /// May be written.
    pub writable: bool,
    /// May be executed.
    pub executable: bool,
}

/// What the headers say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// The memory, in order of address.
    pub loads: Vec<Load>,
    /// Where the file has notes.
    pub notes: Vec<Range<u64>>,
}

/// Reads the headers of a core file.
///
/// # Errors
/// It is no core file of x86-64, is truncated, or its headers contradict each other.
pub fn read(file: &[u8]) -> Result<Headers, CoreError> {
    let unsound = |what| CoreError::Unsound { what };
    let start = file.get(..HEADER).ok_or(CoreError::NotElf { hint: "it is too short" })?;
    let header = Elf::parse_header(start).map_err(|_| unsound("its ELF header makes no sense"))?;
    check_kind(&header)?;
    let context = Ctx::new(Container::Big, Endian::Little);
    let count = match header.e_phnum {
        MANY => {
            let bytes = piece(file, header.e_shoff, SECTION)?;
            let first = SectionHeader::parse_from(bytes, 0, 1, context).unwrap_or_default();
            first.first().map_or(0, |section| u64::from(section.sh_info))
        }
        count => u64::from(count),
    };
    if u64::from(header.e_phentsize) != PROGRAM && count > 0 {
        return Err(unsound("its program headers have another size than they should"));
    }
    let bytes = piece(file, header.e_phoff, count.saturating_mul(PROGRAM))?;
    let programs = ProgramHeader::parse(bytes, 0, count as usize, context)
        .map_err(|_| unsound("its program headers make no sense"))?;
    let mut headers = Headers::default();
    let mut notes = 0_u64;
    let mut expected = 0;
    for program in &programs {
        let end = program.p_offset.checked_add(program.p_filesz);
        let end = end.ok_or(unsound("a segment has no end"))?;
        match program.p_type {
            PT_LOAD => headers.loads.extend(load(program)?),
            PT_NOTE => {
                notes = notes.saturating_add(program.p_filesz);
                headers.notes.push(program.p_offset..end);
            }
            _ => continue,
        }
        expected = expected.max(end);
    }
    let length = file.len() as u64;
    if expected > length {
        return Err(CoreError::Truncated { length, expected });
    }
    if notes > MOST_NOTES {
        return Err(unsound("its notes are too long"));
    }
    if headers.loads.is_empty() {
        return Err(unsound("it has no memory"));
    }
    headers.loads.sort_by_key(|load| load.range.start);
    let mut places: Vec<_> = headers.loads.iter().filter(|load| load.kept > 0).collect();
    places.sort_by_key(|load| load.offset);
    let is_shared = places.windows(2).any(|two| match two {
        [one, next] => one.offset + one.kept > next.offset,
        _ => false,
    });
    if is_shared {
        return Err(unsound("two of its segments have the same bytes"));
    }
    let overlap = headers.loads.windows(2).any(|two| match two {
        [one, next] => one.range.end > next.range.start,
        _ => false,
    });
    if overlap {
        return Err(unsound("two of its segments have the same addresses"));
    }
    Ok(headers)
}

/// A segment of memory; `None` if it is empty.
fn load(program: &ProgramHeader) -> Result<Option<Load>, CoreError> {
    let unsound = |what| CoreError::Unsound { what };
    let end = program.p_vaddr.checked_add(program.p_memsz);
    let end = end.ok_or(unsound("a segment ends beyond all addresses"))?;
    if program.p_filesz > program.p_memsz {
        return Err(unsound("a segment has more bytes than addresses"));
    }
    if !program.p_vaddr.is_multiple_of(PAGE) && program.p_memsz > 0 {
        return Err(unsound("a segment does not begin at a page"));
    }
    let has = |flag| program.p_flags & flag != 0;
    Ok((program.p_memsz > 0).then(|| Load {
        range: program.p_vaddr..end,
        offset: program.p_offset,
        kept: program.p_filesz,
        readable: has(PF_R),
        writable: has(PF_W),
        executable: has(PF_X),
    }))
}

fn check_kind(header: &Header) -> Result<(), CoreError> {
    match header.e_type {
        ET_CORE => {}
        ET_EXEC | ET_DYN => {
            return Err(CoreError::NotCore { kind: "a program or a library" });
        }
        ET_REL => return Err(CoreError::NotCore { kind: "an object file" }),
        _ => return Err(CoreError::NotCore { kind: "an ELF file" }),
    }
    let is_64 = header.container().is_ok_and(|container| container == Container::Big);
    let is_little = header.endianness().is_ok_and(|endian| endian == Endian::Little);
    match (header.e_machine, is_64, is_little) {
        (EM_X86_64, true, true) => Ok(()),
        (EM_X86_64, false, _) => Err(CoreError::Foreign { machine: "x32".to_owned() }),
        (machine, ..) => {
            Err(CoreError::Foreign { machine: machine_to_str(machine).replace("EM_", "") })
        }
    }
}

/// `length` bytes at `offset` of the file.
fn piece(file: &[u8], offset: u64, length: u64) -> Result<&[u8], CoreError> {
    let end =
        offset.checked_add(length).ok_or(CoreError::Unsound { what: "a table has no end" })?;
    let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
    let bytes = range.and_then(|(start, end)| file.get(start..end));
    bytes.ok_or(CoreError::Truncated { length: file.len() as u64, expected: end })
}
