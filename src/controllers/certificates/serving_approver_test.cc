#include "controllers/certificates/serving_approver.h"

#include <gtest/gtest.h>

namespace trireme::controllers {
namespace {

using api::corev1::Node;
using Strings = std::vector<std::string>;

Node node(const std::string& name, const std::vector<std::pair<std::string, std::string>>& addresses) {
  Node out;
  out.metadata.name = name;
  for (const auto& [type, address] : addresses) {
    auto& entry = out.status.addresses.emplace_back();
    entry.type = type;
    entry.address = address;
  }
  return out;
}

TEST(ServingNamesTest, AreTheNodesOwnAndNobodyElses) {
  const Node own = node("n1", {{"InternalIP", "192.0.2.1"},
                               {"ExternalIP", "198.51.100.1"},
                               {"InternalIP", "2001:db8::1"},
                               {"Hostname", "n1.example"},
                               {"InternalIP", "192.0.2.9"},
                               {"InternalIP", "10.96.0.1"}});
  const std::vector<std::shared_ptr<const Node>> all{std::make_shared<Node>(own),
                                                     std::make_shared<Node>(node("n2", {{"InternalIP", "192.0.2.9"}}))};
  const Strings reserved{"10.96.0.1"};
  struct Case {
    const char* what;
    Strings dns;
    Strings addresses;
    const char* refusal;  ///< Null: it may.
  };
  const Case cases[] = {
      {"its name and its addresses", {"n1", "n1.example"}, {"192.0.2.1", "198.51.100.1", "2001:db8::1"}, nullptr},
      {"its name alone", {"n1"}, {}, nullptr},
      {"another's name", {"n2"}, {"192.0.2.1"}, "the DNS name n2 is not the node's"},
      {"the API server's name", {"kubernetes.default"}, {}, "the DNS name kubernetes.default is not the node's"},
      {"an address as a name", {"192.0.2.1"}, {}, "the DNS name 192.0.2.1 is not the node's"},
      {"a name as an address", {}, {"n1.example"}, "the address n1.example is not in the node's status"},
      {"an unknown address", {"n1"}, {"192.0.2.7"}, "the address 192.0.2.7 is not in the node's status"},
      {"one that another node has, too", {"n1"}, {"192.0.2.9"}, "the address 192.0.2.9 is also that of node n2"},
      {"a service's", {"n1"}, {"10.96.0.1"}, "the address 10.96.0.1 is the cluster's own"},
  };
  for (const Case& each : cases) {
    net::CertificateInfo info;
    info.dns_names = each.dns;
    info.ip_addresses = each.addresses;
    const Status status = check_serving_names(info, own, all, reserved);
    if (each.refusal) {
      EXPECT_EQ(status.message(), each.refusal) << each.what;
    } else {
      EXPECT_TRUE(status.ok()) << each.what << ": " << status.message();
    }
  }
}

}  // namespace
}  // namespace trireme::controllers
