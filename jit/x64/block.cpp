// One block from its entry test to the code out of line.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "jit/x64/x64.h"
#include "support/planted.h"
#include "support/log.h"

namespace calque::jit::x64 {
namespace {
Log logger{"x64"};
using EmitFn = void (*)(X64&, const Inst&);
constexpr EmitFn kEmit[static_cast<size_t>(Op::count)] = {
#define OP(name, result, args, effects) emit_##name,
#include "jit/ir/ops.inc"
#undef OP
};

class Errors final : public asmjit::ErrorHandler {
public:
    asmjit::Error first = asmjit::kErrorOk;
    std::string message;
    void handleError(asmjit::Error error, const char* text, asmjit::BaseEmitter*) override {
        if (first == asmjit::kErrorOk) first = error, message = text;
    }
};
}  // namespace

X64::X64(const Layout& l, const HostCpu& c, const Switches& s, const Thunks& t, Arena& arena)
    : layout{l}, cpu{c}, sw{s}, thunks{t}, arena_{arena}, pinned_{s.pinning ? std::min<unsigned>(l.pinned, kPinned) : 0} {
    spill_refs_.assign(kSpills, 0);
    vec_spill_refs_.assign(kVecSpills, 0);
}

X64::Cold& X64::cold(Cold::Kind kind) {
    cold_.emplace_back();
    Cold& c = cold_.back();
    c.kind = kind;
    c.unretired = unretired_;
    return c;
}

namespace {
constexpr u32 kWindow = 256 * 1024, kRoom = 48 * 1024;  // of the arena at once; a window with less room is given up
}

/// Makes sure that the window has room for a block.
bool X64::open_window(u32& at, u32& end, u32 size) {
    if (end - at >= kRoom) return true;
    const u32 start = (arena_.used + 63) & ~63u;
    if (start > arena_.size || arena_.size - start < size) return false;
    at = start, end = start + size;
    arena_.used = end;
    return true;
}

/// Attaches the assembler to a window.
void X64::begin_code(u32 at, u32 end) {
    code_holder_.reset();
    code_holder_.init(asmjit::Environment::host(), reinterpret_cast<u64>(arena_.rx) + at);
    asmjit::CodeBuffer& buffer = code_holder_.textSection()->buffer();
    buffer._data = arena_.rw + at;
    buffer._capacity = end - at;
    buffer._flags = asmjit::CodeBufferFlags::kIsExternal | asmjit::CodeBufferFlags::kIsFixed;
    start_ = at;
}

void X64::jump_cold(CC cc, Cold& c) {
    as.long_().j(cc, rx(0));
    c.from = position() - 4;
}
void X64::jump_cold(Cold& c) {
    as.long_().jmp(rx(0));
    c.from = position() - 4;
}

bool X64::emit_block(const TranslateRequest& request, Translation& out) {
    request_ = &request;
    block_ = &request.block;
    out_ = &out;
    error.clear();
    failed = full = false;
    if (!open_window(hot_at_, hot_end_, kWindow) || !open_window(cold_at_, cold_end_, kWindow)) {
        full = true;
        return false;
    }
    an_.run(*block_, layout, {sw.fuse_flags, sw.targets, sw.fold_addresses, sw.share_checks && sw.inline_tlb, shift_flags(), sw.x87});
    code_ = an_.code.data();
    std::fill(std::begin(owners_), std::end(owners_), Ref{0});
    std::fill(spill_refs_.begin(), spill_refs_.end(), u8{0});
    std::fill(vec_spill_refs_.begin(), vec_spill_refs_.end(), u8{0});
    in_flags_.clear(), in_state_.clear(), cold_.clear(), links_.clear(), x87_.clear();
    flag_kind_ = FlagKind::none;
    fp_ready_ = x87_out_ = progress_dirty_ = in_memory_ = in_cold_ = false;
    locked_ = 0;
    unretired_ = block_->insn_count + 1u;

    Errors errors;
    asmjit::FileLogger listing{stderr};
    const bool trace = logger.on(LogLevel::trace);
    if (trace) logger.trace("%s", print(*block_).c_str());
    const auto begin = [&](u32 at, u32 end) {
        begin_code(at, end);
        code_holder_.setErrorHandler(&errors);
        if (trace) code_holder_.setLogger(&listing);
        code_holder_.attach(&as);
    };
    begin(hot_at_, hot_end_);
    emit_hot();
    const u32 hot_end = position();
    for (Cold& c : cold_) {
        if (c.back.isValid()) c.back_at = rx(start_ + static_cast<u32>(code_holder_.labelOffset(c.back)));
        if (c.again.isValid()) c.again_at = rx(start_ + static_cast<u32>(code_holder_.labelOffset(c.again)));
    }
    loop_at_ = rx(hot_at_);
    bool unresolved = code_holder_.hasUnresolvedLinks();
    code_holder_.detach(&as);

    begin(cold_at_, cold_end_);
    in_cold_ = true;
    const auto lead = [&](u32 from, u32 to) {
        const i32 distance = static_cast<i32>(to - (from + 4));
        std::memcpy(arena_.rw + from, &distance, 4);
    };
    const bool fine = errors.first == asmjit::kErrorOk && !failed;
    for (size_t n = 0; fine && n < cold_.size() && errors.first == asmjit::kErrorOk; ++n) {
        lead(cold_[n].from, position());
        emit_cold_one(cold_[n]);
    }
    for (size_t n = 0; fine && n < links_.size() && errors.first == asmjit::kErrorOk; ++n) {
        const PendingLink l = links_[n];
        lead(l.at, position());
        out.links.push_back({l.at, position(), static_cast<u16>(linear_of(l.rip) & 4095)});
        mov_imm(rdx, l.rip);
        as.jmp(rx(thunks.exit_lookup));
    }
    const u32 cold_end = position();
    unresolved |= code_holder_.hasUnresolvedLinks();
    code_holder_.detach(&as);

    if (errors.first == asmjit::kErrorTooLarge) {
        // A block longer than a window's room: the next one gets fresh windows.
        full = hot_end_ - hot_at_ == kWindow && cold_end_ - cold_at_ == kWindow;
        hot_at_ = hot_end_, cold_at_ = cold_end_;
        if (!full) return emit_block(request, out = {});
        full = false;
        fail("it is too long");
        return false;
    }
    if (errors.first != asmjit::kErrorOk) fail(errors.message.c_str());
    else if (unresolved) fail("unresolved label");
    if (failed) return false;
    out.entry = out.link_entry = hot_at_;
    out.end = hot_end;
    hot_at_ = (hot_end + 15) & ~15u, cold_at_ = cold_end;
    return true;
}

void X64::emit_hot() {
    loop_ = as.newLabel();
    as.bind(loop_);
    if (request_->second_entries) check_second_page();
    as.sub(context(offsetof(ExecContext, budget), 8), Imm(block_->insn_count));
    if (planted("x64_budget")) as.cmp(context(offsetof(ExecContext, budget), 8), Imm(-1));
    jump_cold(planted("x64_budget") ? CC::kL : CC::kS, cold(Cold::budget));
    for (now_ = 1; now_ < an_.end && !failed; ++now_) {
        const Inst& i = code_[now_];
        const Value& v = an_.values[now_];
        if (v.last_use != 0 && v.at != At::folded && !v.born) {
            const unsigned args = info(i.op).args;
            if (i.op != Op::cond && !(i.op == Op::set && i.type == Type::I16)) {
                for (unsigned n = 0; n < args; ++n) {
                    if (i.arg(n) && value(i.arg(n)).at == At::flags) materialise(i.arg(n));
                }
            }
            kEmit[static_cast<size_t>(i.op)](*this, i);
        }
        end_op();
    }
}

void X64::emit_cold_one(Cold& c) {
    switch (c.kind) {
    case Cold::read: case Cold::write: cold_access(c); break;
    case Cold::call_if:
        cold_call(c.call);
        as.jmp(c.back_at);
        break;
    case Cold::x87_plain: case Cold::x87_load: case Cold::x87_store: case Cold::x87_early: case Cold::x87_wide: case Cold::x87_out: cold_x87(c); break;
    case Cold::guard:
        mov_imm(rsi, c.rip);
        as.mov(context(offsetof(ExecContext, unretired), 4), Imm(c.unretired));
        as.mov(context(offsetof(ExecContext, block), 4), Imm(request_->number));
        as.jmp(rx(thunks.raise));
        break;
    case Cold::go: go(c.rip); break;
    case Cold::budget:
        as.add(context(offsetof(ExecContext, budget), 8), Imm(block_->insn_count));
        [[fallthrough]];
    case Cold::refused:
        mov_imm(rdx, block_->rip);
        as.jmp(rx(thunks.exit_budget));
        break;
    case Cold::fp_in:
        call_thunk(thunks.fp_enter);
        as.jmp(c.back_at);
        break;
    case Cold::fp_out:
        call_thunk(thunks.fp_leave);
        as.jmp(c.back_at);
        break;
    }
}
}  // namespace calque::jit::x64
