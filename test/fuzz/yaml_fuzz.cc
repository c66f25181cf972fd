#include "api/yaml.h"
#include "fuzz.h"

namespace trireme::fuzz {

const char* const kSeeds[] = {"a: 1\nb: [x, 'y', \"z\\n\"]\nc:\n- d: |\n    text\n  e: >-\n    folded\n",
                              "x: &a {b: yes, c: 0o17}\ny: *a\nz:\n  <<: *a\n  d: ~\n",
                              "---\napiVersion: v1\nkind: Pod\n---\nkind: List\nitems:\n  - {}\n",
                              R"({"json": ["is", "yaml", 1.5e3, 0x1F, .inf]})",
                              "? complex\n: !!str 12\n# comment\n%TAG",
                              nullptr};

}  // namespace trireme::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme;       // NOLINT
  using namespace trireme::api;  // NOLINT
  std::string_view text = fuzz::text_of(data, size);
  for (std::string_view document : split_yaml_documents(text)) {
    fuzz::require(document.data() >= text.data() && document.data() + document.size() <= text.data() + text.size(),
                  "documents are parts of the text");
  }
  auto value = parse_yaml(text);
  if (!value.ok()) return 0;
  fuzz::require(parse_value(to_json(*value)).ok(), "YAML turns into valid JSON");
  (void)to_yaml(*value);
  return 0;
}
