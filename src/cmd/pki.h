#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/x509.h"

namespace trireme::cmd {

/// The cluster's certificates and keys as files below one folder, named as kubeadm names them. What is missing is made,
/// what runs out within 30 days or lacks a name is made anew; the authority and the service account key stay.
class Pki {
 public:
  /// Opens or creates the authority (ca.crt, ca.key; ten years) and the service account key (sa.key).
  static Result<Pki> open(std::string folder, Clock& clock);

  const std::string& authority_pem() const { return authority_.certificate_pem; }
  const net::CertifiedKey& authority() const { return authority_; }
  const std::string& service_account_key_pem() const { return service_account_key_; }
  std::string path(std::string_view file) const { return folder_ + "/" + std::string(file); }

  /// NAME.crt and NAME.key, valid for a year.
  struct Identity {
    std::string name;  ///< Of the files.
    std::string common_name;
    std::vector<std::string> organizations;
    net::CertificateUse use = net::CertificateUse::kClient;
    std::vector<std::string> dns_names;
    std::vector<std::string> ip_addresses;
  };
  Result<net::CertifiedKey> ensure(const Identity& identity);

 private:
  Pki(std::string folder, Clock& clock) : folder_(std::move(folder)), clock_(&clock) {}
  Result<net::CertifiedKey> load(std::string_view name) const;
  Status save(std::string_view name, const net::CertifiedKey& pair) const;
  bool still_good(const net::CertifiedKey& pair, const Identity& identity) const;

  std::string folder_;
  Clock* clock_;
  net::CertifiedKey authority_;
  std::string service_account_key_;
};

}  // namespace trireme::cmd
