// cond(cc, flags_*(...)) becomes an icmp of the operation's operands or result, so that the flags themselves die.
#include "jit/opt/opt.h"
#include "jit/opt/rewrite.h"
#include "support/planted.h"

namespace calque::jit {
namespace {
u64 bits_of(Cond c) {
    switch (static_cast<Cond>(static_cast<u8>(c) & ~1u)) {
    case Cond::o: return fl::OF;
    case Cond::b: return fl::CF;
    case Cond::e: return fl::ZF;
    case Cond::be: return fl::CF | fl::ZF;
    case Cond::s: return fl::SF;
    case Cond::p: return fl::PF;
    case Cond::l: return fl::SF | fl::OF;
    default: return fl::SF | fl::OF | fl::ZF;
    }
}

class Fuser {
public:
    Fuser(Folder& folder, std::vector<Inst>& code) : folder_{folder}, code_{code} {}

    /// The comparison that answers `c` of these flags; 0 if there is none.
    Ref fuse(Cond c, Ref flags) {
        const Inst f = code_[flags];
        switch (f.op) {
        case Op::flag_merge:
            if ((bits_of(c) & ~f.imm) == 0) return other_flags(c, f.b);
            if ((bits_of(c) & f.imm) == 0) return other_flags(c, f.a);
            return 0;
        case Op::flags_sub: return of_sub(c, f);
        case Op::flags_logic: return of_logic(c, f.type, f.a);
        case Op::flags_add:
            if (c == Cond::b) return compare(Cmp::ult, f.type, binary(Op::add, f), f.a);
            if (c == Cond::ae) return compare(Cmp::uge, f.type, binary(Op::add, f), f.a);
            return of_result(c, f, Op::add);
        case Op::flags_shl: return of_result(c, f, Op::shl);
        case Op::flags_shr: return of_result(c, f, Op::shr);
        case Op::flags_sar: return of_result(c, f, Op::sar);
        default: return 0;
        }
    }

private:
    // Flags one step further back: fused, or at least without the merge.
    Ref other_flags(Cond c, Ref flags) {
        if (const Ref r = fuse(c, flags)) return r;
        Inst i;
        i.op = Op::cond, i.type = Type::I8, i.aux = static_cast<u8>(c), i.a = flags;
        return folder_.add(i);
    }
    Ref compare(Cmp c, Type t, Ref a, Ref b) {
        Inst i;
        i.op = Op::icmp, i.type = t, i.aux = static_cast<u8>(c), i.a = a, i.b = b;
        return folder_.add(i);
    }
    Ref binary(Op op, const Inst& f) {
        Inst i;
        i.op = op, i.type = f.type, i.a = f.a, i.b = f.b;
        return folder_.add(i);
    }
    Ref with_zero(Cmp c, Type t, Ref r) { return compare(c, t, r, folder_.constant(t, 0)); }

    Ref of_sub(Cond c, const Inst& f) {
        switch (c) {
        case Cond::b: return compare(Cmp::ult, f.type, f.a, f.b);
        case Cond::ae: return compare(Cmp::uge, f.type, f.a, f.b);
        case Cond::e: return compare(Cmp::eq, f.type, f.a, f.b);
        case Cond::ne: return compare(Cmp::ne, f.type, f.a, f.b);
        case Cond::be: return compare(planted("opt_fuse_compare") ? Cmp::ult : Cmp::ule, f.type, f.a, f.b);
        case Cond::a: return compare(Cmp::ugt, f.type, f.a, f.b);
        case Cond::l: return compare(Cmp::slt, f.type, f.a, f.b);
        case Cond::ge: return compare(Cmp::sge, f.type, f.a, f.b);
        case Cond::le: return compare(Cmp::sle, f.type, f.a, f.b);
        case Cond::g: return compare(Cmp::sgt, f.type, f.a, f.b);
        default: return of_result(c, f, Op::sub);
        }
    }
    Ref of_logic(Cond c, Type t, Ref r) {  // CF = OF = 0
        switch (c) {
        case Cond::o: case Cond::b: return folder_.constant(Type::I8, 0);
        case Cond::no: case Cond::ae: return folder_.constant(Type::I8, 1);
        case Cond::e: case Cond::be: return with_zero(Cmp::eq, t, r);
        case Cond::ne: case Cond::a: return with_zero(Cmp::ne, t, r);
        case Cond::s: case Cond::l: return with_zero(Cmp::slt, t, r);
        case Cond::ns: case Cond::ge: return with_zero(Cmp::sge, t, r);
        case Cond::le: return with_zero(Cmp::sle, t, r);
        case Cond::g: return with_zero(Cmp::sgt, t, r);
        default: return 0;
        }
    }
    // ZF and SF follow from the result alone.
    Ref of_result(Cond c, const Inst& f, Op op) {
        switch (c) {
        case Cond::e: return with_zero(Cmp::eq, f.type, binary(op, f));
        case Cond::ne: return with_zero(Cmp::ne, f.type, binary(op, f));
        case Cond::s: return with_zero(Cmp::slt, f.type, binary(op, f));
        case Cond::ns: return with_zero(Cmp::sge, f.type, binary(op, f));
        default: return 0;
        }
    }
    Folder& folder_;
    std::vector<Inst>& code_;
};
}  // namespace

void fuse_compare(Block& b, const Layout&) {
    size_t first = 1;
    while (first < b.code.size() && b.code[first].op != Op::cond) ++first;
    if (first == b.code.size()) return;
    rebuild(b, first, [&](Folder& folder, const Inst& i, const auto&) -> Ref {
        if (i.op == Op::cond)
            if (const Ref r = Fuser{folder, b.code}.fuse(static_cast<Cond>(i.aux), i.a)) return r;
        return folder.append(i);
    });
}
}  // namespace calque::jit
