//! Where allocations can be observed, and how large each is.
//!
//! The interpreter calls its allocator through tables of function pointers. Where the compiler kept those
//! calls, the breakpoints are on the functions themselves, whose arguments are where the calling convention
//! has them. Where it inlined pymalloc at hundreds of places (see [`allocators`](crate::python::allocators)),
//! the functions are hardly ever reached; there the breakpoints are on *reads of the pointers*, and
//! [`lookahead`](crate::process::lookahead) finds the arguments.
//!
//! There are six pointers and four breakpoints, so two of the four rarer pointers are left out in turn, at
//! random; one that is observed half of the time counts twice.

use super::samples::Call;
use crate::memory::{Cached, Memory};
use crate::process::breakpoint::{Breakpoints, Kind, MOST_SPOTS, Spot};
use crate::process::lookahead::call_ahead;
use crate::process::{Process, ptrace};
use crate::python::{AllocatorCode, AllocatorError, AllocatorFunctions, Python};

/// How far a function's own code may reach behind its entry, where no symbol says.
const FUNCTION_SPAN: u64 = 1024;

/// One function of the allocator, and where its breakpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    call: Call,
    function: u64,
    /// The word that points to it, if reads of that word are watched.
    pointer: Option<u64>,
}

/// An allocation that a thread is about to make.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked {
    /// The index of the spot where it was seen.
    pub spot: usize,
    /// The function called.
    pub call: Call,
    /// How many bytes it requests, if known.
    pub bytes: Option<u64>,
    /// The function's return address, in the C function that calls it.
    pub caller: u64,
    /// Whether another of the functions made the call, as part of a call that is counted itself.
    pub inner: bool,
    /// One in how many bursts watches this function.
    pub one_in: f64,
}

/// The places where allocations are watched.
#[derive(Debug)]
pub struct Calls {
    always: Vec<Place>,
    by_turns: Vec<Place>,
    /// The places watched now, in the order of their spots.
    now: Vec<Place>,
    code: Cached<Process>,
    /// The instructions that make an allocation, if known.
    allocating: Option<AllocatorCode>,
}

impl Calls {
    /// Chooses the places for the present allocators. `process` is that of `python`.
    pub fn choose(python: &Python, process: Process) -> Result<Calls, AllocatorError> {
        let allocators = python.allocators(&process)?;
        let domains = [allocators.object, allocators.mem];
        let copied = allocators.is_pymalloc && python.is_copied(&process, domains[0].malloc);
        let (always, by_turns) =
            if copied { pointers(&domains) } else { (entries(&domains), vec![]) };
        let allocating = python.allocator_code(&process, &allocators, copied);
        let code = Cached::new(process);
        let mut calls = Calls { always, by_turns, now: Vec::new(), code, allocating };
        calls.turn(&mut fastrand::Rng::with_seed(0));
        Ok(calls)
    }

    /// Chooses the places for the next burst.
    pub fn turn(&mut self, random: &mut fastrand::Rng) {
        random.shuffle(&mut self.by_turns);
        self.now.clear();
        self.now.extend(self.always.iter().chain(&self.by_turns).take(MOST_SPOTS));
    }

    /// Whether [`is_allocating`](Self::is_allocating) can tell.
    pub fn knows_allocating(&self) -> bool {
        self.allocating.is_some()
    }

    /// Whether a stopped thread is making an allocation.
    pub fn is_allocating(&self, tid: i32) -> bool {
        let here = ptrace::registers(tid).map(|registers| registers.instruction);
        let code = self.allocating.as_ref();
        code.zip(here.ok()).is_some_and(|(code, here)| code.contains(here))
    }

    /// The spots for breakpoints now.
    pub fn spots(&self) -> Vec<Spot> {
        let spot = |place: &Place| match place.pointer {
            Some(address) => Spot { address, kind: Kind::Access { length: 8 } },
            None => Spot { address: place.function, kind: Kind::Execute },
        };
        self.now.iter().map(spot).collect()
    }

