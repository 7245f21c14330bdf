//! The numbers of the bytecode instructions that leakspy understands, and the length of all.
//!
//! Instructions are two bytes each: a number and an argument. From 3.11 on the interpreter replaces those that
//! run often by specialized ones, in place, and gives each room for a cache: units of two bytes that follow
//! it and are none. From `Lib/opcode.py`, `Lib/_opcode_metadata.py` (3.13 and later) and `Lib/dis.py`.

/// What an instruction does, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `EXTENDED_ARG`: the upper bits of the next argument.
    ExtendedArg,
    /// `DELETE_SUBSCR`.
    DeleteItem,
    /// `COMPARE_OP`.
    Compare,
    /// `LOAD_CONST`.
    Constant,
    /// `LOAD_SMALL_INT`: the argument itself (from 3.14 on).
    SmallInt,
    /// `STORE_ATTR`, `STORE_GLOBAL`, `STORE_NAME`.
    StoreName,
    /// `LOAD_NAME`.
    Name,
    /// `LOAD_GLOBAL`.
    Global,
    /// `LOAD_ATTR`, `LOAD_METHOD`.
    Attribute,
    /// `STORE_FAST`.
    StoreLocal,
    /// `LOAD_FAST` and its relatives.
    Local,
    /// `LOAD_FAST_LOAD_FAST`: two numbers in one argument (from 3.13 on).
    TwoLocals,
    /// `STORE_FAST_LOAD_FAST` (from 3.13 on).
    StoreLoad,
    /// `LOAD_DEREF` and its relatives.
    Cell,
}

/// Instructions, as ranges of numbers, both ends included.
type Numbers = &'static [(u8, u8)];

/// The instructions of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opcodes {
    /// What each does; those that do not matter are absent.
    operations: &'static [(Operation, Numbers)],
    /// How many units follow each; those that no unit follows are absent.
    caches: &'static [(u8, Numbers)],
    /// How many low bits of an argument are no part of a name's number, for `LOAD_GLOBAL`.
    pub global_shift: u32,
    /// The same for `LOAD_ATTR`.
    pub attribute_shift: u32,
}

impl Opcodes {
    /// What an instruction does; `None` if it does not matter.
    pub fn operation(&self, opcode: u8) -> Option<Operation> {
        of(self.operations, opcode)
    }

    /// How many units of two bytes follow an instruction before the next.
    pub fn caches(&self, opcode: u8) -> u8 {
        of(self.caches, opcode).unwrap_or_default()
    }
}

fn of<T: Copy>(table: &[(T, Numbers)], opcode: u8) -> Option<T> {
    let is_in = |numbers: Numbers| numbers.iter().any(|&(from, to)| (from..=to).contains(&opcode));
    table.iter().find(|(_, numbers)| is_in(numbers)).map(|(value, _)| *value)
}

/// CPython 3.8 to 3.10.
pub static V3_8: Opcodes = Opcodes {
    operations: &[
        (Operation::ExtendedArg, &[(144, 144)]),
        (Operation::DeleteItem, &[(61, 61)]),
        (Operation::Compare, &[(107, 107)]),
        (Operation::Constant, &[(100, 100)]),
        (Operation::StoreName, &[(90, 90), (95, 95), (97, 97)]),
        (Operation::Name, &[(101, 101)]),
        (Operation::Global, &[(116, 116)]),
        (Operation::Attribute, &[(106, 106), (160, 160)]),
        (Operation::StoreLocal, &[(125, 125)]),
        (Operation::Local, &[(124, 124)]),
        (Operation::Cell, &[(136, 136), (148, 148)]),
    ],
    caches: &[],
    global_shift: 0,
    attribute_shift: 0,
};

