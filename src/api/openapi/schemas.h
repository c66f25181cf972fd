#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/openapi/writer.h"
#include "api/type_info.h"

namespace trireme::api::openapi {

/// "#/definitions/" or "#/components/schemas/" and the name.
std::string schema_reference(std::string_view schema_name, Dialect dialect);

/// The schemas that a document needs: those given and all that they refer to, by name.
class SchemaSet {
 public:
  void add(const TypeInfo& type);
  /// A schema that is written already, as JSON.
  void add_text(std::string_view name, std::string json);
  /// The names of all schemas, in order.
  std::vector<std::string_view> names() const;
  /// Appends the schema called `name`, which must be in the set.
  void append(std::string_view name, Dialect dialect, std::string& out) const;

 private:
  void add_references(const TypeInfo& type);

  /// Null: one of the scalars with a schema of their own (Quantity, Time, …).
  std::map<std::string_view, const TypeInfo*> schemas_;
  std::map<std::string, std::string, std::less<>> texts_;
};

}  // namespace trireme::api::openapi
