//! Bits of `tp_flags` (`Include/object.h`; `Include/cpython/object.h` for the first four).

/// `_Py_TPFLAGS_STATIC_BUILTIN` (3.12 and later): part of its state is in the interpreter.
pub(super) const STATIC_BUILTIN: u64 = 1 << 1;
/// `Py_TPFLAGS_INLINE_VALUES` (3.13 and later).
pub(super) const INLINE_VALUES: u64 = 1 << 2;
/// `Py_TPFLAGS_MANAGED_WEAKREF` (3.12 and later).
pub(super) const MANAGED_WEAKREF: u64 = 1 << 3;
/// `Py_TPFLAGS_MANAGED_DICT` (3.11 and later).
pub(super) const MANAGED_DICT: u64 = 1 << 4;
/// `Py_TPFLAGS_HEAPTYPE`.
pub(crate) const HEAP_TYPE: u64 = 1 << 9;
/// `Py_TPFLAGS_READY`.
pub(crate) const READY: u64 = 1 << 12;
/// `Py_TPFLAGS_HAVE_GC`.
pub(super) const HAVE_GC: u64 = 1 << 14;
/// `Py_TPFLAGS_TYPE_SUBCLASS`.
pub(super) const TYPE_SUBCLASS: u64 = 1 << 31;
