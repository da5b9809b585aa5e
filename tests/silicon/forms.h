// The ways to write each instruction of the rule table, found by decoding every opcode.
#pragma once
#include <vector>

#include "tests/silicon/case.h"

namespace calque::silicon {

struct Template {
    u8 prefix = 0;   // 0, 66h, F2h or F3h; with VEX the one it stands for
    bool wide = false;
    u8 map = 0;      // 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A
    u8 opcode = 0;
    u8 modrm = 0;
    bool has_modrm = false;
    bool vex = false, l = false;
    bool gather = false;   // memory has vector indices, and the registers must all be different
};

/// The bytes of a VEX prefix. `rxb`: the bits R, X and B as REX has them. Two bytes when it can and `shortest` is set.
std::vector<u8> vex_prefix(const Template&, u8 rxb, u8 vvvv, bool shortest);

/// Encodings that share opcode, prefix, W, L, reg field (where it tells instructions apart) and register or memory form.
using Form = std::vector<Template>;

struct RuleForms {
    Mn mn;
    bool vex;
    bool vector;
    std::vector<Form> forms;
};

/// Every rule that can run in user mode and in this code mode, with at least one encoding.
std::vector<RuleForms> find_forms(CodeMode, const IsaSet& features);
/// What the host's processor has of what we can have.
IsaSet host_features();
/// The host is an AMD processor from before Zen 4. What ours do where the manuals say nothing, with "zen", is what Zen 4 does.
bool older_zen();
/// As far as decoding goes.
jit::Mode jit_mode(CodeMode);
/// Privileged, or with an effect outside of registers and memory, or never the same twice.
bool runs_in_user_mode(const Insn&);
/// x87, MMX or SSE.
bool is_vector(const Insn&);
}  // namespace calque::silicon
