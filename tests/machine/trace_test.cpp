// Traces: what a run is does not depend on them, and they say what it was.
#include <algorithm>
#include <random>

#include "machine/trace/reader.h"
#include "machine/trace/tracer.h"
#include "tests/machine/rig.h"
#include "tests/temp_folder.h"

namespace {
using namespace calque::test;
using Kind = TraceRecord::Kind;

struct Kept {
    TraceRecord record;
    std::vector<u8> bytes;
};

std::vector<Kept> read_all(const std::string& file, const std::string& filter = {}, bool cut = false) {
    auto reader = TraceReader::open(file);
    if (!reader) FAIL(reader.error().message);
    std::vector<Kept> out;
    const auto done = (*reader)->read(*parse_trace_filter(filter), [&](const TraceRecord& r) {
        out.push_back({r, {r.bytes.begin(), r.bytes.end()}});
        return true;
    });
    if (!done) FAIL(done.error().message);
    CHECK((*reader)->cut() == cut);
    return out;
}

/// The state that a guest is in after so many instructions, with a trace or without.
u64 hash_after(const char* guest, bool jit, u64 instructions, const std::string& file = {}, const std::string& filter = {}) {
    Rig r{guest, jit};
    std::unique_ptr<Tracer> tracer;
    if (!file.empty()) {
        auto t = Tracer::start(r.machine->cpu(), file, *parse_trace_filter(filter), filter);
        REQUIRE(t);
        tracer = std::move(*t);
        r.machine->cpu().set_observer(tracer.get());
    }
    r.machine->set_stop_at(instructions);
    while (r.machine->run(10'000'000) == Machine::Stop::slice) {}
    CHECK(r.machine->icount() == instructions);
    if (tracer) REQUIRE(tracer->finish());
    r.machine->cpu().set_observer(nullptr);
    return r.machine->state_hash();
}

std::string why_not(const std::string& file) {
    auto reader = TraceReader::open(file);
    if (!reader) return reader.error().message;
    const auto done = (*reader)->read({}, [](const TraceRecord&) { return true; });
    return done ? "" : done.error().message;
}
}  // namespace