/// CPython 3.11.
pub static V3_11: Opcodes = Opcodes {
    operations: &[
        (Operation::ExtendedArg, &[(34, 34), (144, 144)]),
        (Operation::DeleteItem, &[(61, 61)]),
        (Operation::Compare, &[(26, 29), (107, 107)]),
        (Operation::Constant, &[(44, 44), (100, 100)]),
        (Operation::StoreName, &[(90, 90), (95, 95), (97, 97), (153, 154), (158, 159)]),
        (Operation::Name, &[(101, 101)]),
        (Operation::Global, &[(47, 48), (55, 55), (116, 116)]),
        (Operation::Attribute, &[(39, 43), (56, 59), (62, 63), (106, 106), (160, 160)]),
        (Operation::StoreLocal, &[(125, 125), (161, 161), (167, 167)]),
        (Operation::Local, &[(45, 46), (124, 124)]),
        (Operation::Cell, &[(137, 137), (148, 148)]),
    ],
    caches: &[
        (
            1,
            &[
                (3, 8),
                (13, 14),
                (16, 16),
                (60, 60),
                (64, 67),
                (72, 73),
                (76, 81),
                (92, 92),
                (113, 113),
                (121, 122),
                (127, 127),
                (141, 141),
                (143, 143),
                (166, 166),
                (168, 170),
                (177, 180),
            ],
        ),
        (2, &[(26, 29), (107, 107)]),
        (4, &[(17, 25), (39, 43), (95, 95), (106, 106), (153, 154), (158, 159), (171, 171)]),
        (5, &[(47, 48), (55, 55), (116, 116)]),
        (10, &[(56, 59), (62, 63), (160, 160)]),
    ],
    global_shift: 1,
    attribute_shift: 0,
};

/// CPython 3.12.
pub static V3_12: Opcodes = Opcodes {
    operations: &[
        (Operation::ExtendedArg, &[(144, 144)]),
        (Operation::DeleteItem, &[(61, 61)]),
        (Operation::Compare, &[(57, 59), (107, 107)]),
        (Operation::Constant, &[(84, 84), (100, 100)]),
        (Operation::StoreName, &[(90, 90), (95, 95), (97, 97), (113, 113), (148, 148), (153, 153)]),
        (Operation::Name, &[(101, 101)]),
        (Operation::Global, &[(111, 112), (116, 116)]),
        (Operation::Attribute, &[(70, 70), (72, 73), (76, 82), (106, 106)]),
        (Operation::StoreLocal, &[(125, 125), (154, 154), (158, 158)]),
        (Operation::Local, &[(86, 86), (88, 88), (124, 124), (127, 127), (143, 143)]),
        (Operation::Cell, &[(137, 137), (176, 176)]),
    ],
    caches: &[
        (
            1,
            &[
                (6, 8),
                (10, 10),
                (13, 14),
                (16, 16),
                (18, 22),
                (25, 25),
                (57, 60),
                (62, 67),
                (92, 93),
                (107, 107),
                (122, 123),
                (141, 141),
                (159, 161),
                (166, 168),
                (237, 237),
                (248, 248),
            ],
        ),
        (3, &[(23, 24), (28, 29), (34, 34), (38, 48), (56, 56), (171, 171), (241, 241)]),
        (4, &[(95, 95), (111, 113), (116, 116), (148, 148), (153, 153)]),
        (9, &[(70, 70), (72, 73), (76, 82), (106, 106)]),
    ],
    global_shift: 1,
    attribute_shift: 1,
};

/// CPython 3.13.
pub static V3_13: Opcodes = Opcodes {
    operations: &[
        (Operation::ExtendedArg, &[(71, 71)]),
        (Operation::DeleteItem, &[(9, 9)]),
        (Operation::Compare, &[(58, 58), (182, 184)]),
        (Operation::Constant, &[(83, 83)]),
        (Operation::StoreName, &[(108, 108), (113, 114), (209, 211)]),
        (Operation::Name, &[(92, 92)]),
        (Operation::Global, &[(91, 91), (203, 204)]),
        (Operation::Attribute, &[(82, 82), (191, 202)]),
        (Operation::StoreLocal, &[(110, 110)]),
        (Operation::Local, &[(85, 87)]),
        (Operation::TwoLocals, &[(88, 88)]),
        (Operation::StoreLoad, &[(111, 111)]),
        (Operation::Cell, &[(84, 84), (89, 89)]),
    ],
    caches: &[
        (
            1,
            &[
                (3, 3),
                (5, 5),
                (39, 39),
                (45, 45),
                (58, 59),
                (72, 72),
                (77, 77),
                (93, 93),
                (97, 100),
                (104, 104),
                (117, 117),
                (150, 161),
                (182, 190),
                (205, 206),
                (208, 208),
                (212, 213),
                (220, 222),
                (242, 243),
                (249, 253),
            ],
        ),
        (3, &[(40, 40), (53, 53), (162, 181), (214, 219), (244, 244)]),
        (4, &[(91, 91), (108, 108), (203, 204), (209, 211)]),
        (9, &[(82, 82), (191, 202)]),
    ],
    global_shift: 1,
    attribute_shift: 1,
};

