//! An ELF file mapped into a process: where its sections, segments and symbols are in memory.
//!
//! The file is read only as far as needed: headers and dynamic symbols when it is opened, the full symbol
//! table (megabytes in an unstripped build) on first use. The file belongs to the target and is as hostile as
//! its memory: garbage is an error, never a panic.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use goblin::container::Ctx;
use goblin::elf::header::Header;
use goblin::elf::program_header::{PF_R, PF_W, PF_X, PT_LOAD, ProgramHeader};
use goblin::elf::section_header::{SHN_UNDEF, SHT_DYNSYM, SHT_STRTAB, SHT_SYMTAB, SectionHeader};
use goblin::elf::sym::{STT_FUNC, STT_GNU_IFUNC, Sym};

use super::maps::Mapping;
use crate::memory::PAGE;
use crate::obstacle::{Obstacle, Obstructed, Obstruction};

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 1 << 30;
/// The largest table inside a file that is read, in bytes.
const LARGEST_TABLE: u64 = 256 << 20;

/// Why a mapped file could not be understood.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The mapped file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It is not an ELF file, or a damaged one.
    #[error("{path} is not a sound ELF file: {why}")]
    Unsound {
        /// The mapped file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Obstructed for ImageError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            ImageError::Unreadable { source, .. }
                if source.kind() == ErrorKind::PermissionDenied =>
            {
                Obstacle::Denied.of_target()
            }
            ImageError::Unreadable { .. } | ImageError::Unsound { .. } => None,
        }
    }
}

/// A symbol, at the address it has in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol {
    /// Where it is in the process.
    pub address: u64,
    /// Its size in bytes, 0 where the file does not say.
    pub size: u64,
}

/// A section or segment, at the address it has in the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The section's name; empty for a segment.
    pub name: String,
    /// Where it is in the process.
    pub address: u64,
    /// Its size in memory, in bytes.
    pub size: u64,
    /// May be read.
    pub readable: bool,
    /// May be written.
    pub writable: bool,
    /// May be executed.
    pub executable: bool,
}

impl Part {
    /// Whether `address` lies inside.
    pub fn contains(&self, address: u64) -> bool {
        address.wrapping_sub(self.address) < self.size
    }
}

/// An ELF file mapped into a process.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    /// `None` if only the first page was there.
    file: Option<File>,
    context: Ctx,
    bias: u64,
    headers: Vec<SectionHeader>,
    sections: Vec<Part>,
    segments: Vec<Part>,
    dynamic: Symbols,
    full: OnceLock<Symbols>,
    functions: OnceLock<Vec<Function>>,
}

/// A symbol table with its names.
#[derive(Debug, Default)]
struct Symbols {
    symbols: Vec<Sym>,
    names: Vec<u8>,
}

/// A function's place in the process, and where its name is.
#[derive(Debug)]
struct Function {
    address: u64,
    size: u64,
    name: usize,
    dynamic: bool,
}

impl Image {
    /// Opens the file behind `mapping` of process `pid` and finds where it lies in memory.
    pub fn open(pid: i32, mapping: &Mapping) -> Result<Image, ImageError> {
        let path = mapping.path.clone().unwrap_or_default();
        let file = mapping.open(pid).map_err(|source| ImageError::Unreadable { path, source })?;
        Image::of_file(file, mapping)
    }