TEST_CASE("trace: the run is the same with it, on either executor") {
    const TempFolder folder;
    const std::string file = folder / "a.trace";
    for (const char* guest : {"busy", "ticks", "stale"})
        for (const bool jit : {false, true}) {
            CAPTURE(guest);
            const u64 plain = hash_after(guest, jit, 60'000);
            for (const char* filter : {"", "interrupts,ports", "count=20000-25000", "memory,data=0x500-0x503"})
                CHECK(hash_after(guest, jit, 60'000, file, filter) == plain);
        }
}

TEST_CASE("trace: every instruction once, its bytes, and what it does to memory") {
    const TempFolder folder;
    const std::string file = folder / "a.trace";
    for (const bool jit : {false, true}) {
        hash_after("busy", jit, 1000, file);
        const auto all = read_all(file);
        u64 count = 0;
        for (const Kept& k : all) {
            if (k.record.kind != Kind::instruction) continue;
            CHECK(k.record.at.count == count++);
            CHECK(k.record.at.bits == 16);
        }
        CHECK(count == 1000);
        CHECK(all[0].record.at.linear == 0xffff'fff0);
        CHECK(all[0].bytes == std::vector<u8>{0xea, 0, 0, 0, 0xf0});
        CHECK(all[1].record.at.linear == 0xf0000);
        CHECK(all[1].record.at.rip() == 0);
        const auto writes = read_all(file, "memory,address=0xf0000-0xfffff");
        REQUIRE(writes.size() > 100);
        const u32 first = 1664525 + 1013904223;
        CHECK(writes[0].record.kind == Kind::write);
        CHECK(writes[0].record.address == 0x1000);
        CHECK(writes[0].bytes == std::vector<u8>{first & 0xff, first >> 8 & 0xff, first >> 16 & 0xff, first >> 24});
        CHECK(writes[1].record.address == 0x1004);
        CHECK(writes[1].record.at.count == writes[0].record.at.count + 7);
        CHECK(read_all(file, "memory,data=0x1004-0x1007").size() == 1);
        CHECK(read_all(file, "ring=3").empty());
    }
}

TEST_CASE("trace: interrupts and ports stand at the same places, whether the code runs at full speed or not") {
    const TempFolder folder;
    const std::string slow = folder / "slow", fast = folder / "fast";
    const auto places = [](const std::vector<Kept>& all) {
        std::vector<std::vector<u64>> out;
        for (const Kept& k : all)
            out.push_back({static_cast<u64>(k.record.kind), k.record.at.count, k.record.at.linear, k.record.address, k.record.vector, k.bytes.empty() ? 0u : k.bytes[0]});
        return out;
    };
    hash_after("ticks", false, 20'000, slow);
    for (const bool jit : {false, true}) {
        hash_after("ticks", jit, 20'000, fast, "interrupts,ports");
        const auto all = read_all(fast);
        CHECK(places(all) == places(read_all(slow, "interrupts,ports")));
        CHECK(std::count_if(all.begin(), all.end(), [](const Kept& k) { return k.record.kind == Kind::delivery && k.record.vector == 8; }) > 100);
        const auto ends = [](const Kept& k) { return k.record.kind == Kind::out && k.record.address == 0x20 && k.bytes[0] == 0x20; };
        CHECK(std::count_if(all.begin(), all.end(), ends) > 100);
    }
    // The frame of an interrupt is the delivery's: six bytes, at the place where it came.
    const auto all = read_all(slow);
    const auto delivery = std::find_if(all.begin(), all.end(), [](const Kept& k) { return k.record.kind == Kind::delivery; });
    REQUIRE(all.end() - delivery > 4);
    for (unsigned n = 1; n <= 4; ++n) CHECK(delivery[n].record.at.count == delivery->record.at.count);
    CHECK(delivery[1].record.kind == Kind::read);
    CHECK(delivery[1].record.address == 8 * 4);
    CHECK(delivery[2].record.kind == Kind::write);
    CHECK(delivery[5].record.kind == Kind::instruction);
}

TEST_CASE("trace: counts have both ends") {
    const TempFolder folder;
    hash_after("busy", true, 50'000, folder / "a", "instructions,count=30000-30009");
    const auto all = read_all(folder / "a");
    REQUIRE(all.size() == 10);
    CHECK(all.front().record.at.count == 30'000);
    CHECK(all.back().record.at.count == 30'009);
}

TEST_CASE("trace: any record comes back from a file as it was") {
    std::mt19937_64 random{1};
    std::vector<Kept> in;
    TracePlace at;
    for (unsigned n = 0; n < 2000; ++n) {
        Kept k;
        if (random() % 4 == 0) at = {.count = random(), .linear = random(), .bits = u8(16 << random() % 3), .ring = u8(random() % 4), .cs = u16(random()), .base = u32(random()), .cr3 = random()};
        if (random() % 2) ++at.count, at.linear += random() % 16;
        k.record.kind = static_cast<Kind>(1 + random() % 6);
        k.record.at = at;
        k.bytes.resize(k.record.kind == Kind::instruction ? random() % 16 : 1 + random() % (random() % 20 ? 16 : kTraceData));
        if (k.record.kind == Kind::in || k.record.kind == Kind::out) k.bytes.resize(size_t{1} << random() % 3), k.record.address = random() & 0xffff;
        if (k.record.kind == Kind::read || k.record.kind == Kind::write) k.record.address = random() >> random() % 64, k.record.system = random() % 2;
        if (k.record.kind == Kind::delivery) {
            k.bytes.clear();
            k.record.vector = static_cast<u8>(random()), k.record.cause = static_cast<TraceRecord::Cause>(random() % 3);
            if (random() % 2) k.record.error = static_cast<u32>(random());
        }
        for (u8& b : k.bytes) b = static_cast<u8>(random());
        in.push_back(std::move(k));
    }
    TraceEncoder encoder;
    for (Kept& k : in) {
        k.record.bytes = k.bytes;
        encoder.add(k.record);
    }
    const auto bytes = encoder.take();
    TraceDecoder decoder{bytes};
    for (const Kept& k : in) {
        const auto r = decoder.next();
        REQUIRE(r);
        CHECK(r->kind == k.record.kind);
        CHECK(r->at.count == k.record.at.count);
        CHECK(r->at.linear == k.record.at.linear);
        CHECK(r->at.same_context(k.record.at));
        CHECK(r->address == k.record.address);
        CHECK(r->system == k.record.system);
        CHECK(r->vector == k.record.vector);
        CHECK(r->cause == k.record.cause);
        CHECK(r->error == k.record.error);
        CHECK(std::equal(r->bytes.begin(), r->bytes.end(), k.bytes.begin(), k.bytes.end()));
    }
    CHECK_FALSE(decoder.next());
    CHECK(decoder.ok());
}

TEST_CASE("trace: a file that was cut off is read to its last whole frame; a damaged one is refused") {
    const TempFolder folder;
    const std::string file = folder / "a.trace", broken = folder / "b.trace";
    {
        Rig r{"busy", false};
        auto tracer = Tracer::start(r.machine->cpu(), file, {}, "");
        REQUIRE(tracer);
        r.machine->cpu().set_observer(tracer->get());
        for (unsigned n = 0; n < 4; ++n) {
            r.machine->run(500);
            REQUIRE((*tracer)->flush());
        }
        REQUIRE((*tracer)->finish());
        r.machine->cpu().set_observer(nullptr);
    }
    const std::string whole = content(file);
    const size_t all = read_all(file, "instructions").size();
    CHECK(all == 2000);
    std::mt19937 random{2};
    size_t least = all, most = 0;
    for (unsigned n = 0; n < 40; ++n) {
        const size_t length = 2000 + random() % (whole.size() - 2000);   // behind the header
        write(broken, whole.substr(0, length));
        const auto some = read_all(broken, "instructions", true);
        CHECK(some.size() % 500 == 0);
        for (size_t i = 0; i < some.size(); ++i) CHECK(some[i].record.at.count == i);
        least = std::min(least, some.size()), most = std::max(most, some.size());
    }
    CHECK(least < most);
    for (unsigned n = 0; n < 40; ++n) {
        std::string bytes = whole;
        bytes[1600 + random() % (whole.size() - 1700)] ^= static_cast<char>(1 + random() % 255);
        write(broken, bytes);
        auto reader = TraceReader::open(broken);
        if (!reader) continue;
        size_t records = 0;
        const auto done = (*reader)->read(*parse_trace_filter("instructions"), [&](const TraceRecord& r) { return r.at.count == records++; });
        CHECK((!done || (*reader)->cut()));
        CHECK(records % 500 == 0);
    }
    write(broken, "CALQSNAP" + whole.substr(8));
    CHECK(why_not(broken).find("is no trace of Calque") != std::string::npos);
    CHECK(why_not(folder / "missing").find("cannot read the trace") != std::string::npos);
}

TEST_CASE("trace: a full disk is said once and does not stop the machine") {
    if (::access("/dev/full", W_OK) != 0) return;
    Rig r{"busy", false};
    auto tracer = Tracer::start(r.machine->cpu(), "/dev/full", {}, "");
    REQUIRE_FALSE(tracer);
    CHECK(tracer.error().message.find("/dev/full") != std::string::npos);
}

TEST_CASE("trace filter: words") {
    const auto f = parse_trace_filter("instructions,ports,count=5-9,ring=3,cr3=0x1000,address=0x10-,data=7");
    REQUIRE(f);
    CHECK((f->instructions && f->ports && !f->memory && !f->interrupts));
    CHECK((f->count.first == 5 && f->count.last == 9));
    CHECK(f->passes(0x10, 3, 0x1000));
    CHECK_FALSE(f->passes(0xf, 3, 0x1000));
    CHECK_FALSE(f->passes(0x10, 0, 0x1000));
    CHECK_FALSE(f->passes(0x10, 3, 0x2000));
    for (const char* wrong : {"nonsense", "count=9-5", "ring=x", "speed=3", "cr3=", "address=1-2-3", "data=0x"}) CHECK_FALSE(parse_trace_filter(wrong));
}
