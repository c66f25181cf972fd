#include "api/defaults/defaults.h"

#include <unordered_map>

#include "api/defaults/groups.h"

namespace trireme::api {

void apply_defaults(const TypeInfo& type, void* object) {
  static const std::unordered_map<const TypeInfo*, void (*)(void*)> kByType = [] {
    std::unordered_map<const TypeInfo*, void (*)(void*)> by_type;
    for (auto group : {defaults::core(), defaults::workloads(), defaults::others()}) {
      for (const auto& each : group) by_type.emplace(each.type, each.apply);
    }
    return by_type;
  }();
  if (const auto found = kByType.find(&type); found != kByType.end()) found->second(object);
}

void apply_defaults(Object& object) { apply_defaults(object.type(), object.data()); }

}  // namespace trireme::api