    /// Reads the `file` behind `mapping` and finds where it lies in memory.
    pub fn of_file(file: File, mapping: &Mapping) -> Result<Image, ImageError> {
        let path = mapping.path.clone().unwrap_or_default();
        let unreadable = |source| ImageError::Unreadable { path: path.clone(), source };
        let unsound = |why: String| ImageError::Unsound { path: path.clone(), why };
        let length = file.metadata().map_err(unreadable)?.len();
        if length > LARGEST_FILE {
            return Err(unsound(format!("{length} bytes long")));
        }
        let piece = |offset, size| {
            read_piece(&file, length, offset, size)
                .map_err(|source| ImageError::Unreadable { path: path.clone(), source })
        };
        let goblin = |error: goblin::error::Error| unsound(error.to_string());

        let start = piece(0, 64.min(length))?;
        let header: Header = goblin::elf::Elf::parse_header(&start).map_err(goblin)?;
        let context =
            Ctx::new(header.container().map_err(goblin)?, header.endianness().map_err(goblin)?);
        let bytes = piece(header.e_phoff, table_size(header.e_phnum, header.e_phentsize))?;
        let programs =
            ProgramHeader::parse(&bytes, 0, header.e_phnum.into(), context).map_err(goblin)?;
        let bytes = piece(header.e_shoff, table_size(header.e_shnum, header.e_shentsize))?;
        let headers = match header.e_shnum {
            0 => Vec::new(),
            count => SectionHeader::parse_from(&bytes, 0, count.into(), context).map_err(goblin)?,
        };

        let bias = load_bias(&programs, mapping)
            .ok_or_else(|| unsound("no segment is where the file is mapped".to_owned()))?;
        let segments = segments(&programs, bias);
        let names = match headers.get(usize::from(header.e_shstrndx)) {
            Some(names) if names.sh_type == SHT_STRTAB => piece(names.sh_offset, names.sh_size)?,
            _ => Vec::new(),
        };
        let sections = headers
            .iter()
            .map(|section| Part {
                name: name_at(&names, section.sh_name).unwrap_or_default().to_owned(),
                address: section.sh_addr.wrapping_add(bias),
                size: section.sh_size,
                readable: section.is_alloc(),
                writable: section.is_writable(),
                executable: section.is_executable(),
            })
            .collect();
        let dynamic = Symbols::read(&file, length, &headers, SHT_DYNSYM, context)
            .map_err(|error| unsound(error.to_string()))?;
        Ok(Image {
            path,
            file: Some(file),
            context,
            bias,
            headers,
            sections,
            segments,
            dynamic,
            full: OnceLock::new(),
            functions: OnceLock::new(),
        })
    }

    /// What the first page of a file says, if the file itself is not there: its segments, and no symbols.
    pub fn of_headers(first: &[u8], mapping: &Mapping) -> Result<Image, ImageError> {
        let path = mapping.path.clone().unwrap_or_default();
        let unsound = |why: &str| ImageError::Unsound { path: path.clone(), why: why.to_owned() };
        let start = first.get(..64).ok_or_else(|| unsound("its headers are not there"))?;
        let header: Header =
            goblin::elf::Elf::parse_header(start).map_err(|error| unsound(&error.to_string()))?;
        let container = header.container().map_err(|error| unsound(&error.to_string()))?;
        let endianness = header.endianness().map_err(|error| unsound(&error.to_string()))?;
        let context = Ctx::new(container, endianness);
        let place = usize::try_from(header.e_phoff).ok();
        let table = place.and_then(|place| {
            let size = table_size(header.e_phnum, header.e_phentsize) as usize;
            first.get(place..place.checked_add(size)?)
        });
        let table = table.ok_or_else(|| unsound("its headers are not there"))?;
        let programs = ProgramHeader::parse(table, 0, header.e_phnum.into(), context)
            .map_err(|error| unsound(&error.to_string()))?;
        let bias = load_bias(&programs, mapping)
            .ok_or_else(|| unsound("no segment is where the file is mapped"))?;
        Ok(Image {
            segments: segments(&programs, bias),
            path,
            file: None,
            context,
            bias,
            headers: Vec::new(),
            sections: Vec::new(),
            dynamic: Symbols::default(),
            full: OnceLock::new(),
            functions: OnceLock::new(),
        })
    }

    /// Whether the file itself was read, and not only its first page.
    pub fn is_whole(&self) -> bool {
        self.file.is_some()
    }

    /// The file, as the kernel names it in `/proc/PID/maps`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is added to an address in the file to get its address in the process.
    pub fn bias(&self) -> u64 {
        self.bias
    }

    /// The section with this name, if it is loaded.
    pub fn section(&self, name: &str) -> Option<&Part> {
        self.sections.iter().find(|section| section.readable && section.name == name)
    }

    /// The loaded segments.
    pub fn segments(&self) -> &[Part] {
        &self.segments
    }

    /// Whether `address` lies in one of the segments that may be executed.
    pub fn is_code(&self, address: u64) -> bool {
        self.segments.iter().any(|segment| segment.executable && segment.contains(address))
    }

    /// The symbol with this name that the file defines: a dynamic one, or a static one where the
    /// file has not been stripped.
    pub fn symbol(&self, name: &str) -> Option<Symbol> {
        self.dynamic_symbol(name).or_else(|| self.place(self.full().find(name)?))
    }

    /// The dynamic symbol with this name that the file defines. Never reads the full symbol table.
    pub fn dynamic_symbol(&self, name: &str) -> Option<Symbol> {
        self.place(self.dynamic.find(name)?)
    }

