#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "api/types/metav1.h"
#include "apiserver/printers/printers.h"

/// How each group's printers are found by type, and what they share.
namespace trireme::apiserver::printers {

/// Collects the cells of one row as JSON.
class Row {
 public:
  Row(api::metav1::TableRow& row, WallTime now) : row_(row), now_(now) {}

  Row& text(std::string_view cell);
  /// `cell`, or "<none>".
  Row& text_or_none(std::string_view cell) { return text(cell.empty() ? "<none>" : cell); }
  Row& number(int64_t cell);
  Row& flag(bool cell);
  /// Any JSON as it stands.
  void json(std::string_view cell);
  void nothing() { json("null"); }
  /// How long ago; "<unknown>" when unset.
  Row& age(const api::Time& since) { return text(ago(since)); }
  Row& age(const api::metav1::ObjectMeta& meta) { return age(meta.creation_timestamp); }
  /// "Names" and "Images" of a pod template's containers.
  Row& containers(const std::vector<api::corev1::Container>& containers);
  void condition(std::string_view reason, std::string_view message);

  std::string ago(const api::Time& since) const;
  std::string ago(const api::MicroTime& since) const;
  WallTime now() const { return now_; }

 private:
  api::metav1::TableRow& row_;
  WallTime now_;
};

struct Column {
  std::string_view name;
  std::string_view type = "string";  ///< string, integer, boolean or date
  int priority = 0;                  ///< 1: only with `-o wide`.
  std::string_view description;
};

struct Printer {
  const api::TypeInfo* type;
  std::span<const Column> columns;
  void (*print)(const void* object, Row& row);
};

template <typename T, void (*Print)(const T&, Row&)>
Printer printer(std::span<const Column> columns) {
  return {&api::type_info<T>(), columns,
          [](const void* object, Row& row) { Print(*static_cast<const T*>(object), row); }};
}

std::span<const Printer> core_printers();
std::span<const Printer> workload_printers();
std::span<const Printer> other_printers();

/// "a=b,c=d" or "<none>".
std::string format_labels(const api::Map<std::string>& labels);
std::string format_selector(const api::metav1::LabelSelector& selector);
template <typename Selector>
std::string format_selector(const Selector& selector) {  // Box
  return selector ? format_selector(*selector) : "<none>";
}
std::string join(std::span<const std::string> parts, std::string_view separator = ",");
/// The first three, and how many more there are.
std::string first_three(std::span<const std::string> parts, size_t count);
/// The addresses of a load balancer, sorted.
std::string load_balancer_addresses(const std::vector<std::string>& addresses);

}  // namespace trireme::apiserver::printers
