//! The types that no object refers to: a static type of an extension module is held by nobody, but its base
//! lists it among its subclasses (`tp_subclasses`), by a weak reference.

use super::ancestry::subclasses;
use super::reader::Reader;
use super::type_info::TypeId;
use super::values::type_of;
use crate::memory::Memory;
use crate::python::dicts;

impl<M: Memory> Reader<'_, M> {
    /// The number of types that are known.
    pub fn type_count(&self) -> usize {
        self.types.count()
    }

    /// Makes all subclasses of the known types known, and theirs. Those that cannot be read are left out.
    pub fn learn_subclasses(&self) {
        let mut next = 0;
        while let Some(info) = self.types.get(TypeId(next)) {
            next = next.saturating_add(1);
            let Ok(dict) = subclasses(self.memory, &self.types.context, info.address) else {
                continue;
            };
            for weak in dicts::entries(self.memory, self.layout(), dict).unwrap_or_default() {
                let subclass = self.weakly_referred(weak.value);
                let metatype = subclass.and_then(|at| type_of(self.memory, self.layout(), at).ok());
                let is_type = metatype.is_some_and(|metatype| {
                    self.types.at(self.memory, metatype).is_ok_and(|info| info.is_metatype())
                });
                if let Some(subclass) = subclass.filter(|_| is_type) {
                    let _ = self.types.at(self.memory, subclass);
                }
            }
        }
    }
}
