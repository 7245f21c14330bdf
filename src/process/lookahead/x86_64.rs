//! x86-64: the instructions that compilers put between a test and a call.
//!
//! Over 400 lines, because an instruction set belongs in one file, and half of the lines are its table of
//! instructions.

use iced_x86::{
    Code, ConditionCode, Decoder, DecoderOptions, Instruction, InstructionInfoFactory,
    InstructionInfoOptions, Mnemonic, OpAccess, OpKind, Register,
};

use super::{CallAhead, Registers};
use crate::memory::{Memory, PAGE};

/// The most instructions that are followed.
const FARTHEST: usize = 200;
/// The length of the longest instruction, in bytes.
const LONGEST: usize = 15;
/// The value that the pointer is assumed to hold: no function is there, or anywhere near.
const ANOTHER: u64 = 0x8bad_f00d_8bad_f00d;

/// The state that a thread would have some instructions from now. `None` means not known.
pub struct Thread<'a, C, D> {
    code: &'a C,
    data: &'a D,
    pointer: u64,
    instruction: u64,
    general: [Option<u64>; 16],
    flags: Flags,
    /// What it would have written by then: address, bytes, value; the latest last.
    written: Vec<(u64, u64, Option<u64>)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    zero: Option<bool>,
    carry: Option<bool>,
    sign: Option<bool>,
    overflow: Option<bool>,
}

/// Where an instruction leads.
enum Step {
    Next,
    To(u64),
    Call(CallAhead),
    Lost,
}

impl<'a, C: Memory, D: Memory> Thread<'a, C, D> {
    pub fn new(
        code: &'a C,
        data: &'a D,
        registers: &Registers,
        pointer: u64,
        function: u64,
    ) -> Self {
        let is_function = |&value: &u64| value == function;
        // If no register holds it, the pointer was compared in memory, and the result is in the flags.
        let compared = !registers.general.iter().any(is_function);
        let flags = Flags { zero: compared.then_some(false), ..Flags::default() };
        Thread {
            code,
            data,
            pointer,
            instruction: registers.instruction,
            general: registers
                .general
                .map(|value| Some(if value == function { ANOTHER } else { value })),
            flags,
            written: Vec::new(),
        }
    }

    pub fn follow(mut self) -> Option<CallAhead> {
        for _ in 0..FARTHEST {
            let instruction = self.decode()?;
            match self.step(&instruction) {
                Step::Next => self.instruction = instruction.next_ip(),
                Step::To(address) => self.instruction = address,
                Step::Call(call) => return Some(call),
                Step::Lost => return None,
            }
        }
        None
    }

    fn decode(&self) -> Option<Instruction> {
        let mut bytes = [0; LONGEST];
        // The last instruction of a mapping may have no memory after it.
        let in_page = LONGEST.min((PAGE - self.instruction % PAGE) as usize);
        let (here, beyond) = bytes.split_at_mut(in_page);
        self.code.read(self.instruction, here).ok()?;
        // Bytes that cannot be read stay zero.
        let _ = self.code.read(self.instruction.wrapping_add(in_page as u64), beyond);
        let mut decoder = Decoder::with_ip(64, &bytes, self.instruction, DecoderOptions::NONE);
        Some(decoder.decode()).filter(|instruction| instruction.code() != Code::INVALID)
    }

