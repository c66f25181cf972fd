#include "store/store.h"

namespace trireme::store {

Result<KeyValue> Store::get(std::string_view key) {
  std::string end(key);
  end.push_back('\0');  // the smallest key after `key`
  TRY_ASSIGN(RangeResult result, range(key, end, {}));
  if (result.entries.empty()) return Status::not_found("key \"" + std::string(key) + "\" not found");
  return std::move(result.entries.front());
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace trireme::store
