//! The names of the columns and their contents. A name never changes its meaning.
//!
//! *Nodes* are numbered as in the [object graph](crate::heap::Graph): 0 is the super-root, then come the
//! roots, the containers, the leaves.

/// JSON: [`Facts`](super::Facts).
pub(super) const FACTS: &str = "facts";
/// JSON: the types, in the order of their numbers.
pub(super) const TYPES: &str = "types";
/// JSON: the roots, each with its name.
pub(super) const ROOTS: &str = "roots";
/// JSON: the roles that have codes of their own.
pub(super) const ROLES: &str = "roles";
/// JSON: the state of the cycle collectors.
pub(super) const COLLECTORS: &str = "collectors";

/// JSON: [`Composition`](crate::heap::Composition). Left out if it could not be told.
pub(super) const COMPOSITION: &str = "composition";
/// JSON: [`ThreadDump`](crate::python::thread_dump::ThreadDump). Left out if it could not be read.
pub(super) const THREADS: &str = "threads";

/// JSON: [`Waste`](crate::inspect::waste::Waste). Left out by a hunt, which has no time for it, and by older versions.
pub(super) const WASTE: &str = "waste";

/// The address of each run of pages with objects, in the order of the numbers of the objects in it.
pub(super) const RUN_ADDRESS: &str = "run.address";
/// The number of pages, of 4096 bytes, of each run.
pub(super) const RUN_PAGES: &str = "run.pages";
/// The position of each container among the 8-byte words of all runs, one run after the other.
pub(super) const CONTAINER_WORD: &str = "container.word";
/// The position of each leaf.
pub(super) const LEAF_WORD: &str = "leaf.word";

/// The number of each object's type, plus 1; 0 if that could not be read.
pub(super) const OBJECT_TYPE: &str = "object.type";
/// The full size of each object.
pub(super) const OBJECT_SIZE: &str = "object.size";
/// The nodes that own bytes elsewhere.
pub(super) const EXTERNAL_NODE: &str = "external.node";
/// The number of those bytes.
pub(super) const EXTERNAL_BYTES: &str = "external.bytes";
/// The nodes of objects in the program's files.
pub(super) const FIXED_NODE: &str = "fixed.node";
/// The nodes in each of the collector's lists, in the order of the list: young, middle, old, frozen.
pub(super) const GC_LISTS: [&str; 4] = ["gc.young", "gc.middle", "gc.old", "gc.frozen"];

/// The number of successors of the super-root and of each root.
pub(super) const ROOT_COUNT: &str = "root.count";
/// Those nodes.
pub(super) const ROOT_TARGET: &str = "root.target";
/// The number of references of each container.
pub(super) const EDGE_COUNT: &str = "edge.count";
/// The role of each reference, as a code.
pub(super) const EDGE_ROLE: &str = "edge.role";
/// The target of each reference, as the difference from the target of the previous reference with the same
/// code, signs folded in.
pub(super) const EDGE_TARGET: &str = "edge.target";
/// For each reference by a key, the node of the key, plus 1; 0 if the key is not an object.
pub(super) const EDGE_KEY: &str = "edge.key";
/// The number of objects that each root's frame refers to.
pub(super) const FRAME_COUNT: &str = "frame.count";
/// Those nodes.
pub(super) const FRAME_TARGET: &str = "frame.target";
/// The codes of their roles.
pub(super) const FRAME_ROLE: &str = "frame.role";
/// The immediate dominator of each node but the first, plus 1; 0 if it cannot be reached.
pub(super) const DOMINATOR: &str = "dominator";

/// The nodes of keys.
pub(super) const KEY_NODE: &str = "key.node";
/// How each is shown: 0 by its type, 1 as text, 2 as a number.
pub(super) const KEY_FORM: &str = "key.form";
/// The bytes of the text of each.
pub(super) const KEY_LENGTH: &str = "key.length";
/// All those texts.
pub(super) const KEY_TEXT: &str = "key.text";
/// The nodes of objects with values to show.
pub(super) const VALUE_NODE: &str = "value.node";
/// The bytes of the text of each.
pub(super) const VALUE_LENGTH: &str = "value.length";
/// All those texts.
pub(super) const VALUE_TEXT: &str = "value.text";

/// The nodes of functions that have closure variables or default values.
pub(super) const FUNCTION_NODE: &str = "function.node";
/// The number of closure variables of each.
pub(super) const FUNCTION_CLOSURE: &str = "function.closure";
/// The number of arguments with default values of each.
pub(super) const FUNCTION_DEFAULTS: &str = "function.defaults";
/// The names of both, as indices into the list of names.
pub(super) const FUNCTION_NAME: &str = "function.name";
/// The bytes of each name.
pub(super) const NAME_LENGTH: &str = "name.length";
/// All names.
pub(super) const NAME_TEXT: &str = "name.text";

/// JSON: the functions that objects are or run, each as a [`Frame`](crate::python::Frame) at its definition. This column
/// and the next two are absent in files of older versions.
pub(super) const DEFINITIONS: &str = "definitions";
/// The nodes of functions, of methods and partials of them, of generators, coroutines and tasks.
pub(super) const DEFINED_NODE: &str = "defined.node";
/// Which of the functions each is or runs.
pub(super) const DEFINED_BY: &str = "defined.by";

/// The nodes whose reference counts differ from the references found.
pub(super) const COUNTED_NODE: &str = "counted.node";
/// Their reference counts, plus 1; 0 if it is immortal.
pub(super) const COUNTED_COUNT: &str = "counted.count";