    /// The name of the function that contains `address`, according to the symbols.
    pub fn function_at(&self, address: u64) -> Option<&str> {
        let functions = self.functions.get_or_init(|| self.collect_functions());
        let after = functions.partition_point(|function| function.address <= address);
        let function = functions.get(after.checked_sub(1)?)?;
        let inside = address.wrapping_sub(function.address) < function.size;
        let table = if function.dynamic { &self.dynamic } else { self.full() };
        inside.then(|| name_at(&table.names, function.name)).flatten()
    }

    fn place(&self, symbol: &Sym) -> Option<Symbol> {
        let address = symbol.st_value.wrapping_add(self.bias);
        Some(Symbol { address, size: symbol.st_size })
    }

    fn full(&self) -> &Symbols {
        self.full.get_or_init(|| {
            let Some(file) = &self.file else { return Symbols::default() };
            let length = file.metadata().map_or(0, |metadata| metadata.len());
            Symbols::read(file, length, &self.headers, SHT_SYMTAB, self.context).unwrap_or_default()
        })
    }

    fn collect_functions(&self) -> Vec<Function> {
        let of = |table: &Symbols, dynamic| {
            let functions = table.symbols.iter().filter(|symbol| {
                let kind = symbol.st_type();
                (kind == STT_FUNC || kind == STT_GNU_IFUNC) && symbol.st_shndx != SHN_UNDEF as usize
            });
            let place = |symbol: &Sym| Function {
                address: symbol.st_value.wrapping_add(self.bias),
                size: symbol.st_size,
                name: symbol.st_name,
                dynamic,
            };
            functions.map(place).collect::<Vec<_>>()
        };
        let mut functions = of(self.full(), false);
        functions.extend(of(&self.dynamic, true));
        functions.sort_by_key(|function| function.address);
        functions.dedup_by_key(|function| function.address);
        functions
    }
}

impl Symbols {
    /// Reads the symbol table of this type, and its names. An image without one has no symbols.
    fn read(
        file: &File,
        length: u64,
        headers: &[SectionHeader],
        kind: u32,
        context: Ctx,
    ) -> std::io::Result<Symbols> {
        let Some(table) = headers.iter().find(|section| section.sh_type == kind) else {
            return Ok(Symbols::default());
        };
        let Some(names) = headers.get(table.sh_link as usize) else {
            return Ok(Symbols::default());
        };
        let bytes = read_piece(file, length, table.sh_offset, table.sh_size)?;
        let count = bytes.len() / Sym::size(context.container);
        let symbols = Sym::parse(&bytes, 0, count, context).map_err(std::io::Error::other)?;
        let names = read_piece(file, length, names.sh_offset, names.sh_size)?;
        Ok(Symbols { symbols, names })
    }

    fn find(&self, name: &str) -> Option<&Sym> {
        self.symbols.iter().find(|symbol| {
            symbol.st_shndx != SHN_UNDEF as usize
                && self.names.get(symbol.st_name..).is_some_and(|rest| {
                    rest.strip_prefix(name.as_bytes()).is_some_and(|end| end.first() == Some(&0))
                })
        })
    }
}

/// The loaded segments.
fn segments(programs: &[ProgramHeader], bias: u64) -> Vec<Part> {
    let loaded = programs.iter().filter(|program| program.p_type == PT_LOAD);
    let part = |program: &ProgramHeader| Part {
        name: String::new(),
        address: program.p_vaddr.wrapping_add(bias),
        size: program.p_memsz,
        readable: program.p_flags & PF_R != 0,
        writable: program.p_flags & PF_W != 0,
        executable: program.p_flags & PF_X != 0,
    };
    loaded.map(part).collect()
}

/// The difference between the segment's address in memory and its address in the file.
fn load_bias(programs: &[ProgramHeader], mapping: &Mapping) -> Option<u64> {
    let page = |value: u64| value & !(PAGE - 1);
    let segment = programs
        .iter()
        .find(|program| program.p_type == PT_LOAD && page(program.p_offset) == mapping.offset)?;
    Some(mapping.start.wrapping_sub(page(segment.p_vaddr)))
}

fn table_size(count: u16, entry: u16) -> u64 {
    u64::from(count) * u64::from(entry)
}

/// `size` bytes at `offset`; an error beyond the file's end.
fn read_piece(file: &File, length: u64, offset: u64, size: u64) -> std::io::Result<Vec<u8>> {
    let end = offset.checked_add(size).filter(|&end| end <= length && size <= LARGEST_TABLE);
    if end.is_none() {
        return Err(std::io::Error::other("a table lies beyond the end of the file"));
    }
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// The NUL-terminated name at `offset` of a string table.
fn name_at(names: &[u8], offset: usize) -> Option<&str> {
    let rest = names.get(offset..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    std::str::from_utf8(rest.get(..end)?).ok()
}
