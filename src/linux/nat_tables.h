#pragma once

#include <string>

#include "base/result.h"

namespace trireme::linux {

/// The iptables programs, which the CNI plugin portmap calls, leave the tables `ip nat` and `ip6 nat` behind, with
/// empty chains. These remember in `file` which of them there were before, and delete those that have come since, when
/// no rule is in them: another program's rules keep their table.
Status remember_nat_tables(const std::string& file);
Status remove_new_nat_tables(const std::string& file);

}  // namespace trireme::linux