    fn step(&mut self, instruction: &Instruction) -> Step {
        match instruction.mnemonic() {
            Mnemonic::Call | Mnemonic::Jmp => return self.branch(instruction),
            Mnemonic::Nop | Mnemonic::Endbr64 => {}
            Mnemonic::Mov | Mnemonic::Movzx => {
                let value = self.operand(instruction, 1);
                self.assign(instruction, value);
            }
            Mnemonic::Movsx | Mnemonic::Movsxd => {
                let width = self.width(instruction, 1);
                let value = self.operand(instruction, 1).map(|value| extend(value, width));
                self.assign(instruction, value);
            }
            Mnemonic::Lea => {
                let value = self.address(instruction);
                self.assign(instruction, value);
            }
            Mnemonic::Push => {
                let value = self.operand(instruction, 0);
                self.move_stack(8_u64.wrapping_neg());
                self.write(self.register(Register::RSP), 8, value);
            }
            Mnemonic::Pop => {
                let value = self.read(self.register(Register::RSP), 8);
                self.move_stack(8);
                self.assign(instruction, value);
            }
            Mnemonic::Leave => {
                let frame = self.register(Register::RBP);
                self.set_register(Register::RSP, frame);
                let value = self.read(frame, 8);
                self.move_stack(8);
                self.set_register(Register::RBP, value);
            }
            Mnemonic::Add
            | Mnemonic::Sub
            | Mnemonic::Cmp
            | Mnemonic::And
            | Mnemonic::Test
            | Mnemonic::Or
            | Mnemonic::Xor => self.combine(instruction),
            Mnemonic::Shl | Mnemonic::Shr | Mnemonic::Sar => self.shift(instruction),
            _ if instruction.is_jcc_short_or_near() => {
                return match self.holds(instruction.condition_code()) {
                    Some(true) => Step::To(instruction.near_branch_target()),
                    Some(false) => Step::Next,
                    None => Step::Lost,
                };
            }
            Mnemonic::Ret | Mnemonic::Retf | Mnemonic::Syscall | Mnemonic::Int3 => {
                return Step::Lost;
            }
            _ => self.forget(instruction),
        }
        Step::Next
    }

    /// A call or jump. Only the call to the pointer that was read is of interest; calls to other functions
    /// are not followed.
    fn branch(&mut self, instruction: &Instruction) -> Step {
        let is_call = instruction.mnemonic() == Mnemonic::Call;
        if instruction.is_jmp_short_or_near() {
            return Step::To(instruction.near_branch_target());
        }
        let indirect = instruction.is_jmp_near_indirect() || instruction.is_call_near_indirect();
        if !indirect || self.operand(instruction, 0) != Some(ANOTHER) {
            return Step::Lost;
        }
        let returns_to = if is_call {
            Some(instruction.next_ip())
        } else {
            self.read(self.register(Register::RSP), 8)
        };
        let arguments = [Register::RDI, Register::RSI, Register::RDX].map(|r| self.register(r));
        Step::Call(CallAhead { arguments, returns_to })
    }

    /// Addition, subtraction and logic, with their flags.
    fn combine(&mut self, instruction: &Instruction) {
        let width = self.width(instruction, 0);
        let mnemonic = instruction.mnemonic();
        let same = instruction.op0_kind() == OpKind::Register
            && instruction.op1_kind() == OpKind::Register
            && instruction.op0_register() == instruction.op1_register();
        let (first, second) = if same && mnemonic == Mnemonic::Xor {
            (Some(0), Some(0))
        } else {
            (self.operand(instruction, 0), self.operand(instruction, 1))
        };
        let (Some(first), Some(second)) = (first, second) else {
            self.flags = Flags::default();
            if !matches!(mnemonic, Mnemonic::Cmp | Mnemonic::Test) {
                self.assign(instruction, None);
            }
            return;
        };
        let (first, second) = (cut(first, width), cut(second, width));
        let (result, carry, overflow) = match mnemonic {
            Mnemonic::Add => {
                let result = cut(first.wrapping_add(second), width);
                let overflow = !(first ^ second) & (first ^ result);
                (result, result < first, negative(overflow, width))
            }
            Mnemonic::Sub | Mnemonic::Cmp => {
                let result = cut(first.wrapping_sub(second), width);
                let overflow = (first ^ second) & (first ^ result);
                (result, first < second, negative(overflow, width))
            }
            Mnemonic::And | Mnemonic::Test => (first & second, false, false),
            Mnemonic::Or => (first | second, false, false),
            _ => (first ^ second, false, false),
        };
        self.flags = Flags {
            zero: Some(result == 0),
            carry: Some(carry),
            sign: Some(negative(result, width)),
            overflow: Some(overflow),
        };
        if !matches!(mnemonic, Mnemonic::Cmp | Mnemonic::Test) {
            self.assign(instruction, Some(result));
        }
    }

