//! An interpreter whose own file is missing, in a core: no symbols, and no constant data, so that even the names
//! of the built-in types are gone.
//!
//! | | |
//! |---|---|
//! | [`runtime`] | finds `_PyRuntime` by its contents |
//! | [`names`] | names static types by where they are used and by their attributes |
//! | [`known`] | the table for that |

mod known;
mod names;
mod runtime;

use super::Python;
use super::locate::{candidates, is_named_python};
use crate::process::Target;

/// An interpreter, and what must be put in place of its file before it can be read.
#[derive(Debug)]
pub struct WithoutFile {
    /// The interpreter.
    pub python: Python,
    /// NUL-terminated texts and their addresses, in order of address: the names of types.
    pub texts: Vec<(u64, Vec<u8>)>,
}

impl Python {
    /// Finds the interpreter in a process whose files are missing. Check it with [`Python::validate`] once its
    /// texts can be read.
    pub fn without_file(target: &dyn Target) -> Option<WithoutFile> {
        let maps = target.maps().ok()?;
        let named = candidates(&maps).into_iter().filter(|mapping| is_named_python(mapping));
        let mut python = named.into_iter().find_map(|mapping| {
            let image = target.image(mapping).ok().filter(|image| !image.is_whole())?;
            runtime::find(&target, image)
        })?;
        let names = names::names(&target, &maps, &mut python);
        let mut texts: Vec<(u64, Vec<u8>)> = names
            .into_iter()
            .map(|(address, name)| {
                let mut text = name.into_bytes();
                text.push(0);
                (address, text)
            })
            .collect();
        texts.sort();
        texts.dedup_by_key(|text| text.0);
        Some(WithoutFile { python, texts })
    }
}
