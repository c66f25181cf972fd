#include "api/selectors.h"
#include "fuzz.h"

namespace trireme::fuzz {

const char* const kSeeds[] = {"a=b,c==d,e!=f",       "x in (a,b),y notin (c),z,!w,n>1,m<2",  "example.com/key in ()",
                              "metadata.name=a\\,b", "status.phase!=Running,spec.nodeName=", nullptr};

}  // namespace trireme::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme;       // NOLINT
  using namespace trireme::api;  // NOLINT
  std::string_view text = fuzz::text_of(data, size);
  if (auto labels = LabelSelector::parse(text); labels.ok()) {
    auto again = LabelSelector::parse(labels->to_string());
    fuzz::require(again.ok() && *again == *labels, "a printed label selector reads as itself");
  }
  if (auto fields = FieldSelector::parse(text); fields.ok()) {
    // The first print may order `==` and `=` differently than the text did.
    auto again = FieldSelector::parse(fields->to_string());
    fuzz::require(again.ok() && again->requirements().size() == fields->requirements().size(),
                  "a printed field selector reads as itself");
    auto third = FieldSelector::parse(again->to_string());
    fuzz::require(third.ok() && third->to_string() == again->to_string(), "the canonical text is stable");
  }
  return 0;
}
