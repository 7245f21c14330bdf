//! Offsets of the variable parts of objects of the interpreter's own types: items, entries, blocks.

/// The variable parts of objects. References at fixed offsets are in [records](super::records).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Objects {
    /// `PyTupleObject.ob_item`.
    pub tuple_items: usize,
    /// `PyListObject`.
    pub list: List,
    /// `PySetObject`.
    pub set: Set,
    /// `PyODictObject`.
    pub ordered_dict: OrderedDict,
    /// `dequeobject`.
    pub deque: Deque,
    /// `lru_cache_object`.
    pub lru_cache: LruCache,
    /// `PyByteArrayObject`.
    pub bytearray: ByteArray,
    /// `arrayobject` of the module `array`.
    pub array: Array,
    /// The streams of the module `io`.
    pub streams: Streams,
    /// `RingBuf` in a `simplequeueobject` (from 3.13 on; a list before).
    pub queue: Option<RingBuffer>,
    /// `mmap_object`.
    pub mmap: Mmap,
    /// `hastzinfo`, a byte of `PyDateTime_DateTime` and `PyDateTime_Time`.
    pub has_time_zone: usize,
    /// `teedataobject` of the module `itertools`.
    pub tee: Tee,
    /// `ElementObject` of the module `_elementtree`.
    pub element: Element,
    /// `PicklerObject` and `UnpicklerObject` of the module `_pickle`.
    pub pickles: Pickles,
    /// `fut_state` of a `FutureObj` or `TaskObj` of the module `_asyncio`, an `int`: a [`FutureState`].
    pub future_state: usize,
    /// `sock_fd` of a `PySocketSockObject`, an `int`: -1 once it is closed.
    pub socket_descriptor: usize,
    /// `wr_object` of a `PyWeakReference`: `None` once the object has gone.
    pub weak_referent: usize,
}

/// `fut_state` of the module `_asyncio`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FutureState {
    /// It waits.
    Pending,
    /// It was cancelled.
    Cancelled,
    /// It has a result or an exception.
    Finished,
}

impl FutureState {
    /// The state with this number.
    pub fn of(number: i32) -> Option<FutureState> {
        let states = [FutureState::Pending, FutureState::Cancelled, FutureState::Finished];
        states.get(usize::try_from(number).ok()?).copied()
    }

    /// The same as the attribute `_state` of a future.
    pub fn name(self) -> &'static str {
        match self {
            FutureState::Pending => "PENDING",
            FutureState::Cancelled => "CANCELLED",
            FutureState::Finished => "FINISHED",
        }
    }
}

/// `PyListObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List {
    /// `ob_item`: the pointer to the items.
    pub items: usize,
    /// `allocated`, in items.
    pub allocated: usize,
}

/// `PySetObject`, whose table has entries of {key, hash}.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// `used`: the number of elements.
    pub used: usize,
    /// `mask`: one less than the size of the table.
    pub mask: usize,
    /// `table`: the pointer to it.
    pub table: usize,
    /// `smalltable`: the table of a small set.
    pub small_table: usize,
}

/// `PyODictObject`, and its nodes of {key, hash, next, previous}.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderedDict {
    /// `od_first`: the first node.
    pub first: usize,
    /// `od_fast_nodes_size`, in pointers.
    pub fast_nodes_size: usize,
    /// `_odictnode.next`.
    pub next: usize,
    /// Bytes of a node.
    pub node_size: u64,
}

/// `dequeobject`, and its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deque {
    /// `leftblock`.
    pub left_block: usize,
    /// `leftindex`: the index of the first item in it.
    pub left_index: usize,
    /// `maxlen`: the most items that it holds, or -1.
    pub max_length: usize,
    /// `numfreeblocks`: blocks kept for later use (from 3.11 on).
    pub free_blocks: Option<usize>,
    /// `block.data`: the items.
    pub block_items: usize,
    /// `block.rightlink`: the next block.
    pub block_right: usize,
    /// `BLOCKLEN`: items in a block.
    pub block_length: u64,
    /// Bytes of a block.
    pub block_size: u64,
}

/// `lru_cache_object`, which begins with a `lru_list_elem`, the root of a ring of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LruCache {
    /// `lru_list_elem.next`.
    pub next: usize,
    /// `lru_list_elem.key`.
    pub key: usize,
    /// `lru_list_elem.result`.
    pub result: usize,
    /// `maxsize`: the most results that it keeps, or -1.
    pub max_size: usize,
}

/// `PyByteArrayObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteArray {
    /// `ob_alloc`, in bytes.
    pub allocated: usize,
    /// `ob_start`: the pointer to the first byte.
    pub start: usize,
    /// Whether its buffer is the data of a `bytes` (from 3.15 on).
    pub is_in_bytes: bool,
}

/// `arrayobject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Array {
    /// `allocated`, in items.
    pub allocated: usize,
    /// `ob_descr`: the description of an item.
    pub descriptor: usize,
    /// `arraydescr.itemsize`, an `int`.
    pub item_size: usize,
}

/// `bytesio`, `stringio` and `buffered`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    /// `bytesio.string_size` and `stringio.string_size`: the length of the contents, in bytes and in
    /// characters.
    pub length: usize,
    /// `stringio.buf_size`, in four-byte characters.
    pub string_io_size: usize,
    /// `buffered.buffer`: the pointer to it.
    pub buffer: usize,
    /// `buffered.buffer_size`, in bytes.
    pub buffer_size: usize,
}

/// `RingBuf`, from the start of the object that contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingBuffer {
    /// `get_idx`: the index of the oldest item.
    pub first: usize,
    /// `items`: the pointer to them.
    pub items: usize,
    /// `items_cap`: the number of items that there is room for.
    pub capacity: usize,
    /// `num_items`.
    pub length: usize,
    /// Whether `sys.getsizeof` counts it (from 3.15 on).
    pub is_counted: bool,
}

/// `mmap_object`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mmap {
    /// `data`: the address of the mapping, null if it was closed.
    pub data: usize,
    /// `size`, in bytes.
    pub size: usize,
}

/// `PicklerObject` and `UnpicklerObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pickles {
    /// Whether `tp_traverse` visits what is in the memo (from 3.11.7 on).
    pub memo_is_shown: bool,
    /// Whether a method for persistent objects is kept as a function and the object that it is for, to which that is
    /// no reference (up to 3.12).
    pub methods_are_split: bool,
}

/// `teedataobject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tee {
    /// `numread`, an `int`: the number of items.
    pub count: usize,
    /// `values`: the items.
    pub items: usize,
}

/// `ElementObject`, and the `ElementObjectExtra` it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// `text`.
    pub text: usize,
    /// `tail`.
    pub tail: usize,
    /// `extra`: the pointer to the rest.
    pub extra: usize,
    /// `attrib` in the rest.
    pub attributes: usize,
    /// `length`: the number of children.
    pub length: usize,
    /// `allocated`: the number of children that there is room for.
    pub allocated: usize,
    /// `children`: the pointer to them.
    pub children: usize,
    /// `_children`: the place for a few children.
    pub first_children: usize,
    /// Bytes of an `ElementObjectExtra`.
    pub extra_size: u64,
}
