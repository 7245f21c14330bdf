//! The names of C functions by address, in any mapped library.
//!
//! A file is opened when an address in it is first looked up. A function without a symbol has no name: the
//! nearest exported function before it would be a guess.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::handle::Process;
use super::image::Image;
use super::maps::Mapping;

/// The functions of one process.
#[derive(Debug, Default)]
pub struct Symbols {
    maps: Vec<Mapping>,
    /// By the start of the file's first mapping.
    images: FxHashMap<u64, Option<Image>>,
    names: FxHashMap<u64, Option<Arc<str>>>,
}

impl Symbols {
    /// No file is open yet.
    pub fn new() -> Symbols {
        Symbols::default()
    }

    /// The name of the function that `address` lies in.
    pub fn function_at(&mut self, process: &Process, address: u64) -> Option<Arc<str>> {
        if let Some(known) = self.names.get(&address) {
            return known.clone();
        }
        let name = self.look_up(process, address);
        self.names.insert(address, name.clone());
        name
    }

    fn look_up(&mut self, process: &Process, address: u64) -> Option<Arc<str>> {
        if !self.maps.iter().any(|mapping| mapping.contains(address)) {
            // The library may have been loaded since.
            self.maps = process.maps().ok()?;
        }
        let mapping = self.maps.iter().find(|mapping| mapping.contains(address))?;
        let path = mapping.path.as_ref()?;
        let first = self.maps.iter().find(|other| {
            other.path.as_ref() == Some(path) && other.inode == mapping.inode && other.offset == 0
        })?;
        let image = self
            .images
            .entry(first.start)
            .or_insert_with(|| Image::open(process.pid(), first).ok());
        image.as_ref()?.function_at(address).map(Arc::from)
    }
}
