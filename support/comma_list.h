// Lists that users write with commas.
#pragma once
#include <sstream>
#include <string>
#include <vector>

namespace calque {
/// "a,b,c": its words. Empty ones are left out.
inline std::vector<std::string> comma_list(const std::string& list) {
    std::vector<std::string> out;
    std::istringstream in{list};
    for (std::string word; std::getline(in, word, ',');)
        if (!word.empty()) out.push_back(std::move(word));
    return out;
}
}  // namespace calque
