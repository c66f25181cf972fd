#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trireme::controllers {

/// The keys of one kind of object in the queue of a controller that works on several kinds: "claim default/data" is
/// `KeyKind("claim")("default/data")`. Keys without a kind hold no blank.
class KeyKind {
 public:
  constexpr explicit KeyKind(std::string_view kind) : kind_(kind) {}

  std::string operator()(std::string_view name) const {
    std::string key(kind_);
    key.append(1, ' ').append(name);
    return key;
  }
  /// The name in a key of this kind; nothing for keys of other kinds.
  std::optional<std::string> name_in(std::string_view key) const {
    if (!key.starts_with(kind_) || key.substr(kind_.size(), 1) != " ") return std::nullopt;
    return std::string(key.substr(kind_.size() + 1));
  }

 private:
  std::string_view kind_;
};

}  // namespace trireme::controllers
