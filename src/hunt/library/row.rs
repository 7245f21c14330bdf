//! A row of the [table](super::table): which objects pile up, where, in which state; and what that means.

/// One mistake. What is left out, with `..ANY`, may be anything.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The type of the objects that pile up, or a base of it: `module.Class`, as Python says it.
    pub objects: &'static [&'static str],
    /// Where they pile up: in one of these places.
    pub places: &'static [Place],
    /// A package that must have been imported, where the place is a mere name.
    pub package: Option<&'static str>,
    /// The state that most of the objects are in.
    pub state: State,
    /// Whether objects in this state have ended, so that they wait for nothing.
    pub have_ended: bool,
    /// What that means. These words stand for what was seen:
    ///
    /// | | |
    /// |---|---|
    /// | `{count}` | how many were looked at and how many are in the state: `97 of 100` |
    /// | `{wait}` | where most of them wait, after a blank: ` in Queue.get (queues.py:158)`; or nothing |
    /// | `{discard}` | the call that takes an item out of the holder when it is done |
    /// | `{labels}` | which label has most values, after a semicolon; or nothing |
    pub meaning: &'static str,
    /// What to do about it, with the same words.
    pub advice: &'static str,
}

/// Anything.
pub const ANY: Row = Row {
    objects: &[],
    places: &[],
    package: None,
    state: State::Any,
    have_ended: false,
    meaning: "",
    advice: "",
};

/// A place where objects pile up. Types are given like those of the objects; a class stands for itself and
/// for its instances.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// The holder is of one of these types.
    Holder(&'static [&'static str]),
    /// The holder is one of these attributes of an object of one of these types.
    Attribute(&'static [&'static str], &'static [&'static str]),
    /// The holder is one of these attributes, or is in it: a list in the dict of an event emitter. Without
    /// types, of any object. A name may begin or end with an asterisk.
    Within(&'static [&'static str], &'static [&'static str]),
    /// The holder is one of these global variables, of any module.
    Global(&'static [&'static str]),
    /// The hunt calls the holder one of these: a field of the interpreter itself.
    Called(&'static [&'static str]),
}

/// The state of the objects that pile up, or of the place.
#[derive(Debug, Clone, Copy)]
pub enum State {
    /// Any.
    Any,
    /// This attribute of theirs, or an attribute of an attribute, has one of these values, as `str` gives them.
    /// An object that is neither text nor a number nor a constant gives the name of its type.
    Have(&'static str, &'static [&'static str]),
    /// It has none of these values.
    HaveNot(&'static str, &'static [&'static str]),
    /// This attribute of the place has one of these values: of the holder, or of the object whose attribute it
    /// is.
    PlaceHas(&'static str, &'static [&'static str]),
    /// They are threads that run.
    Run,
    /// They are threads that do not run.
    DoNotRun,
    /// They are the values of a dict with weak keys, and refer to their keys.
    LeadBack,
}
