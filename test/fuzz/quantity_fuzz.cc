#include "base/quantity.h"
#include "fuzz.h"

namespace trireme::fuzz {

const char* const kSeeds[] = {"0",    "100m",        "1.5Gi", "-2e3", "1E", "12345678901234567890n",
                              "+.5k", "0.000000001", nullptr};

}  // namespace trireme::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme;  // NOLINT
  auto quantity = Quantity::parse(fuzz::text_of(data, size));
  if (!quantity.ok()) return 0;
  auto again = Quantity::parse(quantity->to_string());
  fuzz::require(again.ok() && *again == *quantity, "a printed quantity reads as itself");
  fuzz::require(again->to_string() == quantity->to_string(), "the canonical text is stable");
  (void)quantity->milli_value();
  (void)quantity->to_double();
  return 0;
}
