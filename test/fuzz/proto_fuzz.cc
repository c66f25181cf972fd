#include <string>

#include "api/codec.h"
#include "api/types/apiextensionsv1.h"
#include "api/types/corev1.h"
#include "fuzz.h"

namespace trireme::fuzz {

const char* const kSeeds[] = {"\n\3\n\1p\22\6\22\4\n\1c\22\1i", "k8s",
                              "\n\x10\n\1a\x12\x00\x1a\x01n\x22\x00*\x01u2\x00", nullptr};

template <typename T>
void round_trip(std::string_view bytes) {
  T object;
  if (!api::parse_proto(api::type_info<T>(), bytes, &object).ok()) return;
  std::string first;
  api::append_proto(api::type_info<T>(), &object, first);
  T again;
  require(api::parse_proto(api::type_info<T>(), first, &again).ok(), "what is written can be read");
  std::string second;
  api::append_proto(api::type_info<T>(), &again, second);
  require(first == second, "reading and writing again changes nothing");
}

}  // namespace trireme::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme;  // NOLINT
  std::string_view bytes = fuzz::text_of(data, size);
  (void)api::unwrap_proto(bytes);
  (void)api::unwrap_proto(std::string("k8s\0", 4) + std::string(bytes));
  fuzz::round_trip<api::corev1::Pod>(bytes);
  fuzz::round_trip<api::corev1::Service>(bytes);
  fuzz::round_trip<api::corev1::Event>(bytes);
  fuzz::round_trip<api::apiextensionsv1::CustomResourceDefinition>(bytes);
  return 0;
}
