#include "api/codec.h"
#include "api/structural/check_schema.h"
#include "api/structural/json_path.h"
#include "api/structural/schema.h"
#include "api/structural/validate.h"
#include "fuzz.h"

namespace trireme::fuzz {

// A schema, and an object for it, with a line between them.
const char* const kSeeds[] = {
    R"({"type":"object","properties":{"a":{"type":"string","pattern":"^x+$","default":"x"},"b":{"type":"array","items":{"type":"integer"}}}}
{"a":"y","b":[1,"c"],"z":{}})",
    R"({"type":"object","properties":{"a":{"x-kubernetes-int-or-string":true,"anyOf":[{"type":"integer"},{"type":"string"}]},
"m":{"type":"object","additionalProperties":{"type":"object","properties":{"k":{"type":"number","default":1.5}}}}}}
{"a":1,"m":{"x":{}}})",
    ".conditions[?(@.type==\"Ready\")].status\n{\"conditions\":[{\"type\":\"Ready\",\"status\":true}]}",
    ".a['b.c/d'][0][*]\n{\"a\":{\"b.c/d\":[[1]]}}", nullptr};

}  // namespace trireme::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme;                   // NOLINT
  using namespace trireme::api;              // NOLINT
  using namespace trireme::api::structural;  // NOLINT
  const std::string_view text = fuzz::text_of(data, size);
  const size_t line = std::min(text.rfind('\n'), text.size());
  auto object = parse_value(text.substr(std::min(line + 1, text.size())));
  if (auto path = JsonPath::parse(text.substr(0, line)); path.ok() && object.ok()) {
    (void)path->find(*object);
    if (path->is_simple()) {
      Value copy = *object;
      if (copy.is_object() && path->set(copy, true)) {
        fuzz::require(path->find(copy).size() == 1, "what was set is found");
      }
    }
  }
  auto props = decode_json<apiextensionsv1::JSONSchemaProps>(text.substr(0, line));
  if (!props.ok()) return 0;
  validation::ErrorList errors;
  check_schema(*props, validation::Path("schema"), errors);
  if (!errors.empty()) return 0;
  auto schema = compile(*props);
  fuzz::require(schema.ok(), "a sound schema can be used");
  if (!object.ok()) return 0;
  prune(*object, **schema, true, nullptr);
  apply_defaults(*object, **schema);
  const std::string once = to_json(*object);
  std::vector<std::string> removed;
  prune(*object, **schema, true, &removed);
  apply_defaults(*object, **schema);
  fuzz::require(removed.empty() && to_json(*object) == once, "pruning and defaulting change nothing the second time");
  validation::ErrorList faults;
  validate(*object, **schema, "", faults);
  return 0;
}
