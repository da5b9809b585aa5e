// Every integer instruction that needs no privilege, with values worked out from the manual's Operation sections, on every executor.
// tests/silicon compares the same rules with the host's processor; this table holds on hosts that are no x86.
#include <set>

#include "guest.h"

using namespace calque;
using namespace calque::test;

namespace {

/// The letters of "cpazsdo" for CF PF AF ZF SF DF OF.
u32 flags_of(const char* letters) {
    u32 f = 0;
    for (const char* p = letters; *p; ++p)
        f |= *p == 'c' ? eflags::CF : *p == 'p' ? eflags::PF : *p == 'a' ? eflags::AF : *p == 'z' ? eflags::ZF : *p == 's' ? eflags::SF : *p == 'd' ? eflags::DF : eflags::OF;
    return f;
}

/// One side of "Intel's|Zen's".
std::string flags_on(const char* model, const std::string& both) {
    const size_t bar = both.find('|');
    return bar != both.npos && std::string_view{model}.ends_with("+zen") ? both.substr(bar + 1) : both.substr(0, bar);
}

struct Regs {
    u64 a = 0, b = 0, c = 0, d = 0;
};

/// `all`: 32-bit operands; the bytes run in 32- and 64-bit code, and with 66h and 67h before them in 16-bit code.
/// wide: the same but for 16-bit code, where 66h would make it another instruction.
enum class In { all, wide, only64, only32, only16 };

struct Row {
    const char* name;
    In in;
    const char* bytes;
    Regs before;
    const char* flags_before;
    Regs after;
    const char* flags_after;
    u64 mem_before = 0, mem_after = 0;   // eight bytes at at::Data
    int jump = -1;                       // where it goes, from the end of the instruction
};

constexpr u64 D = at::Data;

// Flags that the manual leaves undefined are those of Intel's Golden Cove; behind a bar, where they differ, those of AMD's Zen.
constexpr Row kRows[] = {
    {"add al, bl", In::only64, "00 D8", {0x12ff, 1}, "", {0x1200, 1}, "cpaz"},
    {"add ax, bx", In::only64, "66 01 D8", {0xaaaa7fff, 1}, "c", {0xaaaa8000, 1}, "paso"},
    {"add eax, ebx", In::all, "01 D8", {0xffffffff, 1}, "o", {0, 1}, "cpaz"},
    {"add rax, imm8", In::only64, "48 83 C0 FF", {0x8000000000000000}, "", {0x7fffffffffffffff}, "cpo"},
    {"add eax, ebx clears the upper half", In::only64, "01 D8", {0x1'0000'0001, 1}, "", {2, 1}, ""},
    {"adc eax, ebx", In::all, "11 D8", {0xffffffff, 0}, "c", {0, 0}, "cpaz"},
    {"adc ax, bx, no carry", In::only16, "11 D8", {0x7fff, 0}, "", {0x7fff, 0}, "p"},
    {"sub eax, ebx", In::all, "29 D8", {0, 1}, "", {0xffffffff, 1}, "cpas"},
    {"sub [ebx], eax", In::all, "29 03", {1, D}, "", {1, D}, "pz", 1, 0},
    {"sbb al, bl", In::all, "18 D8", {0x80, 0x7f}, "c", {0, 0x7f}, "pazo"},
    {"cmp eax, ebx", In::all, "39 D8", {5, 5}, "cso", {5, 5}, "pz"},
    {"and eax, ebx", In::all, "21 D8", {0xf0, 0x0f}, "co", {0, 0x0f}, "pz"},
    {"or eax, ebx", In::all, "09 D8", {0x80000000, 1}, "cpzo", {0x80000001, 1}, "s"},
    {"xor eax, eax", In::all, "31 C0", {0x1234}, "cso", {0}, "pz"},
    {"test eax, ebx", In::all, "85 D8", {0x80000000, 0x80000000}, "c", {0x80000000, 0x80000000}, "ps"},
    {"inc eax", In::all, "FF C0", {0x7fffffff}, "c", {0x80000000}, "cpaso"},
    {"dec eax", In::all, "FF C8", {1}, "c", {0}, "cpz"},
    {"inc eax, short form", In::only32, "40", {0xf}, "", {0x10}, "a"},
    {"neg eax", In::all, "F7 D8", {1}, "", {0xffffffff}, "cpas"},
    {"not eax", In::all, "F7 D0", {0}, "cz", {0xffffffff}, "cz"},
    {"xadd eax, ebx", In::all, "0F C1 D8", {1, 2}, "", {3, 1}, "p"},
    {"cmpxchg ecx, ebx, equal", In::all, "0F B1 D9", {5, 7, 5}, "", {5, 7, 7}, "pz"},
    {"cmpxchg ecx, ebx, different", In::all, "0F B1 D9", {5, 7, 6}, "", {6, 7, 6}, "cpas"},
    {"cmpxchg ecx, ebx leaves the destination's upper half", In::only64, "0F B1 D9", {5, 7, 0x1'0000'0006}, "", {6, 7, 0x1'0000'0006}, "cpas"},
    {"cmpxchg8b [ebx]", In::all, "0F C7 0B", {1, D, 9, 2}, "cs", {1, D, 9, 2}, "czs", 0x2'0000'0001, 0x9'0003'0000},
    {"cmpxchg8b [ebx], different", In::all, "0F C7 0B", {1, D, 9, 3}, "z", {1, D, 9, 2}, "", 0x2'0000'0001, 0x2'0000'0001},
    {"cmpxchg16b [rbx]", In::only64, "48 0F C7 0B", {7, D, 0, 0}, "", {7, D, 0, 0}, "z", 7, D},
    {"adcx eax, ebx", In::only64, "66 0F 38 F6 C3", {0xffffffff, 0}, "co", {0, 0}, "co"},
    {"adox eax, ebx", In::only64, "F3 0F 38 F6 C3", {0xffffffff, 1}, "o", {1, 1}, "o"},
    {"mul ebx", In::all, "F7 E3", {0x80000000, 4, 0, 99}, "", {0, 4, 0, 2}, "cpo|co"},
    {"mul bl", In::all, "F6 E3", {0x10, 0x0f}, "co", {0xf0, 0x0f}, "ps|"},
    {"imul ebx", In::all, "F7 EB", {0xfffffffe, 3}, "co", {0xfffffffa, 3, 0, 0xffffffff}, "ps|"},
    {"imul eax, ebx, 5", In::all, "6B C3 05", {0, 7}, "", {35, 7}, ""},
    {"imul eax, ebx overflows", In::all, "0F AF C3", {0x40000000, 2}, "", {0x80000000, 2}, "cpso|co"},
    {"div ebx", In::all, "F7 F3", {17, 5}, "", {3, 5, 0, 2}, "|a"},
    {"div rbx", In::only64, "48 F7 F3", {0, 2, 0, 1}, "", {0x8000000000000000, 2, 0, 0}, "|a"},
    {"idiv ebx", In::all, "F7 FB", {0xffffffef, 5, 0, 0xffffffff}, "", {0xfffffffd, 5, 0, 0xfffffffe}, "|a"},
    {"idiv bl", In::all, "F6 FB", {0xfff9, 2}, "", {0xfffd, 2}, "|a"},
    {"shl eax, 1", In::all, "D1 E0", {0xc0000000}, "", {0x80000000}, "cps|cpas"},
    {"shl eax, 32 does nothing", In::all, "C1 E0 20", {3}, "co", {3}, "co"},
    {"shr eax, 4", In::all, "C1 E8 04", {0x1f}, "", {1}, "c|ca"},
    {"sar eax, 1", In::all, "D1 F8", {0x80000001}, "", {0xc0000000}, "cps|cpas"},
    {"rol al, 4", In::all, "C0 C0 04", {0x12}, "z", {0x21}, "cz|czo"},
    {"ror ax, 1", In::only64, "66 D1 C8", {1}, "", {0x8000}, "co"},
    {"rcl eax, 1", In::all, "D1 D0", {0x80000000}, "", {0}, "co"},
    {"rcr eax, 1", In::all, "D1 D8", {0}, "c", {0x80000000}, "o"},
    {"rcl al, 9 is a whole turn", In::all, "C0 D0 09", {0x5a}, "c", {0x5a}, "c|co"},
    {"shld eax, ebx, 8", In::all, "0F A4 D8 08", {0x12345678, 0xabcdef01}, "", {0x345678ab, 0xabcdef01}, "|a"},
    {"shrd eax, ebx, 4", In::all, "0F AC D8 04", {0x12345678, 0xf}, "", {0xf1234567, 0xf}, "cso|cas"},
    {"bt eax, 3", In::all, "0F BA E0 03", {8}, "z", {8}, "cz"},
    {"bts eax, 31", In::all, "0F BA E8 1F", {0}, "c", {0x80000000}, ""},
    {"btr eax, 0", In::all, "0F BA F0 00", {1}, "", {0}, "c"},
    {"btc eax, 1", In::all, "0F BA F8 01", {0}, "", {2}, ""},
    {"bt [ebx], ecx reaches beyond", In::all, "0F A3 0B", {0, D - 8, 67}, "", {0, D - 8, 67}, "c", 8, 8},
    {"bts [ebx], ecx backwards", In::all, "0F AB 0B", {0, D + 8, 0xffffffff}, "", {0, D + 8, 0xffffffff}, "", 0, 0x8000000000000000},
    {"bsf eax, ebx", In::all, "0F BC C3", {0, 0x10}, "cz", {4, 0x10}, ""},
    {"bsf eax, zero keeps eax", In::all, "0F BC C3", {7, 0}, "", {7, 0}, "pz"},
    {"bsr eax, ebx", In::all, "0F BD C3", {0, 0x18}, "", {4, 0x18}, ""},
    {"bswap eax", In::all, "0F C8", {0x12345678}, "c", {0x78563412}, "c"},
    {"bswap rax", In::only64, "48 0F C8", {0x0123456789abcdef}, "", {0xefcdab8967452301}, ""},
    {"popcnt eax, ebx", In::all, "F3 0F B8 C3", {0, 0xff}, "cz", {8, 0xff}, ""},
    {"crc32 eax, bl", In::all, "F2 0F 38 F0 C3", {0, 1}, "cpazso", {0xf26b8303, 1}, "cpazso"},
    {"lzcnt eax, ebx", In::all, "F3 0F BD C3", {0, 1}, "", {31, 1}, ""},
    {"movbe eax, [ebx]", In::all, "0F 38 F0 03", {0, D}, "", {0x44332211, D}, "", 0x11223344, 0x11223344},
    {"tzcnt eax, ebx", In::all, "F3 0F BC C3", {0, 0x18}, "", {3, 0x18}, ""},
    {"andn eax, ebx, ecx", In::wide, "C4 E2 60 F2 C1", {0, 0xff00, 0x80000ff0}, "cpazo", {0x800000f0, 0xff00, 0x80000ff0}, "s|sp"},
    {"andn ax-code", In::only16, "C4 E2 60 F2 C1", {0, 3, 0x30003}, "", {0x30000, 3, 0x30003}, "|p"},
    {"andn rax, rbx, [rcx]", In::only64, "C4 E2 E0 F2 01", {0, ~u64{0}, D}, "", {0, ~u64{0}, D}, "z|zp", 5, 5},
    {"bextr eax, ebx, ecx", In::wide, "C4 E2 70 F7 C3", {0, 0x12345678, 0x0c08}, "cs", {0x456, 0x12345678, 0x0c08}, "|pa"},
    {"bextr beyond the end", In::wide, "C4 E2 70 F7 C3", {1, 0x12345678, 0x0420}, "", {0, 0x12345678, 0x0420}, "z|zpa"},
    {"bextr of everything leaves SF clear", In::wide, "C4 E2 70 F7 C3", {1, 0x82345678, 0xff00}, "", {0x82345678, 0x82345678, 0xff00}, "|pa"},
    {"blsi eax, ebx", In::wide, "C4 E2 78 F3 DB", {0, 0x58}, "o", {8, 0x58}, "c"},
    {"blsi of zero", In::wide, "C4 E2 78 F3 DB", {1, 0}, "c", {0, 0}, "z|zp"},
    {"blsmsk eax, ebx", In::wide, "C4 E2 78 F3 D3", {0, 0x58}, "c", {0xf, 0x58}, "|p"},
    {"blsmsk of zero", In::wide, "C4 E2 78 F3 D3", {0, 0}, "", {0xffffffff, 0}, "cs|csp"},
    {"blsr eax, ebx", In::wide, "C4 E2 78 F3 CB", {0, 0x80000008}, "c", {0x80000000, 0x80000008}, "s|sp"},
    {"blsr of zero", In::wide, "C4 E2 78 F3 CB", {1, 0}, "", {0, 0}, "cz|czp"},
    {"bzhi eax, ebx, ecx", In::wide, "C4 E2 70 F5 C3", {0, 0xffffffff, 0x105}, "c", {0x1f, 0xffffffff, 0x105}, ""},
    {"bzhi of all", In::wide, "C4 E2 70 F5 C3", {0, 0xffffffff, 0x20}, "", {0xffffffff, 0xffffffff, 0x20}, "cs|csp"},
    {"bzhi rax, rbx, rcx", In::only64, "C4 E2 F0 F5 C3", {0, ~u64{0}, 63}, "", {~u64{0} >> 1, ~u64{0}, 63}, "|p"},
    {"mulx eax, ecx, ebx", In::wide, "C4 E2 73 F6 C3", {0, 0x80000000, 0, 6}, "czso", {3, 0x80000000, 0, 6}, "czso"},
    {"mulx eax, eax, ebx keeps the upper half", In::wide, "C4 E2 7B F6 C3", {0, 0x80000000, 0, 7}, "", {3, 0x80000000, 0, 7}, ""},
    {"pdep eax, ebx, ecx", In::wide, "C4 E2 63 F5 C1", {0, 0x1fb, 0x80000f0f}, "c", {0x80000f0b, 0x1fb, 0x80000f0f}, "c"},
    {"pext eax, ebx, ecx", In::wide, "C4 E2 62 F5 C1", {0, 0x80000f0b, 0x80000f0f}, "z", {0x1fb, 0x80000f0b, 0x80000f0f}, "z"},
    {"pext rax, rbx, rcx", In::only64, "C4 E2 E2 F5 C1", {0, 0x8000000000000001, 0xc000000000000003}, "", {9, 0x8000000000000001, 0xc000000000000003}, ""},
    {"rorx eax, ebx, 40", In::wide, "C4 E3 7B F0 C3 28", {0, 0x12345678}, "c", {0x78123456, 0x12345678}, "c"},
    {"sarx eax, ebx, ecx", In::wide, "C4 E2 72 F7 C3", {0, 0x80000000, 0x24}, "c", {0xf8000000, 0x80000000, 0x24}, "c"},
    {"shlx eax, ebx, ecx", In::wide, "C4 E2 71 F7 C3", {0, 0x80000001, 0x21}, "", {2, 0x80000001, 0x21}, ""},
    {"shrx eax, ebx, ecx", In::wide, "C4 E2 73 F7 C3", {0, 0x80000001, 0x1f}, "z", {1, 0x80000001, 0x1f}, "z"},
    {"shlx rax, rbx, rcx", In::only64, "C4 E2 F1 F7 C3", {0, 1, 0x7f}, "", {0x8000000000000000, 1, 0x7f}, ""},
    {"the fourth bit of vvvv has no meaning in 32-bit code", In::only32, "C4 E2 20 F2 C1", {0, 0xff00, 0x80000ff0}, "", {0x800000f0, 0xff00, 0x80000ff0}, "s|sp"},
    {"mov eax, ebx", In::all, "89 D8", {1, 0xfffffffe}, "", {0xfffffffe, 0xfffffffe}, ""},
    {"mov ah, bl", In::all, "88 DC", {0x1111, 0x22}, "", {0x2211, 0x22}, ""},
    {"mov eax, ebx clears the upper half", In::only64, "89 D8", {~u64{0}, 5}, "", {5, 5}, ""},
    {"mov ax, bx keeps the upper part", In::only64, "66 89 D8", {~u64{0}, 5}, "", {0xffffffffffff0005, 5}, ""},
    {"mov dword [ebx], imm", In::all, "C7 03 78 56 34 12", {0, D}, "", {0, D}, "", ~u64{0}, 0xffffffff12345678},
    {"movzx eax, bl", In::all, "0F B6 C3", {~u64{0} >> 32, 0x180}, "", {0x80, 0x180}, ""},
    {"movsx eax, bl", In::all, "0F BE C3", {0, 0x80}, "", {0xffffff80, 0x80}, ""},
    {"movsxd rax, ebx", In::only64, "48 63 C3", {0, 0x80000000}, "", {0xffffffff80000000, 0x80000000}, ""},
    {"movnti [ebx], eax", In::wide, "0F C3 03", {0xabcd, D}, "", {0xabcd, D}, "", 0, 0xabcd},
    {"lea eax, [ebx + ecx*4 + 5]", In::all, "8D 44 8B 05", {0, 0x10, 2}, "", {0x1d, 0x10, 2}, ""},
    {"lea rax, [rbx - 1]", In::only64, "48 8D 43 FF", {0, 0}, "", {~u64{0}, 0}, ""},
    {"xchg eax, ebx", In::all, "87 D8", {1, 2}, "", {2, 1}, ""},
    {"xchg [ebx], eax", In::all, "87 03", {1, D}, "", {2, D}, "", 2, 1},
    {"cbw", In::only64, "66 98", {0x80}, "", {0xff80}, ""},
    {"cwde", In::all, "98", {0x8000}, "", {0xffff8000}, ""},
    {"cdqe", In::only64, "48 98", {0x80000000}, "", {0xffffffff80000000}, ""},
    {"cwd", In::only64, "66 99", {0x8000}, "", {0x8000, 0, 0, 0xffff}, ""},
    {"cdq", In::all, "99", {0x80000000}, "", {0x80000000, 0, 0, 0xffffffff}, ""},
    {"cqo", In::only64, "48 99", {0x8000000000000000}, "", {0x8000000000000000, 0, 0, ~u64{0}}, ""},
    {"xlat", In::all, "D7", {3, D}, "", {0xaa, D}, "", 0xaa000000, 0xaa000000},
    {"jmp short", In::all, "EB 05", {}, "", {}, "", 0, 0, 5},
    {"jmp near", In::only64, "E9 00 01 00 00", {}, "", {}, "", 0, 0, 0x100},
    {"jcxz", In::only16, "E3 05", {0, 0, 0x10000}, "", {0, 0, 0x10000}, "", 0, 0, 5},
    {"jecxz", In::only64, "67 E3 05", {0, 0, 0x1'0000'0000}, "", {0, 0, 0x1'0000'0000}, "", 0, 0, 5},
    {"jrcxz not taken", In::only64, "E3 05", {0, 0, 0x1'0000'0000}, "", {0, 0, 0x1'0000'0000}, ""},
    {"loop", In::all, "E2 05", {0, 0, 2}, "", {0, 0, 1}, "", 0, 0, 5},
    {"loop ends", In::all, "E2 05", {0, 0, 1}, "", {0, 0, 0}, ""},
    {"loope", In::all, "E1 05", {0, 0, 2}, "z", {0, 0, 1}, "z", 0, 0, 5},
    {"loope ends at a difference", In::all, "E1 05", {0, 0, 2}, "", {0, 0, 1}, ""},
    {"loopne", In::all, "E0 05", {0, 0, 2}, "", {0, 0, 1}, "", 0, 0, 5},
    {"bound inside", In::only32, "62 03", {5, D}, "", {5, D}, "", 0x9'0000'0001, 0x9'0000'0001},
    {"clc", In::all, "F8", {}, "cz", {}, "z"},
    {"stc", In::all, "F9", {}, "z", {}, "cz"},
    {"cmc", In::all, "F5", {}, "c", {}, ""},
    {"cld", In::all, "FC", {}, "d", {}, ""},
    {"std", In::all, "FD", {}, "", {}, "d"},
    {"lahf", In::all, "9F", {0}, "cz", {0x4300}, "cz"},
    {"sahf", In::all, "9E", {0xd500}, "o", {0xd500}, "cpazso"},
    {"salc", In::only32, "D6", {0x1200}, "c", {0x12ff}, "c"},
    {"daa", In::only32, "27", {0x9a}, "", {0}, "cpaz"},
    {"das", In::only32, "2F", {0}, "a", {0xfa}, "cpas"},
    {"aaa", In::only32, "37", {0x000b}, "", {0x0101}, "ca|cpa"},
    {"aas", In::only32, "3F", {0x0205}, "", {0x0205}, "p"},
    {"aam", In::only32, "D4 0A", {75}, "", {0x0705}, "p"},
    {"aad", In::only32, "D5 0A", {0x0705}, "", {0x004b}, "p"},
    {"arpl ax, bx", In::only32, "63 D8", {0x10, 3}, "", {0x13, 3}, "z"},
    {"arpl ax, bx, nothing to raise", In::only32, "63 D8", {0x13, 2}, "z", {0x13, 2}, ""},
    {"nop", In::all, "90", {1}, "c", {1}, "c"},
    {"nop [ebx]", In::all, "0F 1F 03", {1, ~u64{0} >> 32}, "c", {1, ~u64{0} >> 32}, "c"},
    {"pause", In::all, "F3 90", {}, "", {}, ""},
    {"lfence", In::wide, "0F AE E8", {}, "", {}, ""},
    {"mfence", In::wide, "0F AE F0", {}, "", {}, ""},
    {"sfence", In::wide, "0F AE F8", {}, "", {}, ""},
    {"prefetch", In::all, "0F 0D 03", {}, "", {}, ""},
    {"prefetchw", In::all, "0F 0D 0B", {}, "", {}, ""},
    {"prefetchwt1", In::all, "0F 0D 13", {}, "", {}, ""},
    {"prefetchnta", In::all, "0F 18 03", {}, "", {}, ""},
    {"prefetcht0", In::all, "0F 18 0B", {}, "", {}, ""},
    {"prefetcht1", In::all, "0F 18 13", {}, "", {}, ""},
    {"prefetcht2", In::all, "0F 18 1B", {}, "", {}, ""},
    {"clflush [ebx]", In::all, "0F AE 3B", {0, D}, "", {0, D}, ""},
    {"clflushopt [rbx]", In::only64, "66 0F AE 3B", {0, D}, "", {0, D}, ""},
};

constexpr const char *kModel = "max", *kZen = "max,+zen";
std::set<Mn> g_seen;

/// Notes which rule the code at the guest's RIP exercises.
void note(Guest& g, std::string_view hex) {
    Insn in;
    const u64 at = g.rip() + g.s().x.mode.base;
    if (decode(&g.memory.ram[at], 15, g.rip(), g.s().x.mode, g.cpu->features(), in) == Decode::ok) g_seen.insert(in.mn);
    CAPTURE(hex);
}

void run_row(const Row& row, Engine e, Mode m, const std::string& bytes, const char* model) {
    const std::string title = row.name;
    CAPTURE(title);
    CAPTURE(static_cast<int>(e));
    CAPTURE(static_cast<int>(m));
    CAPTURE(model);
    Guest g{e, m, bytes, model};
    const bool wide = m == Mode::long64;
    const auto cut = [&](u64 v) { return wide ? v : v & 0xffffffff; };
    g.rax = cut(row.before.a), g.rbx = cut(row.before.b), g.rcx = cut(row.before.c), g.rdx = cut(row.before.d);
    g.put(at::Data, row.mem_before, 8);
    g.set_flags(2 | flags_of(row.flags_before));
    note(g, bytes);
    const u64 start = g.rip();
    const u64 length = (bytes.size() + 1) / 3;
    g.step();
    CHECK(cut(g.rax) == cut(row.after.a));
    CHECK(cut(g.rbx) == cut(row.after.b));
    CHECK(cut(g.rcx) == cut(row.after.c));
    CHECK(cut(g.rdx) == cut(row.after.d));
    constexpr u32 looked_at = eflags::Arithmetic | eflags::DF;
    CHECK((g.flags() & looked_at) == flags_of(flags_on(model, row.flags_after).c_str()));
    CHECK(g.get(at::Data, 8) == row.mem_after);
    CHECK(g.rip() == start + length + (row.jump < 0 ? 0 : static_cast<u64>(row.jump)));
}

struct FaultRow {
    const char* name;
    Mode mode;
    const char* bytes;
    Regs before;
    const char* flags;
    int vector;
};
constexpr FaultRow kFaults[] = {
    {"div by zero", Mode::long64, "F7 F3", {1, 0}, "", 0},
    {"div quotient too large", Mode::protected32, "F7 F3", {0, 2, 0, 2}, "", 0},
    {"idiv of the lowest by -1", Mode::long64, "48 F7 FB", {0, ~u64{0}, 0, 0x8000000000000000}, "", 0},
    {"idiv eax lowest by -1", Mode::protected32, "F7 FB", {0x80000000, 0xffffffff, 0, 0xffffffff}, "", 0},
    {"aam 0", Mode::protected32, "D4 00", {5}, "", 0},
    {"int1", Mode::protected32, "F1", {}, "", 1},
    {"int3", Mode::long64, "CC", {}, "", 3},
    {"int 30h", Mode::long64, "CD 30", {}, "", 0x30},
    {"into", Mode::protected32, "CE", {}, "o", 4},
    {"bound below", Mode::protected32, "62 03", {0, D}, "", 5},
    {"bound above", Mode::protected32, "62 03", {10, D}, "", 5},
    {"ud0", Mode::long64, "0F FF C0", {}, "", 6},
    {"ud1", Mode::long64, "0F B9 C0", {}, "", 6},
    {"ud2", Mode::long64, "0F 0B", {}, "", 6},
    {"andn with VEX.L", Mode::long64, "C4 E2 64 F2 C1", {}, "", 6},
    {"andn with a prefix before VEX", Mode::protected32, "66 C4 E2 60 F2 C1", {}, "", 6},
    {"andn with REX before VEX", Mode::long64, "48 C4 E2 60 F2 C1", {}, "", 6},
    {"rorx with a third register", Mode::long64, "C4 E3 73 F0 C3 08", {}, "", 6},
    {"VEX in virtual-8086 mode", Mode::vm86, "C4 E2 60 F2 C1", {}, "", 6},
    {"VEX in real mode", Mode::real, "C4 E2 60 F2 C1", {}, "", 6},
    {"mov cs, ax", Mode::protected32, "8E C8", {8}, "", 6},
    {"lock add to a register", Mode::long64, "F0 01 D8", {}, "", 6},
    {"lock mov", Mode::long64, "F0 89 03", {0, D}, "", 6},
    {"daa in 64-bit code", Mode::long64, "27", {}, "", 6},
    {"push es in 64-bit code", Mode::long64, "06", {}, "", 6},
    {"non-canonical load", Mode::long64, "8B 03", {0, 0x8000000000000000}, "", 13},
    {"non-canonical stack operand", Mode::long64, "8B 45 00", {}, "", 12},
    {"jump to a non-canonical address", Mode::long64, "FF E0", {0x8000000000000000}, "", 13},
    {"fifteen bytes are not enough", Mode::long64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", {}, "", 13},
    {"cmpxchg16b misaligned", Mode::long64, "48 0F C7 0B", {0, D + 8}, "", 13},
};

/// SDM vol. 1, "EFLAGS Condition Codes".
bool condition(unsigned cc, u32 f) {
    const bool cf = f & eflags::CF, zf = f & eflags::ZF, sf = f & eflags::SF, of = f & eflags::OF, pf = f & eflags::PF;
    const bool base[8] = {of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of};
    return base[cc >> 1] != (cc & 1);
}
u32 combination(unsigned n) {
    return (n & 1 ? eflags::CF : 0) | (n & 2 ? eflags::PF : 0) | (n & 4 ? eflags::ZF : 0) | (n & 8 ? eflags::SF : 0) | (n & 16 ? eflags::OF : 0);
}
std::string two(const char* before, unsigned byte, const char* after) {
    char s[64];
    std::snprintf(s, sizeof s, "%s%02X %s", before, byte, after);
    return s;
}
}  // namespace

TEST_CASE("integer instructions") {
    for (const Engine e : engines())
        for (const Row& row : kRows)
            for (const char* model : {kModel, kZen}) {
                const std::string plain = row.bytes;
                if (row.in == In::all || row.in == In::wide || row.in == In::only64) run_row(row, e, Mode::long64, plain, model);
                if (row.in == In::all || row.in == In::wide || row.in == In::only32) run_row(row, e, Mode::protected32, plain, model);
                if (row.in == In::all) run_row(row, e, Mode::protected16, "66 67 " + plain, model);
                if (row.in == In::only16) run_row(row, e, Mode::protected16, plain, model);
            }
}

TEST_CASE("integer instructions that fault") {
    for (const Engine e : engines())
        for (const FaultRow& row : kFaults) {
            const std::string title = row.name;
    CAPTURE(title);
            CAPTURE(static_cast<int>(e));
            Guest g{e, row.mode, row.bytes, kModel};
            g.rax = row.before.a, g.rbx = row.before.b, g.rcx = row.before.c, g.rdx = row.before.d;
            g.rbp = 0x8000000000000000;
            g.put(at::Data, 0x9'0000'0001, 8);
            g.set_flags((g.flags() & eflags::VM) | 2 | flags_of(row.flags));
            note(g, row.bytes);
            g.run(2);
            CHECK(g.vector() == row.vector);
            CHECK(g.rax == row.before.a);
        }
}

TEST_CASE("conditions: CMOVcc, SETcc, Jcc") {
    for (const Engine e : engines())
        for (unsigned cc = 0; cc < 16; ++cc) {
            CAPTURE(cc);
            Guest move{e, Mode::long64, two("0F ", 0x40 + cc, "C3"), kModel}, set{e, Mode::long64, two("0F ", 0x90 + cc, "C0"), kModel};
            Guest jump{e, Mode::long64, two("", 0x70 + cc, "10"), kModel};
            for (Guest* g : {&move, &set, &jump}) note(*g, "");
            for (unsigned n = 0; n < 32; ++n) {
                const u32 f = combination(n);
                for (Guest* g : {&move, &set, &jump}) {
                    g->s().x.rip = at::Code;
                    g->rax = 0xffffffff00000000, g->rbx = 5;
                    g->set_flags(2 | f);
                    g->step();
                }
                const bool yes = condition(cc, f);
                CHECK(move.rax == (yes ? 5 : 0));
                CHECK(set.rax == (0xffffffff00000000 | (yes ? 1u : 0u)));
                CHECK(jump.rip() == at::Code + 2 + (yes ? 0x10 : 0));
            }
        }
}

TEST_CASE("stack instructions") {
    for (const Engine e : engines()) {
        CAPTURE(static_cast<int>(e));
        {
            INFO("push and pop");
            Guest g{e, Mode::long64, "50 5B 66 50 68 80 FF FF FF", kModel};
            g.rax = 0x1122334455667788;
            note(g, "");
            g.step();
            CHECK(g.rsp == at::Stack - 8);
            CHECK(g.stack(0, 8) == 0x1122334455667788);
            note(g, "");
            g.step();
            CHECK(g.rbx == 0x1122334455667788);
            CHECK(g.rsp == at::Stack);
            g.step();
            CHECK(g.rsp == at::Stack - 2);
            CHECK(g.stack(0, 2) == 0x7788);
            g.step();
            CHECK(g.rsp == at::Stack - 10);
            CHECK(g.stack(0, 8) == 0xffffffffffffff80);
        }
        {
            INFO("push esp stores the old value, pop esp the popped one");
            Guest g{e, Mode::protected32, "54 5C", kModel};
            g.step();
            CHECK(g.stack(0, 4) == at::Stack);
            g.put(at::Stack - 4, 0x1234, 4);
            g.step();
            CHECK(g.rsp == 0x1234);
        }
        {
            INFO("pop [esp] uses the stack pointer after the pop");
            Guest g{e, Mode::protected32, "8F 04 24", kModel};
            g.rsp = at::Stack - 8;
            g.put(at::Stack - 8, 0xabcd, 4);
            g.step();
            CHECK(g.rsp == at::Stack - 4);
            CHECK(g.get(at::Stack - 4, 4) == 0xabcd);
        }
        {
            INFO("pusha and popa");
            for (const bool wide : {true, false}) {
                Guest g{e, Mode::protected32, wide ? "60 61" : "66 60 66 61", kModel};
                const unsigned size = wide ? 4 : 2;
                for (unsigned n = 0; n < 8; ++n)
                    if (n != RSP) g.s().gpr[n] = 0x1000 + n;
                note(g, "");
                g.step();
                CHECK(g.rsp == at::Stack - 8 * size);
                for (unsigned n = 0; n < 8; ++n) CHECK(g.stack(7 - n, size) == (n == RSP ? at::Stack & (wide ? 0xffffffff : 0xffff) : 0x1000 + n));
                for (unsigned n = 0; n < 8; ++n)
                    if (n != RSP) g.s().gpr[n] = 0;
                note(g, "");
                g.step();
                CHECK(g.rsp == at::Stack);
                for (unsigned n = 0; n < 8; ++n)
                    if (n != RSP) CHECK(g.s().gpr[n] == 0x1000 + n);
            }
        }
        {
            INFO("pushf and popf");
            const std::pair<Mode, const char*> forms[] = {{Mode::long64, "9C 9D"}, {Mode::protected32, "9C 9D"}, {Mode::protected32, "66 9C 66 9D"}};
            for (const auto& [mode, hex] : forms) {
                Guest g{e, mode, hex, kModel};
                const unsigned size = mode == Mode::long64 ? 8 : hex[0] == '9' ? 4 : 2;
                g.set_flags(2 | flags_of("czo"));
                note(g, "");
                g.step();
                CHECK(g.rsp == at::Stack - size);
                CHECK(g.stack(0, size) == (2 | flags_of("czo")));
                g.put(at::Stack - size, 2 | flags_of("pasd"), size);
                note(g, "");
                g.step();
                CHECK(g.rsp == at::Stack);
                CHECK(g.flags() == (2 | flags_of("pasd")));
            }
        }
        {
            INFO("enter and leave");
            Guest g{e, Mode::long64, "C8 10 00 00 C9", kModel};
            g.rbp = 0x5555;
            note(g, "");
            g.step();
            CHECK(g.rbp == at::Stack - 8);
            CHECK(g.rsp == at::Stack - 8 - 16);
            CHECK(g.get(at::Stack - 8, 8) == 0x5555);
            note(g, "");
            g.step();
            CHECK(g.rbp == 0x5555);
            CHECK(g.rsp == at::Stack);
        }
        {
            INFO("enter with nesting copies the display");
            Guest g{e, Mode::protected32, "C8 08 00 02", kModel};
            g.rbp = at::Stack + 0x100;
            g.put(at::Stack + 0x100 - 4, 0xd15b1a4, 4);
            g.step();
            CHECK(g.get(at::Stack - 4, 4) == at::Stack + 0x100);
            CHECK(g.get(at::Stack - 8, 4) == 0xd15b1a4);
            CHECK(g.get(at::Stack - 12, 4) == at::Stack - 4);
            CHECK(g.rbp == at::Stack - 4);
            CHECK(g.rsp == at::Stack - 12 - 8);
        }
        {
            INFO("call and ret");
            for (const Mode m : {Mode::long64, Mode::protected32}) {
                Guest g{e, m, "E8 10 00 00 00", kModel};
                g.code("C2 08 00", at::Code + 0x15);
                const unsigned size = m == Mode::long64 ? 8 : 4;
                note(g, "");
                g.step();
                CHECK(g.rip() == at::Code + 0x15);
                CHECK(g.stack(0, size) == at::Code + 5);
                note(g, "");
                g.step();
                CHECK(g.rip() == at::Code + 5);
                CHECK(g.rsp == at::Stack + 8);
            }
        }
    }
}

TEST_CASE("string instructions") {
    constexpr u64 from = at::Data + 0x100, to = at::Data + 0x200;
    for (const Engine e : engines())
        for (const unsigned size : {1u, 2u, 4u, 8u})
            for (const bool down : {false, true})
                for (const bool repeat : {false, true}) {
                    CAPTURE(static_cast<int>(e));
                    CAPTURE(size);
                    CAPTURE(down);
                    CAPTURE(repeat);
                    const u64 count = repeat ? 3 : 1, moved = size * count;
                    const u64 mask = size == 8 ? ~u64{0} : (u64{1} << 8 * size) - 1;
                    const auto make = [&](unsigned opcode, const char* rep) {
                        std::string hex = size == 2 ? "66 " : "";
                        if (repeat) hex += rep;
                        if (size == 8) hex += "48 ";
                        auto g = std::make_unique<Guest>(e, Mode::long64, two(hex.c_str(), opcode + (size > 1), ""), kModel);
                        const u64 first = down ? moved - size : 0;
                        g->rsi = from + first, g->rdi = to + first, g->rcx = 3;
                        for (unsigned i = 0; i < 32; ++i) g->put(from + i, 0x11 * (i % 15 + 1), 1), g->put(to + i, 0, 1);
                        g->set_flags(2 | (down ? u32{eflags::DF} : 0));
                        note(*g, hex);
                        return g;
                    };
                    const u64 end = down ? u64{0} - size : moved;
                    auto g = make(0xa4, "F3 ");   // MOVS
                    g->step(count);
                    for (unsigned i = 0; i < moved; ++i) CHECK(g->get(to + i, 1) == g->get(from + i, 1));
                    CHECK(g->get(to + moved, 1) == 0);
                    CHECK(g->rsi == from + end);
                    CHECK(g->rdi == to + end);
                    CHECK(g->rcx == (repeat ? 0 : 3));

                    g = make(0xaa, "F3 ");   // STOS
                    g->rax = 0x0102030405060708;
                    g->step(count);
                    for (u64 i = 0; i < count; ++i) CHECK(g->get(to + i * size, size) == (0x0102030405060708 & mask));
                    CHECK(g->rdi == to + end);

                    g = make(0xac, "F3 ");   // LODS
                    g->rax = 0;
                    g->step(count);
                    CHECK(g->rax == g->get(down ? from : from + moved - size, size));
                    CHECK(g->rsi == from + end);

                    g = make(0xa6, "F3 ");   // CMPS: differs at once
                    g->step();
                    CHECK((g->flags() & eflags::ZF) == 0);
                    CHECK(g->rcx == (repeat ? 2 : 3));

                    g = make(0xae, "F2 ");   // SCAS: finds zero at once
                    g->rax = 0;
                    g->step();
                    CHECK((g->flags() & eflags::ZF) != 0);
                    CHECK(g->rcx == (repeat ? 2 : 3));
                }
}

TEST_CASE("every unprivileged integer rule has been run") {
    // Those with tests of their own: they need privilege, a device, descriptor tables, or are never the same twice.
    const std::set<std::string_view> elsewhere = {
        "IRET", "IRETD", "IRETQ", "SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT", "RSM", "INSB", "INSW", "INSD", "OUTSB", "OUTSW", "OUTSD", "CLI", "STI", "CLAC",
        "STAC", "HLT", "IN", "OUT", "CPUID", "RDTSC", "RDTSCP", "RDPMC", "RDPID", "RDMSR", "WRMSR", "RDRAND", "RDSEED", "CLTS", "LMSW", "SMSW", "INVD", "WBINVD",
        "INVLPG", "INVPCID", "LGDT", "LIDT", "SGDT", "SIDT", "LLDT", "LTR", "SLDT", "STR", "LAR", "LSL", "VERR", "VERW", "LDS", "LES", "LFS", "LGS", "LSS",
        "SWAPGS", "RDFSBASE", "RDGSBASE", "WRFSBASE", "WRGSBASE", "XGETBV", "XSETBV", "MONITOR", "MWAIT"};
    const Mn rules[] = {
#define RULE(mnemonic, rule, isa) Mn::mnemonic,
#include "cpu/lift/rules_int.inc"
#undef RULE
    };
    for (const Mn mn : rules) {
        const std::string name = mnemonic_name(mn);
        CAPTURE(name);
        CHECK((g_seen.count(mn) || elsewhere.count(mnemonic_name(mn))));
    }
}
