#include "api/names.h"

#include <gtest/gtest.h>

namespace trireme::api {
namespace {

using Check = NameErrors (*)(std::string_view);

struct Case {
  const char* rule;
  Check check;
  std::vector<std::string> valid;
  std::vector<std::string> invalid;
};

TEST(NamesTest, Tables) {
  const std::string l63(63, 'a');
  const std::string l64(64, 'a');
  const std::string s253 = l63 + "." + l63 + "." + l63 + "." + std::string(61, 'a');
  const Case cases[] = {
      {"label",
       check_dns1123_label,
       {"a", "ab", "a-b", "0", "1-a", l63},
       {"", "A", "a.b", "-a", "a-", "a_b", " a", l64}},
      {"subdomain",
       check_dns1123_subdomain,
       {"a", "a.b", "0.1", "a-b.c-d", s253},
       {"", ".", "a.", ".a", "a..b", "A.b", "a.-b", s253 + "a"}},
      {"wildcard", check_wildcard_dns1123_subdomain, {"*.a", "*.a.b"}, {"", "*", "*.", "a", "*a.b", "*.*.a"}},
      {"dns1035", check_dns1035_label, {"a", "a1", "a-1"}, {"", "1a", "-a", "a-", "A", l64}},
      {"qualified name",
       check_qualified_name,
       {"a", "A", "a.b_c-d", "x/y", "example.com/My_Name", "1/1"},
       {"", "/", "a/", "/a", "a/b/c", "A/b", "-a", "a-", "a b", l64}},
      {"label value", check_label_value, {"", "a", "A.b_c-1", l63}, {"-", "a-", "a b", "a/b", l64}},
      {"identifier", check_c_identifier, {"a", "_", "A1"}, {"", "1a", "a-b"}},
      {"env", check_env_var_name, {"A", "a.b-c", "_x"}, {"", "1a", "a b", "a=b", ".", "..", "..a"}},
      {"relaxed env", check_relaxed_env_var_name, {"1", "a b", "-"}, {"", "a=b", "\x01", "\xc3\xa4"}},
      {"config map key", check_config_map_key, {"a", "A.b_c-d", ".a", "1"}, {"", ".", "..", "..a", "a/b", "a b"}},
      {"port name", check_port_name, {"http", "a1", "1a"}, {"", "1", "-a", "a-", "a--b", "Http", "abcdefghijklmnop"}},
      {"header", check_http_header_name, {"X-A"}, {"", "a b", "a:"}},
      {"percent", check_percent, {"0%", "100%"}, {"", "%", "1", "-1%", "1.5%"}},
      {"path segment", check_path_segment, {"a:b", "", "system:x"}, {".", "..", "a/b", "a%b"}},
      {"ip",
       check_ip,
       {"1.2.3.4", "010.0.0.1", "::", "2001:db8::1", "::ffff:1.2.3.4"},
       {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.-4", "1.2.3.", "a", "::1%eth0", "1.2.3.4/8", "g::"}},
      {"ipv4", check_ipv4, {"1.2.3.4", "::ffff:1.2.3.4"}, {"::1", ""}},
      {"ipv6", check_ipv6, {"::1"}, {"1.2.3.4", "", "::ffff:1.2.3.4"}},
      {"cidr",
       check_cidr,
       {"10.0.0.0/8", "::/0", "0.0.0.0/32"},
       {"", "10.0.0.0", "10.0.0.0/33", "::/129", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/+8"}},
  };
  for (const Case& test : cases) {
    for (const std::string& text : test.valid) EXPECT_TRUE(test.check(text).empty()) << test.rule << ": " << text;
    for (const std::string& text : test.invalid) EXPECT_FALSE(test.check(text).empty()) << test.rule << ": " << text;
  }
}

TEST(NamesTest, TextsAreTheOnesClientsKnow) {
  EXPECT_EQ(check_dns1123_subdomain("A").front(),
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
  EXPECT_EQ(check_dns1123_label("a.b"), NameErrors{"must not contain dots"});
  EXPECT_EQ(check_dns1123_label("A").front(),
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
            "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')");
  EXPECT_EQ(check_label_value(std::string(64, 'a')), NameErrors{"must be no more than 63 characters"});
  EXPECT_EQ(check_port_number(0), NameErrors{"must be between 1 and 65535, inclusive"});
  EXPECT_EQ(check_qualified_name("").size(), 2u);
}

TEST(NamesTest, GeneratesNames) {
  uint32_t next = 0;
  auto counting = [&next] { return next++; };
  EXPECT_EQ(generate_name("web-", counting), "web-bcdfg");
  EXPECT_EQ(generate_name(std::string(80, 'x'), counting).size(), 63u);
  std::string name = generate_name("pod-");
  EXPECT_EQ(name.size(), 9u);
  EXPECT_EQ(name.find_first_not_of("bcdfghjklmnpqrstvwxz2456789", 4), std::string::npos);
  EXPECT_NE(generate_name("pod-"), generate_name("pod-"));
}

}  // namespace
}  // namespace trireme::api