    fn shift(&mut self, instruction: &Instruction) {
        let width = self.width(instruction, 0);
        let shifted = || {
            let value = cut(self.operand(instruction, 0)?, width);
            let most = if width == 8 { 63 } else { 31 };
            let by = self.operand(instruction, 1)? & most;
            Some(match instruction.mnemonic() {
                Mnemonic::Shl => cut(value.wrapping_shl(by as u32), width),
                Mnemonic::Shr => value.wrapping_shr(by as u32),
                _ => cut((extend(value, width) as i64).wrapping_shr(by as u32) as u64, width),
            })
        };
        let value = shifted();
        // Unknown from here: no branch before a call that matters depends on the flags of a shift.
        self.flags = Flags::default();
        self.assign(instruction, value);
    }

    /// Handles all other instructions: what they write is not known any more.
    fn forget(&mut self, instruction: &Instruction) {
        let mut factory = InstructionInfoFactory::new();
        let information = factory.info_options(instruction, InstructionInfoOptions::NONE);
        for used in information.used_registers() {
            if is_written(used.access()) {
                self.set_register(used.register(), None);
            }
        }
        for used in information.used_memory() {
            if is_written(used.access()) {
                let size = used.memory_size().size() as u64;
                let address = used.virtual_address(0, |register, _, _| {
                    if register.is_segment_register() { Some(0) } else { self.register(register) }
                });
                self.write(address, size, None);
            }
        }
        if instruction.rflags_modified() != 0 {
            self.flags = Flags::default();
        }
    }

    fn holds(&self, condition: ConditionCode) -> Option<bool> {
        let Flags { zero, carry, sign, overflow } = self.flags;
        let less = || Some(sign? != overflow?);
        Some(match condition {
            ConditionCode::o => overflow?,
            ConditionCode::no => !overflow?,
            ConditionCode::b => carry?,
            ConditionCode::ae => !carry?,
            ConditionCode::e => zero?,
            ConditionCode::ne => !zero?,
            ConditionCode::be => carry? || zero?,
            ConditionCode::a => !carry? && !zero?,
            ConditionCode::s => sign?,
            ConditionCode::ns => !sign?,
            ConditionCode::l => less()?,
            ConditionCode::ge => !less()?,
            ConditionCode::le => zero? || less()?,
            ConditionCode::g => !zero? && !less()?,
            _ => return None,
        })
    }

    fn width(&self, instruction: &Instruction, operand: u32) -> u64 {
        match instruction.op_kind(operand) {
            OpKind::Register => instruction.op_register(operand).size() as u64,
            _ => instruction.memory_size().size() as u64,
        }
    }

    fn operand(&self, instruction: &Instruction, operand: u32) -> Option<u64> {
        match instruction.op_kind(operand) {
            OpKind::Register => self.register(instruction.op_register(operand)),
            OpKind::Memory => {
                self.read(self.address(instruction), instruction.memory_size().size() as u64)
            }
            _ => instruction.try_immediate(operand).ok(),
        }
    }

    fn assign(&mut self, instruction: &Instruction, value: Option<u64>) {
        match instruction.op0_kind() {
            OpKind::Register => self.set_register(instruction.op0_register(), value),
            _ => {
                let size = instruction.memory_size().size() as u64;
                self.write(self.address(instruction), size, value);
            }
        }
    }

    fn address(&self, instruction: &Instruction) -> Option<u64> {
        instruction.virtual_address(memory_operand(instruction), 0, |register, _, _| {
            match register {
                // Thread-local memory: its start is not among the registers we have.
                Register::FS | Register::GS => None,
                register if register.is_segment_register() => Some(0),
                register => self.register(register),
            }
        })
    }

    /// The value of a general register, or of part of one.
    fn register(&self, register: Register) -> Option<u64> {
        if register == Register::RIP {
            return Some(0);
        }
        let value = (*self.general.get(general(register)?)?)?;
        Some(match register.size() {
            _ if is_second_byte(register) => value >> 8 & 0xff,
            size => cut(value, size as u64),
        })
    }