/// CPython 3.14.
pub static V3_14: Opcodes = Opcodes {
    operations: &[
        (Operation::ExtendedArg, &[(69, 69)]),
        (Operation::DeleteItem, &[(8, 8)]),
        (Operation::Compare, &[(56, 56), (166, 168)]),
        (Operation::Constant, &[(82, 82), (190, 191)]),
        (Operation::SmallInt, &[(94, 94)]),
        (Operation::StoreName, &[(110, 110), (115, 116), (198, 200)]),
        (Operation::Name, &[(93, 93)]),
        (Operation::Global, &[(92, 92), (192, 193)]),
        (Operation::Attribute, &[(80, 80), (177, 189)]),
        (Operation::StoreLocal, &[(112, 112)]),
        (Operation::Local, &[(84, 86), (88, 88)]),
        (Operation::TwoLocals, &[(87, 87), (89, 89)]),
        (Operation::StoreLoad, &[(113, 113)]),
        (Operation::Cell, &[(83, 83), (90, 90)]),
    ],
    caches: &[
        (
            1,
            &[
                (38, 38),
                (56, 57),
                (70, 70),
                (75, 75),
                (96, 96),
                (100, 103),
                (106, 106),
                (119, 119),
                (166, 176),
                (194, 195),
                (197, 197),
                (201, 202),
                (209, 211),
                (237, 237),
                (241, 244),
                (249, 249),
                (253, 253),
            ],
        ),
        (3, &[(39, 39), (52, 52), (55, 55), (143, 165), (203, 208), (250, 251)]),
        (4, &[(92, 92), (110, 110), (192, 193), (198, 200)]),
        (5, &[(3, 3), (44, 44), (129, 142)]),
        (9, &[(80, 80), (177, 189)]),
    ],
    global_shift: 1,
    attribute_shift: 1,
};

/// CPython 3.15.
pub static V3_15: Opcodes = Opcodes {
    operations: &[
        (Operation::ExtendedArg, &[(67, 67)]),
        (Operation::DeleteItem, &[(8, 8)]),
        (Operation::Compare, &[(54, 54), (169, 171)]),
        (Operation::Constant, &[(81, 81)]),
        (Operation::SmallInt, &[(93, 93)]),
        (Operation::StoreName, &[(109, 109), (114, 115), (205, 207)]),
        (Operation::Name, &[(92, 92)]),
        (Operation::Global, &[(91, 91), (196, 197)]),
        (Operation::Attribute, &[(79, 79), (183, 195)]),
        (Operation::StoreLocal, &[(111, 111)]),
        (Operation::Local, &[(83, 85), (87, 87)]),
        (Operation::TwoLocals, &[(86, 86), (88, 88)]),
        (Operation::StoreLoad, &[(112, 112)]),
        (Operation::Cell, &[(82, 82), (89, 89)]),
    ],
    caches: &[
        (
            1,
            &[
                (4, 4),
                (36, 36),
                (54, 55),
                (68, 68),
                (70, 70),
                (74, 74),
                (95, 95),
                (99, 102),
                (105, 105),
                (118, 118),
                (128, 128),
                (151, 152),
                (169, 182),
                (198, 204),
                (208, 209),
                (216, 218),
                (236, 236),
                (240, 244),
                (248, 248),
                (251, 252),
            ],
        ),
        (3, &[(37, 37), (50, 50), (53, 53), (144, 150), (153, 168), (210, 215), (249, 250)]),
        (4, &[(91, 91), (109, 109), (196, 197), (205, 207)]),
        (5, &[(3, 3), (42, 42), (129, 143)]),
        (9, &[(79, 79), (183, 195)]),
    ],
    global_shift: 1,
    attribute_shift: 1,
};
