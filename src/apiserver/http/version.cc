#include "apiserver/http/version.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include "base/version.h"

namespace trireme::apiserver {

std::string version_document() {
  utsname system{};
  uname(&system);
  std::string_view machine = system.machine;
  std::string_view architecture = machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : machine;
  return fmt::format(R"({{
  "major": "1",
  "minor": "32",
  "gitVersion": "{}",
  "gitCommit": "",
  "gitTreeState": "clean",
  "buildDate": "1970-01-01T00:00:00Z",
  "goVersion": "",
  "compiler": "gcc",
  "platform": "linux/{}"
}})",
                     kVersion, architecture);
}

}  // namespace trireme::apiserver
