//! The names of the columns, and what each means. A name never changes its meaning.
//!
//! *Nodes* are numbered as in the [object graph](crate::heap::Graph): 0 is the root of all, then come the roots,
//! the containers, the leaves.

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

/// Where each run of pages with objects begins in the target's memory, in the order of the numbers of the
/// objects in it.
pub(super) const RUN_ADDRESS: &str = "run.address";
/// How many pages of 4096 bytes each has.
pub(super) const RUN_PAGES: &str = "run.pages";
/// The place of each container among the words of 8 bytes of all runs, one run behind the other.
pub(super) const CONTAINER_WORD: &str = "container.word";
/// The place of each leaf.
pub(super) const LEAF_WORD: &str = "leaf.word";

/// Of each object the number of its type, plus 1; 0 if that could not be read.
pub(super) const OBJECT_TYPE: &str = "object.type";
/// Of each object all bytes that go with it.
pub(super) const OBJECT_SIZE: &str = "object.size";
/// The nodes that own bytes elsewhere.
pub(super) const EXTERNAL_NODE: &str = "external.node";
/// How many.
pub(super) const EXTERNAL_BYTES: &str = "external.bytes";
/// The nodes of objects that come with the program's files.
pub(super) const FIXED_NODE: &str = "fixed.node";
/// The nodes in each of the collector's lists: young, middle, old, frozen.
pub(super) const TRACKED: [&str; 4] =
    ["tracked.young", "tracked.middle", "tracked.old", "tracked.frozen"];

/// Of the root of all and each root, how many nodes it leads to.
pub(super) const ROOT_COUNT: &str = "root.count";
/// Those nodes.
pub(super) const ROOT_TARGET: &str = "root.target";
/// Of each container how many references it has.
pub(super) const EDGE_COUNT: &str = "edge.count";
/// Of each reference the code of its role.
pub(super) const EDGE_ROLE: &str = "edge.role";
/// Of each reference the difference of the node that it leads to from that of the reference with the same code
/// before it, signs folded in.
pub(super) const EDGE_TARGET: &str = "edge.target";
/// Of each reference by a key, the node of the key, plus 1; 0 if that is no object.
pub(super) const EDGE_KEY: &str = "edge.key";
/// Of each root how many objects its frame refers to.
pub(super) const FRAME_COUNT: &str = "frame.count";
/// Those nodes.
pub(super) const FRAME_TARGET: &str = "frame.target";
/// The codes of their roles.
pub(super) const FRAME_ROLE: &str = "frame.role";
/// Of each node but the first its immediate dominator, plus 1; 0 if it cannot be reached.
pub(super) const DOMINATOR: &str = "dominator";

/// The nodes of keys.
pub(super) const KEY_NODE: &str = "key.node";
/// How each is shown: 0 by its type, 1 as text, 2 as a number.
pub(super) const KEY_FORM: &str = "key.form";
/// The bytes of its text.
pub(super) const KEY_LENGTH: &str = "key.length";
/// All those texts.
pub(super) const KEY_TEXT: &str = "key.text";
/// The nodes of objects with values to show.
pub(super) const VALUE_NODE: &str = "value.node";
/// The bytes of each.
pub(super) const VALUE_LENGTH: &str = "value.length";
/// All those texts.
pub(super) const VALUE_TEXT: &str = "value.text";

/// The nodes of functions that have variables of others or default values.
pub(super) const FUNCTION_NODE: &str = "function.node";
/// How many variables of others each has.
pub(super) const FUNCTION_CLOSURE: &str = "function.closure";
/// How many arguments with default values.
pub(super) const FUNCTION_DEFAULTS: &str = "function.defaults";
/// The names of both, as places in the list of names.
pub(super) const FUNCTION_NAME: &str = "function.name";
/// The bytes of each name.
pub(super) const NAME_LENGTH: &str = "name.length";
/// All names.
pub(super) const NAME_TEXT: &str = "name.text";

/// The nodes whose reference counts are not those of the references found.
pub(super) const COUNTED_NODE: &str = "counted.node";
/// Their reference counts, plus 1; 0 if it is immortal.
pub(super) const COUNTED_COUNT: &str = "counted.count";
