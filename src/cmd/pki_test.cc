#include "cmd/pki.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "linux/file.h"
#include "support/virtual_clock.h"

namespace trireme::cmd {
namespace {

using std::chrono::hours;

constexpr auto kDay = hours(24);

class PkiTest : public testing::Test {
 protected:
  PkiTest() {
    std::string name = testing::TempDir() + "pki-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~PkiTest() override { std::filesystem::remove_all(folder_); }

  Pki open() {
    auto pki = Pki::open(folder_ + "/pki", clock_);
    EXPECT_TRUE(pki.ok()) << pki.status().to_string();
    return std::move(*pki);
  }
  static Pki::Identity server(std::vector<std::string> addresses) {
    return {.name = "apiserver",
            .common_name = "kube-apiserver",
            .organizations = {},
            .use = net::CertificateUse::kServer,
            .dns_names = {"kubernetes"},
            .ip_addresses = std::move(addresses)};
  }
  unsigned mode(const std::string& file) const {
    struct stat about {};
    EXPECT_EQ(::stat((folder_ + "/pki" + file).c_str(), &about), 0) << file;
    return about.st_mode & 0777U;
  }

  test::VirtualClock clock_;
  std::string folder_;
};

TEST_F(PkiTest, MakesWhatIsMissingAndKeepsIt) {
  Pki first = open();
  auto pair = first.ensure(server({"10.96.0.1"}));
  ASSERT_TRUE(pair.ok()) << pair.status().to_string();
  EXPECT_TRUE(
      net::verify_certificate(pair->certificate_pem, first.authority_pem(), net::CertificateUse::kServer, clock_.now())
          .ok());
  EXPECT_FALSE(
      net::verify_certificate(pair->certificate_pem, first.authority_pem(), net::CertificateUse::kClient, clock_.now())
          .ok());
  auto info = net::parse_certificate(pair->certificate_pem);
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->common_name, "kube-apiserver");
  EXPECT_EQ(info->ip_addresses, std::vector<std::string>{"10.96.0.1"});

  Pki second = open();
  EXPECT_EQ(second.authority_pem(), first.authority_pem());
  EXPECT_EQ(second.service_account_key_pem(), first.service_account_key_pem());
  auto again = second.ensure(server({"10.96.0.1"}));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->certificate_pem, pair->certificate_pem);
  EXPECT_EQ(again->key_pem, pair->key_pem);
}

TEST_F(PkiTest, KeysAreReadableByTheOwnerOnly) {
  mode_t before = ::umask(0);
  Pki pki = open();
  ASSERT_TRUE(pki.ensure(server({})).ok());
  ::umask(before);
  EXPECT_EQ(mode(""), 0700U);
  for (const char* key : {"/ca.key", "/sa.key", "/apiserver.key"}) EXPECT_EQ(mode(key), 0600U) << key;
  for (const char* open_file : {"/ca.crt", "/sa.pub", "/apiserver.crt"}) EXPECT_EQ(mode(open_file), 0644U) << open_file;
}

TEST_F(PkiTest, RenewsThirtyDaysBeforeTheEnd) {
  Pki pki = open();
  std::string first = pki.ensure(server({}))->certificate_pem;
  clock_.advance(kDay * (365 - 31));
  EXPECT_EQ(pki.ensure(server({}))->certificate_pem, first);
  clock_.advance(kDay * 2);
  auto second = pki.ensure(server({}));
  ASSERT_TRUE(second.ok());
  EXPECT_NE(second->certificate_pem, first);
  EXPECT_GT(net::parse_certificate(second->certificate_pem)->not_after, clock_.now() + kDay * 364);
  EXPECT_EQ(open().ensure(server({}))->certificate_pem, second->certificate_pem);
}

TEST_F(PkiTest, ANewNameOrAddressMakesANewCertificate) {
  Pki pki = open();
  std::string first = pki.ensure(server({"10.0.0.1", "127.0.0.1"}))->certificate_pem;
  EXPECT_EQ(pki.ensure(server({"127.0.0.1"}))->certificate_pem, first) << "more names than wanted do no harm";
  EXPECT_NE(pki.ensure(server({"10.0.0.2", "127.0.0.1"}))->certificate_pem, first);
  Pki::Identity admin{.name = "admin", .common_name = "admin", .organizations = {"system:masters"}};
  std::string before = pki.ensure(admin)->certificate_pem;
  admin.organizations = {"dev"};
  std::string after = pki.ensure(admin)->certificate_pem;
  EXPECT_NE(after, before);
  EXPECT_EQ(net::parse_certificate(after)->organizations, std::vector<std::string>{"dev"});
}

TEST_F(PkiTest, AHalfWrittenPairIsReplaced) {
  Pki pki = open();
  std::string first = pki.ensure(server({}))->certificate_pem;
  Pki::Identity other = server({});
  other.name = "other";
  ASSERT_TRUE(pki.ensure(other).ok());
  std::filesystem::copy_file(pki.path("other.key"), pki.path("apiserver.key"),
                             std::filesystem::copy_options::overwrite_existing);
  auto repaired = pki.ensure(server({}));
  ASSERT_TRUE(repaired.ok());
  EXPECT_NE(repaired->certificate_pem, first);
  EXPECT_TRUE(net::check_key_pair(repaired->certificate_pem, repaired->key_pem).ok());
  std::filesystem::remove(pki.path("apiserver.crt"));
  EXPECT_TRUE(pki.ensure(server({})).ok());
}

TEST_F(PkiTest, ADamagedAuthorityIsNotReplacedSilently) {
  std::string authority = open().authority_pem();
  ASSERT_TRUE(linux::write_file(folder_ + "/pki/ca.crt", "nonsense").ok());
  EXPECT_FALSE(Pki::open(folder_ + "/pki", clock_).ok());
  ASSERT_TRUE(linux::write_file(folder_ + "/pki/ca.crt", authority).ok());
  EXPECT_EQ(open().authority_pem(), authority);
  // Nor one of which half is lost: every certificate in use hangs on it.
  std::filesystem::remove(folder_ + "/pki/ca.key");
  EXPECT_FALSE(Pki::open(folder_ + "/pki", clock_).ok());
}

}  // namespace
}  // namespace trireme::cmd