    /// The request of a thread that has stopped at one of the spots.
    pub fn asked(
        &self,
        python: &Python,
        process: &Process,
        breakpoints: &Breakpoints,
        tid: i32,
    ) -> Option<Asked> {
        let registers = ptrace::registers(tid).ok()?;
        let entered = |place: &Place| place.function == registers.instruction;
        let spot = match self.now.iter().position(|place| place.pointer.is_none()) {
            Some(_) => self.now.iter().position(entered)?,
            None => breakpoints.spot_of(tid).ok()?,
        };
        let place = self.now.get(spot)?;
        let (arguments, caller) = match place.pointer {
            // An indirect call through the pointer reads it and jumps in one instruction.
            Some(pointer) if !entered(place) => {
                let ahead = call_ahead(&self.code, process, &registers, pointer, place.function);
                let arguments = ahead.map_or([None; 3], |ahead| ahead.arguments);
                let caller = ahead.and_then(|ahead| ahead.returns_to);
                (arguments, caller.unwrap_or(registers.instruction))
            }
            _ => {
                let caller = match registers.link {
                    Some(link) => link,
                    None => process.u64(registers.stack).ok()?,
                };
                (registers.arguments.map(Some), caller)
            }
        };
        let [_, first, second] = arguments;
        let bytes = match place.call {
            Call::Malloc => first,
            Call::Calloc => first.zip(second).map(|(count, size)| count.saturating_mul(size)),
            Call::Realloc => second,
        };
        let of_turns = self.now.len().saturating_sub(self.always.len());
        let one_in = if spot < self.always.len() {
            1.0
        } else {
            self.by_turns.len() as f64 / of_turns.max(1) as f64
        };
        let inner = place.pointer.is_none() && self.is_inner(python, caller);
        Some(Asked { spot, call: place.call, bytes, caller, inner, one_in })
    }

    /// Whether the call comes from inside the allocator: `realloc` calls `malloc` when it must move a block
    /// (`_PyObject_Realloc`, Objects/obmalloc.c), and is counted itself.
    fn is_inner(&self, python: &Python, caller: u64) -> bool {
        if let Some(name) = python.image.function_at(caller) {
            return ["_PyObject_Realloc", "pymalloc_realloc"].iter().any(|it| name.starts_with(it));
        }
        self.now.iter().any(|place| {
            place.call == Call::Realloc
                && (place.function..place.function.saturating_add(FUNCTION_SPAN)).contains(&caller)
        })
    }
}

fn functions(domain: &AllocatorFunctions) -> [(Call, u64, u64); 3] {
    [
        (Call::Malloc, domain.malloc, AllocatorFunctions::MALLOC),
        (Call::Calloc, domain.calloc, AllocatorFunctions::CALLOC),
        (Call::Realloc, domain.realloc, AllocatorFunctions::REALLOC),
    ]
}

/// The distinct functions of these domains; those that share one count once.
fn entries(domains: &[AllocatorFunctions]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::with_capacity(MOST_SPOTS);
    for (call, function, _) in domains.iter().flat_map(functions) {
        if places.iter().all(|place| place.function != function) && places.len() < MOST_SPOTS {
            places.push(Place { call, function, pointer: None });
        }
    }
    places
}

/// The pointers of these domains: those to `malloc`, and the others.
fn pointers(domains: &[AllocatorFunctions]) -> (Vec<Place>, Vec<Place>) {
    let place = |domain: &AllocatorFunctions| {
        let table = domain.table;
        functions(domain).map(|(call, function, offset)| Place {
            call,
            function,
            pointer: Some(table.wrapping_add(offset)),
        })
    };
    domains.iter().flat_map(place).partition(|place| place.call == Call::Malloc)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(table: u64, first: u64) -> AllocatorFunctions {
        let [malloc, calloc, realloc, free] = [0, 1, 2, 3].map(|number| first + 0x100 * number);
        AllocatorFunctions { table, context: 0, malloc, calloc, realloc, free }
    }

    #[test]
    fn functions_that_domains_share_are_waited_for_once() {
        let (object, mem) = (domain(0x100, 0x4000), domain(0x200, 0x4000));
        assert_eq!(entries(&[object, mem]).len(), 3);
        assert_eq!(entries(&[object, domain(0x200, 0x8000)]).len(), MOST_SPOTS);
    }

    #[test]
    fn every_pointer_is_waited_for_at_some_time_and_those_to_malloc_always() {
        let (always, by_turns) = pointers(&[domain(0x100, 0x4000), domain(0x200, 0x4000)]);
        let of = |places: &[Place]| places.iter().filter_map(|p| p.pointer).collect::<Vec<_>>();
        assert_eq!(of(&always), [0x108, 0x208]);
        assert_eq!(of(&by_turns), [0x110, 0x118, 0x210, 0x218]);
    }
}
