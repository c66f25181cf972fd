#include "apiserver/registry/service_families.h"

#include <gtest/gtest.h>

#include <optional>

namespace trireme::apiserver {
namespace {

using api::corev1::Service;
using Texts = std::vector<std::string>;

const Texts kV4{"IPv4"}, kV6{"IPv6"}, kBoth{"IPv4", "IPv6"}, kBothSixFirst{"IPv6", "IPv4"};

struct Asked {
  std::string policy;
  Texts families;
  Texts ips;
  bool selector = true;
  std::string type = "ClusterIP";
};

Service service_of(const Asked& asked) {
  Service out;
  out.spec.type = asked.type;
  if (!asked.policy.empty()) out.spec.ip_family_policy = asked.policy;
  out.spec.ip_families = asked.families;
  out.spec.cluster_ips = asked.ips;
  if (!asked.ips.empty()) out.spec.cluster_ip = asked.ips[0];
  if (asked.selector) out.spec.selector.insert_or_assign("a", "b");
  return out;
}

struct Case {
  const char* what;
  Texts cluster;
  std::optional<Asked> stored;
  Asked asked;
  std::string policy;  ///< What it comes to, if `error` is empty.
  Texts families;
  Texts ips = {};
  std::string error = {};  ///< A part of the first error: "FIELD MESSAGE".
};

void check(const Case& each) {
  SCOPED_TRACE(each.what);
  std::optional<Service> stored;
  if (each.stored) stored = service_of(*each.stored);
  Service service = service_of(each.asked);
  api::validation::ErrorList errors;
  init_families(each.cluster, stored ? &*stored : nullptr, service, errors);
  if (!each.error.empty()) {
    ASSERT_FALSE(errors.empty());
    const StatusCause cause = errors.causes()[0];
    EXPECT_NE((cause.field + " " + cause.message).find(each.error), std::string::npos) << cause.field << cause.message;
    return;
  }
  EXPECT_TRUE(errors.empty()) << errors.causes()[0].message;
  EXPECT_EQ(service.spec.ip_family_policy.value_or(""), each.policy);
  EXPECT_EQ(service.spec.ip_families, each.families);
  EXPECT_EQ(service.spec.cluster_ips, each.ips);
}

TEST(ServiceFamilies, OfNewServices) {
  const Case cases[] = {
      {"the default family", kV4, {}, {}, "SingleStack", kV4},
      {"of two the first", kBothSixFirst, {}, {}, "SingleStack", kV6},
      {"the one that was asked for", kBoth, {}, {"", kV6, {}}, "SingleStack", kV6},
      {"that of the address", kBoth, {}, {"", {}, {"fd00::1"}}, "SingleStack", kV6, {"fd00::1"}},
      {"preferring two where there is one", kV4, {}, {"PreferDualStack", {}, {}}, "PreferDualStack", kV4},
      {"preferring two", kBoth, {}, {"PreferDualStack", {}, {}}, "PreferDualStack", kBoth},
      {"the other one first", kBoth, {}, {"PreferDualStack", kV6, {}}, "PreferDualStack", kBothSixFirst},
      {"both addresses",
       kBoth,
       {},
       {"RequireDualStack", {}, {"fd00::1", "10.0.0.1"}},
       "RequireDualStack",
       kBothSixFirst,
       {"fd00::1", "10.0.0.1"}},
      {"requiring two where there is one",
       kV4,
       {},
       {"RequireDualStack", {}, {}},
       "",
       {},
       {},
       "spec.ipFamilyPolicy Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack "
       "services"},
      {"a family that is not there",
       kV4,
       {},
       {"", kV6, {}},
       "",
       {},
       {},
       "spec.ipFamilies[0] Invalid value: \"IPv6\": not configured on this cluster"},
      {"an address of one",
       kV4,
       {},
       {"", {}, {"fd00::1"}},
       "",
       {},
       {},
       "spec.clusterIPs[0] Invalid value: []string{\"fd00::1\"}: IPv6 is not configured on this cluster"},
      {"two families for one",
       kBoth,
       {},
       {"SingleStack", kBoth, {}},
       "",
       {},
       {},
       "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"},
      {"two addresses without a policy",
       kBoth,
       {},
       {"", {}, {"10.0.0.1", "fd00::1"}},
       "",
       {},
       {},
       "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified"},
      {"nonsense", kBoth, {}, {"", {}, {"10.0.0.256"}}, "", {}, {}, "spec.clusterIPs[0]"},
      {"headless", kBoth, {}, {"", {}, {"None"}}, "SingleStack", kV4, {"None"}},
      {"headless for both", kBoth, {}, {"PreferDualStack", {}, {"None"}}, "PreferDualStack", kBoth, {"None"}},
      {"headless without a selector", kV4, {}, {"", {}, {"None"}, false}, "RequireDualStack", kBoth, {"None"}},
      {"headless without a selector, single",
       kV6,
       {},
       {"SingleStack", {}, {"None"}, false},
       "SingleStack",
       kV6,
       {"None"}},
      {"a name", kBoth, {}, {"", {}, {}, true, "ExternalName"}, "", {}},
  };
  for (const Case& each : cases) check(each);
}

TEST(ServiceFamilies, OfChangedServices) {
  const Asked single{"SingleStack", kV4, {"10.0.0.1"}};
  const Asked dual{"RequireDualStack", kBoth, {"10.0.0.1", "fd00::1"}};
  const Case cases[] = {
      {"nothing", kBoth, single, single, "SingleStack", kV4, {"10.0.0.1"}},
      {"to both", kBoth, single, {"RequireDualStack", kV4, {"10.0.0.1"}}, "RequireDualStack", kBoth, {"10.0.0.1"}},
      {"to both, where there is one",
       kV4,
       single,
       {"PreferDualStack", kV4, {"10.0.0.1"}},
       "PreferDualStack",
       kV4,
       {"10.0.0.1"}},
      {"the policy alone, down",
       kBoth,
       dual,
       {"SingleStack", kBoth, {"10.0.0.1", "fd00::1"}},
       "SingleStack",
       kV4,
       {"10.0.0.1"}},
      {"all of it, down", kBoth, dual, {"SingleStack", kV4, {"10.0.0.1"}}, "SingleStack", kV4, {"10.0.0.1"}},
      {"down without saying so",
       kBoth,
       dual,
       {"", kBoth, {"10.0.0.1"}},
       "",
       {},
       {},
       "must be 'SingleStack' to release the secondary cluster IP"},
      {"the family, without saying so",
       kBoth,
       dual,
       {"", kV4, {"10.0.0.1", "fd00::1"}},
       "",
       {},
       {},
       "must be 'SingleStack' to release the secondary IP family"},
      {"what old clients leave out",
       kBoth,
       dual,
       {"", {}, {"10.0.0.1", "fd00::1"}},
       "RequireDualStack",
       kBoth,
       {"10.0.0.1", "fd00::1"}},
      {"a preferred second family does not come by itself",
       kBoth,
       Asked{"PreferDualStack", kV4, {"10.0.0.1"}},
       {"PreferDualStack", kV4, {"10.0.0.1"}},
       "PreferDualStack",
       kV4,
       {"10.0.0.1"}},
      {"nor goes",
       kV4,
       Asked{"PreferDualStack", kBoth, {"10.0.0.1", "fd00::1"}},
       {"PreferDualStack", kBoth, {"10.0.0.1", "fd00::1"}},
       "PreferDualStack",
       kBoth,
       {"10.0.0.1", "fd00::1"}},
      {"from a name", kBoth, Asked{"", {}, {}, true, "ExternalName"}, {}, "SingleStack", kV4},
  };
  for (const Case& each : cases) check(each);
}

}  // namespace
}  // namespace trireme::apiserver
