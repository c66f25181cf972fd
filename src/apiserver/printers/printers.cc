#include "apiserver/printers/printers.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "api/selectors.h"
#include "api/value.h"
#include "apiserver/printers/row.h"

namespace trireme::apiserver::printers {
namespace {

using api::metav1::TableColumnDefinition;

constexpr Column kDefaultColumns[] = {{"Name"}, {"Created At", "date"}};

std::string_view meta_doc(std::string_view field) {
  for (const auto& each : api::type_info<api::metav1::ObjectMeta>().fields) {
    if (each.json_name == field) return each.doc;
  }
  return {};
}

std::vector<TableColumnDefinition> definitions(std::span<const Column> columns) {
  std::vector<TableColumnDefinition> out;
  out.reserve(columns.size());
  for (const Column& column : columns) {
    auto& definition = out.emplace_back();
    definition.name = column.name;
    definition.type = column.type;
    definition.priority = column.priority;
    definition.description = column.description;
    if (column.name == "Name") {
      definition.format = "name";
      definition.description = meta_doc("name");
    } else if (column.name == "Age" || column.name == "Created At") {
      definition.description = meta_doc("creationTimestamp");
    }
  }
  return out;
}

struct Entry {
  const Printer* printer;
  std::vector<TableColumnDefinition> columns;
};

const Entry* find_entry(const api::TypeInfo& type) {
  static const std::unordered_map<const api::TypeInfo*, Entry> kByType = [] {
    std::unordered_map<const api::TypeInfo*, Entry> by_type;
    for (auto group : {core_printers(), workload_printers(), other_printers()}) {
      for (const Printer& printer : group) {
        by_type.emplace(printer.type, Entry{&printer, definitions(printer.columns)});
      }
    }
    return by_type;
  }();
  const auto found = kByType.find(&type);
  return found == kByType.end() ? nullptr : &found->second;
}

}  // namespace

const std::vector<TableColumnDefinition>& columns(const api::TypeInfo& type) {
  static const std::vector<TableColumnDefinition> kDefault = definitions(kDefaultColumns);
  const Entry* entry = find_entry(type);
  return entry == nullptr ? kDefault : entry->columns;
}

api::metav1::TableRow row(const api::Object& object, WallTime now) {
  api::metav1::TableRow out;
  Row row(out, now);
  if (const Entry* entry = find_entry(object.type())) {
    entry->printer->print(object.data(), row);
  } else {
    row.text(object.metadata().name).text(object.metadata().creation_timestamp.to_string());
  }
  return out;
}

std::string human_duration(Duration duration) {
  using std::chrono::duration_cast;
  const int64_t seconds = duration_cast<std::chrono::seconds>(duration).count();
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 60 * 2) return fmt::format("{}s", seconds);
  auto pair = [](int64_t big, char big_unit, int64_t small, char small_unit) {
    return small == 0 ? fmt::format("{}{}", big, big_unit) : fmt::format("{}{}{}{}", big, big_unit, small, small_unit);
  };
  const int64_t minutes = seconds / 60;
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 60 * 3) return fmt::format("{}m", minutes);
  const int64_t hours = minutes / 60;
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return fmt::format("{}h", hours);
  const int64_t days = hours / 24;
  if (hours < 24 * 8) return pair(days, 'd', hours % 24, 'h');
  if (hours < 24 * 365 * 2) return fmt::format("{}d", days);
  if (hours < 24 * 365 * 8) return pair(days / 365, 'y', days % 365, 'd');
  return fmt::format("{}y", days / 365);
}

Row& Row::text(std::string_view cell) {
  api::append_json_string(cell, row_.cells.emplace_back().text);
  return *this;
}

Row& Row::number(int64_t cell) {
  row_.cells.emplace_back().text = std::to_string(cell);
  return *this;
}

Row& Row::flag(bool cell) {
  row_.cells.emplace_back().text = cell ? "true" : "false";
  return *this;
}

void Row::json(std::string_view cell) { row_.cells.emplace_back().text = cell; }

Row& Row::containers(const std::vector<api::corev1::Container>& containers) {
  std::string names;
  std::string images;
  for (const auto& container : containers) {
    if (!names.empty()) names += ',';
    names += container.name;
    if (!images.empty()) images += ',';
    images += container.image;
  }
  return text(names).text(images);
}

void Row::condition(std::string_view reason, std::string_view message) {
  auto& condition = row_.conditions.emplace_back();
  condition.type = "Completed";
  condition.status = "True";
  condition.reason = reason;
  condition.message = message;
}

std::string Row::ago(const api::Time& since) const { return since ? human_duration(now_ - since.wall()) : "<unknown>"; }

std::string Row::ago(const api::MicroTime& since) const {
  return since ? human_duration(now_ - since.wall()) : "<unknown>";
}

std::string format_labels(const api::Map<std::string>& labels) {
  std::string out;
  for (const auto& [key, value] : labels) {
    if (!out.empty()) out += ',';
    out += key + '=' + value;
  }
  return out.empty() ? "<none>" : out;
}

std::string format_selector(const api::metav1::LabelSelector& selector) {
  const Result<api::LabelSelector> parsed = api::LabelSelector::from(selector);
  if (!parsed.ok()) return "<error>";
  std::string out = parsed->to_string();
  return out.empty() ? "<none>" : out;
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

std::string first_three(std::span<const std::string> parts, size_t count) {
  std::string out = join(parts.first(std::min<size_t>(parts.size(), 3)));
  if (count > 3) return fmt::format("{} + {} more...", out, count - 3);
  return out;
}

std::string load_balancer_addresses(const std::vector<std::string>& addresses) {
  std::vector<std::string> sorted = addresses;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return join(sorted);
}

}  // namespace trireme::apiserver::printers
