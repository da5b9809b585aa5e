// Cases come from the generator, without the instructions' neighbours. The interpreter tells what of each matters; the smaller case runs on the
// host's processor, and what that does is recorded, when the interpreter does the same. Real and virtual-8086 mode cannot be had in
// user mode: their cases are run as 16-bit protected code with the same segments, and only kept where that makes no difference.
#include "tests/silicon/record.h"

#include <algorithm>
#include <cinttypes>
#include <memory>

#include "frontend/exec/write.h"
#include "machine/exec/compare.h"
#include "tests/silicon/compare.h"
#include "tests/silicon/reproducer.h"
#include "tests/silicon/shrink.h"

namespace calque::silicon {
namespace {

using exec::Rig;

constexpr u64 kFsBase = 0x5000;
constexpr unsigned kTries = 200;   // for each case wanted

struct Kind {
    CodeMode code;
    exec::Mode mode;
};
constexpr Kind kKinds[] = {
    {CodeMode::long64, exec::Mode::long64}, {CodeMode::flat32, exec::Mode::compat32}, {CodeMode::prot32, exec::Mode::protected32},
    {CodeMode::prot16, exec::Mode::protected16}, {CodeMode::prot16, exec::Mode::real16}, {CodeMode::prot16, exec::Mode::vm86},
};
bool is_8086(exec::Mode m) { return m == exec::Mode::real16 || m == exec::Mode::vm86; }

IsaSet common_features() {
    IsaSet r;
    const IsaSet host = host_features(), max = reproducer_model().features;
    for (unsigned i = 0; i < static_cast<unsigned>(Isa::count); ++i)
        if (host.has(static_cast<Isa>(i)) && max.has(static_cast<Isa>(i))) r.add(static_cast<Isa>(i));
    return r;
}

class Recorder {
public:
    Recorder(Kind k, unsigned per_rule, u64 seed, Oracle& oracle, std::FILE* out)
        : kind_{k}, per_rule_{per_rule}, seed_{seed}, base_{7}, generator_{k.code, common_features(), kFsBase, base_, ""}, oracle_{oracle}, out_{out},
          ours_{reproducer_model(), false}, intel_{*parse_cpu_model("max"), false} {}
    void run();
    unsigned missing = 0, cases = 0, masked = 0;

private:
    enum class Want : u8 { success, fault, any };
    void rule(const RuleForms&);
    bool one(const RuleForms&, const Form&, Want);
    bool verify(const Case&, exec::Case&);
    bool also_on_intel(const exec::Case&);

    const Kind kind_;
    const unsigned per_rule_;
    const u64 seed_;
    BaseImage base_;
    Generator generator_;
    Oracle& oracle_;
    std::FILE* out_;
    Rig ours_, intel_;
    u64 next_ = 0;
    unsigned numbered_ = 0;
};

/// Runs it natively, and takes the outcome as what must come, if ours is the same.
bool Recorder::verify(const Case& made, exec::Case& c) {
    const auto outcome = oracle_.expect(c);
    if (!outcome) return false;
    if (!ours_.load(c)) return false;
    const exec::Outcome o = ours_.run(c);
    const auto differences = exec::compare(c, ours_, o);
    if (!differences || o.end != outcome->end || o.instructions != outcome->instructions) return false;
    if (differences->empty()) return true;
    // Flags that the manual leaves undefined, and that ours have otherwise.
    if (differences->size() != 1 || differences->front().what != "rflags") return false;
    u64 flags = 0;
    for (const exec::RegisterItem& i : c.final_regs)
        if (i.reg->name == "rflags") flags = i.value.word[0] ^ ours_.value(*i.reg).word[0];
    if (flags & ~u64{undefined_flags(made)}) return false;
    c.undefined.push_back({find_register("rflags"), flags});
    return true;
}

/// On an AMD host: a model without "zen" does the same, so the case serves it too.
bool Recorder::also_on_intel(const exec::Case& c) {
    if (!intel_.load(c)) return false;
    const auto differences = exec::compare(c, intel_, intel_.run(c));
    return differences && differences->empty();
}

bool Recorder::one(const RuleForms& rule, const Form& form, Want want) {
    Case made;
    for (unsigned tries = 0; tries < kTries; ++tries) {
        if (!generator_.make(seed_ << 32 | next_++, form, made)) continue;
        exec::Case c = to_reproducer(made, base_, kind_.mode);
        if (!ours_.load(c)) continue;
        const exec::Outcome o = ours_.run(c);
        // Exceptions are stopped at only when they are expected.
        if (o.exceptions) c.exception = exec::Case::Expected{o.last.vector, {}, {}};
        if (want != Want::any && (o.exceptions != 0) != (want == Want::fault)) continue;
        exec::Case whole = c;
        if (!verify(made, whole)) continue;   // before much work is done
        shrink(c, ours_);
        if (!verify(made, c)) continue;
        masked += !c.undefined.empty();
        if (also_on_intel(c)) c.cpu = "max";
        c.name = std::string{mnemonic_name(rule.mn, rule.vex)} + " " + std::to_string(++numbered_);
        std::fprintf(out_, "%s\n", exec::case_json(c).c_str());
        ++cases;
        return true;
    }
    return false;
}

void Recorder::rule(const RuleForms& r) {
    numbered_ = 0;
    bool fault = is_8086(kind_.mode);
    for (size_t i = 0; i < per_rule_; ++i) {
        const Form& form = r.forms[i * r.forms.size() / per_rule_];   // from all over
        if (!one(r, form, Want::success)) fault |= one(r, form, Want::any);
    }
    if (!fault) one(r, r.forms[next_ % r.forms.size()], Want::fault);
    if (numbered_) return;
    ++missing;
    std::printf("no case of %s in %s\n", mnemonic_name(r.mn, r.vex), exec::kModeNames[static_cast<size_t>(kind_.mode)]);
}

void Recorder::run() {
    for (const RuleForms& r : generator_.rules())
        if (!(r.vex && is_8086(kind_.mode))) rule(r);
}
}  // namespace

int record(const std::string& folder, unsigned per_rule, u64 seed) {
    auto oracle = Oracle::create();
    if (!oracle) return std::fprintf(stderr, "silicon: %s\n", oracle.error().message.c_str()), 2;
    for (const Kind& k : kKinds) {
        const std::string name = folder + "/" + exec::kModeNames[static_cast<size_t>(k.mode)] + ".json";
        std::FILE* out = std::fopen(name.c_str(), "w");
        if (!out) return std::perror(name.c_str()), 2;
        Recorder r{k, per_rule, seed, **oracle, out};
        r.run();
        const bool written = std::fclose(out) == 0;
        std::printf("%s: %u cases, %u of them with flags that ours leave otherwise, %u rules without a case\n", name.c_str(), r.cases, r.masked, r.missing);
        if (!written) return std::perror(name.c_str()), 2;
    }
    return 0;
}
}  // namespace calque::silicon
