// Several observers as one.
#pragma once
#include <algorithm>
#include <vector>

#include "cpu/observer.h"

namespace calque {

class Observers final : public Observer {
public:
    void add(Observer* o) { all_.push_back(o); }
    bool empty() const { return all_.empty(); }

    u64 attend(u64 icount) override {
        u64 free = ~u64{0};
        for (Observer* o : all_) free = std::min(free, o->attend(icount));
        return free;
    }
    void lifted(u64 code, unsigned bytes) override {
        for (Observer* o : all_) o->lifted(code, bytes);
    }
    void translated(u64 code, const u8* host, size_t size) override {
        for (Observer* o : all_) o->translated(code, host, size);
    }
    void accessed(u64 linear, const u8* bytes, unsigned size, bool write, bool system) override {
        for (Observer* o : all_) o->accessed(linear, bytes, size, write, system);
    }
    void port(u64 rip, u16 port, u32 value, unsigned size, bool write) override {
        for (Observer* o : all_) o->port(rip, port, value, size, write);
    }
    void delivered(const Debug::Delivery& d) override {
        for (Observer* o : all_) o->delivered(d);
    }

private:
    std::vector<Observer*> all_;
};
}  // namespace calque
