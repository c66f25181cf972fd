#include "cmd/pki.h"

#include <algorithm>
#include <utility>

#include "linux/file.h"

namespace trireme::cmd {
namespace {

using std::chrono::hours;

constexpr auto kAuthorityLifetime = hours(24 * 3650);
constexpr auto kLifetime = hours(24 * 365);
constexpr auto kRenewBefore = hours(24 * 30);
// Clocks of the machines in a cluster differ a little.
constexpr auto kBackdate = hours(1);

bool contains_all(const std::vector<std::string>& have, const std::vector<std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](const std::string& each) { return std::find(have.begin(), have.end(), each) != have.end(); });
}

}  // namespace

Result<Pki> Pki::open(std::string folder, Clock& clock) {
  TRY(linux::make_dirs(folder, 0700));
  Pki pki(std::move(folder), clock);
  auto authority = pki.load("ca");
  if (!authority.ok()) {
    // A certificate without its key is no interrupted start (the key is written first): whatever hangs on this
    // authority would be cut off by a new one.
    if (!authority.status().is(Reason::kNotFound) || linux::exists(pki.path("ca.crt"))) return authority.status();
    TRY_ASSIGN(pki.authority_,
               net::create_authority("kubernetes", clock.now() - kBackdate, clock.now() + kAuthorityLifetime));
    TRY(pki.save("ca", pki.authority_));
  } else {
    pki.authority_ = std::move(*authority);
  }
  auto key = linux::read_file(pki.path("sa.key"));
  if (!key.ok()) {
    if (!key.status().is(Reason::kNotFound)) return key.status();
    TRY_ASSIGN(pki.service_account_key_, net::generate_rsa_key());
    TRY_ASSIGN(std::string public_half, net::public_key(pki.service_account_key_));
    TRY(linux::replace_file(pki.path("sa.pub"), public_half, 0644));
    TRY(linux::replace_file(pki.path("sa.key"), pki.service_account_key_));
  } else {
    pki.service_account_key_ = std::move(*key);
  }
  return pki;
}

Result<net::CertifiedKey> Pki::load(std::string_view name) const {
  net::CertifiedKey pair;
  TRY_ASSIGN(pair.certificate_pem, linux::read_file(path(name) + ".crt"));
  TRY_ASSIGN(pair.key_pem, linux::read_file(path(name) + ".key"));
  TRY(net::check_key_pair(pair.certificate_pem, pair.key_pem).with_context(path(name)));
  return pair;
}

Status Pki::save(std::string_view name, const net::CertifiedKey& pair) const {
  TRY(linux::replace_file(path(name) + ".key", pair.key_pem));
  return linux::replace_file(path(name) + ".crt", pair.certificate_pem, 0644);
}

bool Pki::still_good(const net::CertifiedKey& pair, const Identity& identity) const {
  auto info = net::parse_certificate(pair.certificate_pem);
  return info.ok() && info->common_name == identity.common_name && info->organizations == identity.organizations &&
         contains_all(info->dns_names, identity.dns_names) && contains_all(info->ip_addresses, identity.ip_addresses) &&
         info->not_after - clock_->now() > kRenewBefore &&
         net::verify_certificate(pair.certificate_pem, authority_.certificate_pem, identity.use, clock_->now()).ok();
}

Result<net::CertifiedKey> Pki::ensure(const Identity& identity) {
  // A pair that an interrupted start left half-written is replaced like one that has run out.
  if (auto existing = load(identity.name); existing.ok() && still_good(*existing, identity)) return existing;
  net::CertificateSpec spec;
  spec.common_name = identity.common_name;
  spec.organizations = identity.organizations;
  spec.dns_names = identity.dns_names;
  spec.ip_addresses = identity.ip_addresses;
  spec.use = identity.use;
  spec.not_before = clock_->now() - kBackdate;
  spec.not_after = clock_->now() + kLifetime;
  TRY_ASSIGN(net::CertifiedKey pair, net::issue_certificate(authority_, spec));
  TRY(save(identity.name, pair));
  return pair;
}

}  // namespace trireme::cmd
