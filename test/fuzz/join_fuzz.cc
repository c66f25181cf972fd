// What a machine that joins reads before it trusts anybody: addresses, tokens, cluster-info, the version, dates.
#include <string>

#include "fuzz.h"
#include "join/bootstrap_token.h"
#include "join/cluster_info.h"
#include "join/discovery.h"

namespace trireme::fuzz {

const char* const kSeeds[] = {"192.0.2.1:6443",
                              "https://[2001:db8::1]:6443/",
                              "abcdef.0123456789abcdef",
                              "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                              R"({"gitVersion":"v1.32.4","major":"1","minor":"32+"})",
                              "Sun, 01 Mar 2026 12:10:00 GMT",
                              "apiVersion: v1\nkind: Config\nclusters:\n- name: ''\n  cluster:\n"
                              "    server: https://192.0.2.1:6443\n    certificate-authority-data: eA==\n",
                              nullptr};

}  // namespace trireme::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme;        // NOLINT
  using namespace trireme::join;  // NOLINT
  const std::string text(fuzz::text_of(data, size));
  if (auto url = server_url(text); url.ok()) {
    auto again = server_url(*url);
    fuzz::require(again.ok() && *again == *url, "an address that was read is one");
  }
  if (auto token = BootstrapToken::parse(text); token.ok()) {
    fuzz::require(token->text() == text, "a token is all of its text");
  }
  if (auto hash = normal_ca_hash(text); hash.ok()) {
    fuzz::require(hash->size() == 71, "a hash has its length");
  }
  (void)check_version(text);
  (void)check_ca(text, {text});
  net::Response response;
  response.headers.set("Date", text);
  (void)clock_difference(response, WallTime());
  api::corev1::ConfigMap map;
  map.data["kubeconfig"] = text;
  if (auto address = read_cluster_info(map); address.ok()) {
    fuzz::require(address->server.starts_with("https://"), "nobody is joined without TLS");
  }
  fuzz::require(!check_signature(map, {"abcdef", "0123456789abcdef"}).ok(), "what nobody signed is not trusted");
  return 0;
}