    fn set_register(&mut self, register: Register, value: Option<u64>) {
        let Some(slot) = general(register).and_then(|number| self.general.get_mut(number)) else {
            return;
        };
        *slot = match (register.size(), value) {
            (8, value) => value,
            (4, value) => value.map(|value| cut(value, 4)),
            // Only part of it is replaced.
            (size, Some(value)) if !is_second_byte(register) => {
                slot.map(|whole| whole & !cut(u64::MAX, size as u64) | cut(value, size as u64))
            }
            _ => None,
        };
    }

    fn move_stack(&mut self, by: u64) {
        let stack = self.register(Register::RSP).map(|stack| stack.wrapping_add(by));
        self.set_register(Register::RSP, stack);
    }

    fn read(&self, address: Option<u64>, size: u64) -> Option<u64> {
        let address = address?;
        let overlaps = |&&(at, length, _): &&(u64, u64, Option<u64>)| {
            at < address.saturating_add(size) && address < at.saturating_add(length)
        };
        if let Some(&(at, length, value)) = self.written.iter().rev().find(overlaps) {
            return value.filter(|_| (at, length) == (address, size));
        }
        if (address, size) == (self.pointer, 8) {
            return Some(ANOTHER);
        }
        let mut bytes = [0; 8];
        self.data.read(address, bytes.get_mut(..size as usize)?).ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    fn write(&mut self, address: Option<u64>, size: u64, value: Option<u64>) {
        // A write to an unknown address is assumed not to matter: it goes to a block of the caller, not to
        // the stack, whose addresses are known.
        if let Some(address) = address {
            self.written.push((address, size, value.map(|value| cut(value, size))));
        }
    }
}

fn memory_operand(instruction: &Instruction) -> u32 {
    (0..instruction.op_count())
        .find(|&operand| instruction.op_kind(operand) == OpKind::Memory)
        .unwrap_or(0)
}

fn is_written(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

/// The number of the general register that this one is, or is part of.
fn general(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}

fn is_second_byte(register: Register) -> bool {
    matches!(register, Register::AH | Register::BH | Register::CH | Register::DH)
}

/// The low `width` bytes.
fn cut(value: u64, width: u64) -> u64 {
    if width >= 8 { value } else { value & ((1 << (8 * width)) - 1) }
}

fn negative(value: u64, width: u64) -> bool {
    value >> (8 * width.clamp(1, 8) - 1) & 1 == 1
}

/// The low `width` bytes, sign-extended.
fn extend(value: u64, width: u64) -> u64 {
    let unused = 64 - 8 * width.clamp(1, 8) as u32;
    (value.wrapping_shl(unused) as i64).wrapping_shr(unused) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ReadError;

    const CODE: u64 = 0x40_1000;
    const STACK: u64 = 0x7fff_0000;
    const POINTER: u64 = 0x95_9f48;
    const FUNCTION: u64 = 0x4f_b450;

    /// Some bytes at an address, and nothing else.
    struct At(u64, Vec<u8>);

    impl Memory for At {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            let error = ReadError::Unmapped { address, length: buffer.len() };
            let start = address.checked_sub(self.0).ok_or(error)? as usize;
            let piece = self.1.get(start..).and_then(|rest| rest.get(..buffer.len()));
            buffer.copy_from_slice(piece.ok_or(error)?);
            Ok(())
        }
    }

    fn code(bytes: &[u8]) -> At {
        let mut page = vec![0xcc; 4096];
        page[..bytes.len()].copy_from_slice(bytes);
        At(CODE, page)
    }

    fn registers(changes: &[(usize, u64)]) -> Registers {
        let mut general = [1; 16];
        general[4] = STACK;
        for &(number, value) in changes {
            general[number] = value;
        }
        Registers { instruction: CODE, stack: STACK, arguments: [0; 3], general, link: None }
    }

    fn follow(bytes: &[u8], changes: &[(usize, u64)]) -> Option<CallAhead> {
        let stack = At(STACK, (0..64).collect());
        let code = code(bytes);
        Thread::new(&code, &stack, &registers(changes), POINTER, FUNCTION).follow()
    }

    #[test]
    fn the_other_branch_of_a_promoted_call_tells_the_arguments() {
        // cmp rax, FUNCTION; jne +2; (int3; int3;) mov rsi, r12; xor edi, edi; call rax
        let bytes = [
            0x48, 0x3d, 0x50, 0xb4, 0x4f, 0x00, 0x75, 0x02, 0xcc, 0xcc, 0x4c, 0x89, 0xe6, 0x31,
            0xff, 0xff, 0xd0,
        ];
        let call = follow(&bytes, &[(0, FUNCTION), (12, 48)]).expect("a call");
        assert_eq!(call.arguments, [Some(0), Some(48), Some(1)]);
        assert_eq!(call.returns_to, Some(CODE + bytes.len() as u64));
    }

    #[test]
    fn a_jump_to_the_pointer_returns_to_whoever_called() {
        // push rbx; mov rsi, rdi; pop rbx; jmp rdx
        let call = follow(&[0x53, 0x48, 0x89, 0xfe, 0x5b, 0xff, 0xe2], &[(2, FUNCTION), (7, 9)]);
        let call = call.expect("a call");
        assert_eq!(call.arguments[1], Some(9));
        assert_eq!(call.returns_to, Some(0x0706_0504_0302_0100));
    }

    #[test]
    fn what_is_pushed_is_what_is_popped() {
        // push r12; pop rsi; jmp rax
        let call = follow(&[0x41, 0x54, 0x5e, 0xff, 0xe0], &[(0, FUNCTION), (12, 77)]);
        assert_eq!(call.expect("a call").arguments[1], Some(77));
    }

    #[test]
    fn a_frame_is_left_before_a_jump() {
        // mov rsi, rdi; leave; jmp rax
        let bytes = [0x48, 0x89, 0xfe, 0xc9, 0xff, 0xe0];
        let call = follow(&bytes, &[(0, FUNCTION), (5, STACK + 8), (7, 9)]).expect("a call");
        assert_eq!(call.arguments[1], Some(9));
        assert_eq!(call.returns_to, Some(0x1716_1514_1312_1110));
        let call = follow(&bytes, &[(0, FUNCTION), (5, 0), (7, 9)]).expect("a call");
        assert_eq!((call.arguments[1], call.returns_to), (Some(9), None));
    }

    #[test]
    fn memory_that_was_compared_with_the_function_is_not_it() {
        // (cmp qword [POINTER], FUNCTION;) je +1; nop; lea rsi, [r12+4*rcx+8]; jmp [POINTER]
        let mut bytes = vec![0x74, 0x01, 0x90, 0x49, 0x8d, 0x74, 0x8c, 0x08, 0xff, 0x24, 0x25];
        bytes.extend((POINTER as u32).to_le_bytes());
        let call = follow(&bytes, &[(12, 100), (1, 5)]).expect("a call");
        assert_eq!(call.arguments[1], Some(128));
    }

    #[test]
    fn what_is_not_understood_is_not_known() {
        // bswap rsi; mov edx, 3; call rax
        let bytes = [0x48, 0x0f, 0xce, 0xba, 3, 0, 0, 0, 0xff, 0xd0];
        let call = follow(&bytes, &[(0, FUNCTION)]).expect("a call");
        assert_eq!(call.arguments, [Some(1), None, Some(3)]);
        // bswap rsi; test rsi, rsi; jne 0; call rax
        let bytes = [0x48, 0x0f, 0xce, 0x48, 0x85, 0xf6, 0x75, 0, 0xff, 0xd0];
        assert_eq!(follow(&bytes, &[(0, FUNCTION)]), None);
    }

    #[test]
    fn an_endless_loop_ends() {
        assert_eq!(follow(&[0xeb, 0xfe], &[(0, FUNCTION)]), None);
    }
}
