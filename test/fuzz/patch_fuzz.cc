#include "api/patch/patch.h"
#include "api/types/corev1.h"
#include "fuzz.h"

namespace trireme::fuzz {

// A document and a patch, a line each.
const char* const kSeeds[] = {
    R"({"a":[1,{"b":2}],"c":{"d":null}})"
    "\n"
    R"([{"op":"add","path":"/a/-","value":3},{"op":"copy","from":"/a","path":"/e"},{"op":"move","from":"/c","path":"/a/0"},)"
    R"({"op":"test","path":"/e/0","value":1.0},{"op":"remove","path":"/a/-1"},{"op":"replace","path":"/e","value":{}}])",
    R"({"spec":{"containers":[{"name":"a","image":"i"},{"name":"b","env":[{"name":"x"}]}],"volumes":[{"name":"v","emptyDir":{}}]}})"
    "\n"
    R"({"metadata":{"labels":{"a":null,"b":"c"},"$deleteFromPrimitiveList/finalizers":["f"],"finalizers":["g"]},)"
    R"("spec":{"$setElementOrder/containers":[{"name":"c"},{"name":"b"}],"containers":[{"name":"c"},{"name":"a","$patch":)"
    R"("delete"}],"volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/"}}],"nodeSelector":{"$patch":"replace"}}})",
    nullptr};

}  // namespace trireme::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme;       // NOLINT
  using namespace trireme::api;  // NOLINT
  std::string_view text = fuzz::text_of(data, size);
  size_t line = text.find('\n');
  if (line == std::string_view::npos) return 0;
  auto document = parse_value(text.substr(0, line));
  auto patch = parse_value(text.substr(line + 1));
  if (!document.ok() || !patch.ok()) return 0;
  if (auto result = apply_json_patch(*document, *patch); result.ok()) (void)to_json(*result);
  Value merged = apply_merge_patch(*document, *patch);
  fuzz::require(apply_merge_patch(merged, *patch) == merged, "a merge patch applied twice changes nothing more");
  if (auto result = apply_strategic_merge_patch(*document, *patch, type_info<corev1::Pod>()); result.ok())
    (void)to_json(*result);
  return 0;
}
