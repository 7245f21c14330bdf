//! Where allocations can be observed, and how large each is.
//!
//! The interpreter calls its allocator through tables of function pointers. Where the compiler kept those
//! calls, the breakpoints are on the functions themselves, whose arguments are where the calling convention
//! has them. Where it inlined pymalloc at hundreds of places (see [`allocators`](crate::python::allocators)),
//! the functions are hardly ever reached; there the breakpoints are on *reads of the pointers*, and
//! [`lookahead`](crate::process::lookahead) finds the arguments.
//!
//! There are six pointers and four breakpoints, so those to `calloc` or those to `realloc` are left out in turn, at
//! random; what is observed half of the time counts twice.

use super::samples::Call;
use crate::memory::{Cached, Memory};
use crate::process::breakpoint::{Breakpoints, Kind, MOST_SPOTS, Spot};
use crate::process::lookahead::call_ahead;
use crate::process::{Process, ptrace};
use crate::python::{AllocatorCode, AllocatorError, AllocatorFunctions, Python, Route};

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
    /// The places watched now, in the order of their spots, and one in how many bursts watches each.
    now: Vec<(Place, f64)>,
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
        let first = if random.bool() { Call::Calloc } else { Call::Realloc };
        self.by_turns.sort_by_key(|place| place.call != first);
        let free = MOST_SPOTS.saturating_sub(self.always.len()).min(self.by_turns.len());
        let one_in = self.by_turns.len() as f64 / free.max(1) as f64;
        self.now.clear();
        self.now.extend(self.always.iter().map(|place| (*place, 1.0)));
        self.now.extend(self.by_turns.iter().take(free).map(|place| (*place, one_in)));
    }

    /// Whether allocations made by this route are watched now.
    pub fn watches(&self, route: Route) -> bool {
        self.now.iter().any(|(place, _)| match route {
            Route::Pointer(pointer) => place.pointer == Some(pointer),
            Route::Function(function) => place.function == function,
            Route::Any => true,
        })
    }

    /// Whether [`allocating`](Self::allocating) can tell.
    pub fn knows_allocating(&self) -> bool {
        self.allocating.is_some()
    }

    /// The route of the allocation that a stopped thread is making, if it makes one.
    pub fn allocating(&self, tid: i32) -> Option<Route> {
        let here = ptrace::registers(tid).ok()?.instruction;
        self.allocating.as_ref()?.route(here)
    }

    /// The spots for breakpoints now.
    pub fn spots(&self) -> Vec<Spot> {
        let spot = |place: &Place| match place.pointer {
            Some(address) => Spot { address, kind: Kind::Access { length: 8 } },
            None => Spot { address: place.function, kind: Kind::Execute },
        };
        self.now.iter().map(|(place, _)| spot(place)).collect()
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
        let spot = match self.now.iter().any(|(place, _)| place.pointer.is_none()) {
            true => self.now.iter().position(|(place, _)| entered(place))?,
            false => breakpoints.spot_of(tid).ok()?,
        };
        let (place, one_in) = self.now.get(spot)?;
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
        let inner = place.pointer.is_none() && self.is_inner(python, caller);
        Some(Asked { spot, call: place.call, bytes, caller, inner, one_in: *one_in })
    }

    /// Whether the call comes from inside the allocator: `realloc` calls `malloc` when it must move a block
    /// (`_PyObject_Realloc`, Objects/obmalloc.c), and is counted itself.
    fn is_inner(&self, python: &Python, caller: u64) -> bool {
        if let Some(name) = python.image.function_at(caller) {
            return ["_PyObject_Realloc", "pymalloc_realloc"].iter().any(|it| name.starts_with(it));
        }
        self.now.iter().any(|(place, _)| {
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

    #[test]
    fn the_turns_are_those_of_functions() {
        let domains = [domain(0x100, 0x4000), domain(0x200, 0x4000)];
        let (always, by_turns) = pointers(&domains);
        let code = Cached::new(Process::open(std::process::id() as i32).expect("this process"));
        let mut calls = Calls { always, by_turns, now: Vec::new(), code, allocating: None };
        let mut random = fastrand::Rng::with_seed(1);
        let (mut turns, mut of_calloc) = (0, 0);
        while turns < 1_000 {
            calls.turn(&mut random);
            turns += 1;
            let [calloc, realloc] = [0x110, 0x118].map(|it| calls.watches(Route::Pointer(it)));
            assert!(calloc != realloc && calls.watches(Route::Pointer(0x108)));
            // A function is watched with all that lead to it, or not at all.
            assert_eq!(calloc, calls.watches(Route::Function(domains[0].calloc)));
            assert_eq!(calls.watches(Route::Pointer(0x210)), calloc);
            of_calloc += u32::from(calloc);
        }
        assert!((400..600).contains(&of_calloc), "{of_calloc}");
        assert!(
            calls.now.iter().all(|(place, one_in)| (place.call == Call::Malloc) == (*one_in < 2.0))
        );
    }
}
