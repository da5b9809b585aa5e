// One block from its entry test to the code out of line.
#include <algorithm>
#include <cstddef>

#include "jit/x64/x64.h"
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

X64::X64(const Layout& l, const HostCpu& c, const Switches& s, const Thunks& t, const Arena& arena)
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

bool X64::emit_block(const TranslateRequest& request, Translation& out) {
    request_ = &request;
    block_ = &request.block;
    out_ = &out;
    start_ = (arena_.used + 15) & ~15u;
    if (start_ + 4096 > arena_.size) return false;
    error.clear();
    failed = full = false;
    an_.run(*block_, layout, {sw.fuse_flags, sw.targets, sw.fold_addresses, sw.share_checks && sw.inline_tlb});
    code_ = an_.code.data();
    std::fill(std::begin(owners_), std::end(owners_), Ref{0});
    std::fill(spill_refs_.begin(), spill_refs_.end(), u8{0});
    std::fill(vec_spill_refs_.begin(), vec_spill_refs_.end(), u8{0});
    in_flags_.clear(), in_state_.clear(), cold_.clear(), links_.clear();
    flag_kind_ = FlagKind::none;
    fp_ready_ = progress_dirty_ = in_memory_ = false;
    locked_ = 0;
    unretired_ = block_->insn_count + 1u;

    Errors errors;
    asmjit::Environment env = asmjit::Environment::host();
    code_holder_.reset();
    code_holder_.init(env, reinterpret_cast<u64>(arena_.rx) + start_);
    code_holder_.setErrorHandler(&errors);
    asmjit::FileLogger listing{stderr};
    if (logger.on(LogLevel::trace)) {
        logger.trace("%s", print(*block_).c_str());
        code_holder_.setLogger(&listing);
    }
    asmjit::CodeBuffer& buffer = code_holder_.textSection()->buffer();
    buffer._data = arena_.rw + start_;
    buffer._capacity = arena_.size - start_;
    buffer._flags = asmjit::CodeBufferFlags::kIsExternal | asmjit::CodeBufferFlags::kIsFixed;
    code_holder_.attach(&as);

    loop_ = as.newLabel();
    as.bind(loop_);
    if (request.second_entries) check_second_page();
    as.sub(context(offsetof(ExecContext, budget), 8), Imm(block_->insn_count));
    Cold& no_fit = cold(Cold::budget);
    no_fit.entry = as.newLabel();
    as.js(no_fit.entry);

    for (now_ = 1; now_ < an_.end && errors.first == asmjit::kErrorOk && !failed; ++now_) {
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
    // Cold code may grow while it is emitted.
    for (size_t n = 0; n < cold_.size() && errors.first == asmjit::kErrorOk; ++n) emit_cold_one(cold_[n]);
    for (const PendingLink& l : links_) {
        as.bind(l.stub);
        out.links.push_back({l.at, position(), static_cast<u16>(linear_of(l.rip) & 4095)});
        mov_imm(rdx, l.rip);
        as.jmp(rx(thunks.exit_lookup));
    }
    out.entry = out.link_entry = start_;
    out.end = position();
    const bool unresolved = code_holder_.hasUnresolvedLinks() || code_holder_.textSection()->buffer().size() > arena_.size - start_;
    code_holder_.detach(&as);
    if (errors.first == asmjit::kErrorTooLarge) {
        full = true;
        return false;
    }
    if (errors.first != asmjit::kErrorOk) fail(errors.message.c_str());
    else if (unresolved) fail("unresolved label");
    return !failed;
}

void X64::emit_cold_one(Cold& c) {
    as.bind(c.entry);
    switch (c.kind) {
    case Cold::read: case Cold::write: cold_access(c); break;
    case Cold::call_if: cold_call_if(c); break;
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
        as.jmp(c.back);
        break;
    case Cold::fp_out:
        call_thunk(thunks.fp_leave);
        as.jmp(c.back);
        break;
    }
}
}  // namespace calque::jit::x64
