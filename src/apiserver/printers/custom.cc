#include "apiserver/printers/custom.h"

#include "api/custom_resource.h"
#include "apiserver/printers/row.h"

namespace trireme::apiserver::printers {
namespace {

using api::metav1::TableColumnDefinition;

TableColumnDefinition name_column() {
  TableColumnDefinition name = columns(api::type_info<api::metav1::ObjectMeta>()).front();
  return name;
}

/// A cell as upstream writes it: of the column's type, or empty where the path leads nowhere.
void add_cell(std::string_view type, const std::vector<const api::Value*>& found, Row& row) {
  const api::Value* first = found.empty() ? nullptr : found.front();
  if (first == nullptr || first->is_null()) return row.nothing();
  if (type == "integer" && first->is_number()) {
    row.number(static_cast<int64_t>(first->as_double()));
  } else if (type == "number" && first->is_number()) {
    row.json(api::to_json(*first));
  } else if (type == "boolean" && first->is_bool()) {
    row.flag(first->as_bool());
  } else if (type == "date" && first->is_string()) {
    const auto time = api::Time::parse(first->as_string());
    row.text(time.ok() ? row.ago(*time) : "<invalid>");
  } else if (type == "string") {
    row.text(first->is_string() ? first->as_string() : api::to_json(*first));
  } else {
    row.nothing();
  }
}

}  // namespace

std::vector<TableColumnDefinition> columns(const extensions::CustomVersion& version) {
  std::vector<TableColumnDefinition> all{name_column()};
  for (const auto& column : version.spec->additional_printer_columns) {
    TableColumnDefinition& definition = all.emplace_back();
    definition.name = column.name;
    definition.type = column.type;
    definition.format = column.format;
    definition.description = column.description;
    definition.priority = column.priority;
    if (definition.description.empty()) {
      definition.description = "Custom resource definition column (in JSONPath format): " + column.json_path;
    }
  }
  if (version.spec->additional_printer_columns.empty()) {
    TableColumnDefinition& age = all.emplace_back();
    age.name = "Age";
    age.type = "date";
    age.description = columns(api::type_info<api::metav1::ObjectMeta>()).back().description;
  }
  return all;
}

api::metav1::TableRow row(const extensions::CustomVersion& version, const api::Object& object, WallTime now) {
  api::metav1::TableRow out;
  Row row(out, now);
  row.text(object.metadata().name);
  if (version.columns.empty()) {
    row.age(object.metadata());
    return out;
  }
  api::Value whole = api::members_of(*api::as_custom(object));
  auto metadata = api::to_value(api::type_info<api::metav1::ObjectMeta>(), &object.metadata());
  if (metadata.ok()) whole["metadata"] = std::move(*metadata);
  for (size_t i = 0; i < version.columns.size(); ++i) {
    add_cell(version.spec->additional_printer_columns[i].type, version.columns[i].find(whole), row);
  }
  return out;
}

}  // namespace trireme::apiserver::printers
