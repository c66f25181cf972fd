#pragma once

#include <span>
#include <type_traits>

#include "api/type_info.h"
#include "api/validation/field.h"

/// How each group's validators are found by type.
namespace trireme::api::validation {

struct KindRules {
  const TypeInfo* type;
  void (*create)(const void* object, ErrorList& errors);
  void (*update)(const void* updated, const void* old, ErrorList& errors);
  void (*status)(const void* updated, const void* old, ErrorList& errors);  ///< Null: metadata only.
};

/// `StatusUpdate` is a function like `Update`, or nullptr. (Told apart by type: GCC's sanitizers cannot compare
/// addresses at compile time.)
template <typename T, void (*Create)(const T&, ErrorList&), void (*Update)(const T&, const T&, ErrorList&),
          auto StatusUpdate = nullptr>
KindRules kind_rules() {
  KindRules rules{&type_info<T>(),
                  [](const void* object, ErrorList& errors) { Create(*static_cast<const T*>(object), errors); },
                  [](const void* updated, const void* old, ErrorList& errors) {
                    Update(*static_cast<const T*>(updated), *static_cast<const T*>(old), errors);
                  },
                  nullptr};
  // By type, because GCC with -fsanitize=undefined takes comparisons of function addresses for no constants.
  using StatusCheck = void (*)(const T&, const T&, ErrorList&);
  if constexpr (!std::is_same_v<std::integral_constant<StatusCheck, StatusUpdate>,
                                std::integral_constant<StatusCheck, nullptr>>) {
    rules.status = [](const void* updated, const void* old, ErrorList& errors) {
      StatusUpdate(*static_cast<const T*>(updated), *static_cast<const T*>(old), errors);
    };
  }
  return rules;
}

std::span<const KindRules> core_rules();
std::span<const KindRules> node_rules();
std::span<const KindRules> storage_rules();
std::span<const KindRules> apps_rules();
std::span<const KindRules> batch_rules();
std::span<const KindRules> rbac_rules();
std::span<const KindRules> networking_rules();
std::span<const KindRules> policy_rules();
std::span<const KindRules> admission_rules();

}  // namespace trireme::api::validation
