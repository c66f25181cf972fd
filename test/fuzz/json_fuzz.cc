#include "api/codec.h"
#include "api/types/corev1.h"
#include "api/value.h"
#include "fuzz.h"

namespace trireme::fuzz {

const char* const kSeeds[] = {
    "null", R"({"a":[1,-2.5,1e21,"x\u00e9\n",true,null,{}],"b":{"c":[[]]}})",
    R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","labels":{"a":"b"},"creationTimestamp":"2020-01-02T03:04:05Z",)"
    R"("managedFields":[{"manager":"m","fieldsV1":{"f:a":{}}}]},"spec":{"containers":[{"name":"c","image":"i","ports":)"
    R"([{"containerPort":80,"protocol":"TCP"}],"resources":{"limits":{"cpu":"100m","memory":1}},"livenessProbe":)"
    R"({"httpGet":{"port":"http"},"periodSeconds":3}}],"volumes":[{"name":"v","emptyDir":{"sizeLimit":"1Gi"}}]}})",
    nullptr};

}  // namespace trireme::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme;       // NOLINT
  using namespace trireme::api;  // NOLINT
  std::string_view text = fuzz::text_of(data, size);
  if (auto value = parse_value(text); value.ok()) {
    auto again = parse_value(to_json(*value));
    fuzz::require(again.ok() && *again == *value, "a value's JSON reads as the value");
  }
  DecodeNotes notes;
  if (auto pod = decode_json<corev1::Pod>(text, &notes); pod.ok()) {
    std::string json = encode_json(*pod);
    auto again = decode_json<corev1::Pod>(json);
    fuzz::require(again.ok(), "what is written can be read");
    fuzz::require(encode_json(*again) == json, "reading and writing again changes nothing");
  }
  return 0;
}
