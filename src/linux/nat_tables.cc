#include "linux/nat_tables.h"

#include <algorithm>
#include <array>
#include <utility>

#include "linux/file.h"
#include "linux/nft.h"

namespace trireme::linux {
namespace {

using nft::Family;

struct Watched {
  const char* name;
  nft::Table table;
};

std::array<Watched, 2> watched() {
  return {Watched{"ip nat\n", {Family::kIp, "nat"}}, Watched{"ip6 nat\n", {Family::kIp6, "nat"}}};
}

}  // namespace

Status remember_nat_tables(const std::string& file) {
  if (exists(file)) return {};
  TRY_ASSIGN(auto socket, nft::Socket::open());
  TRY_ASSIGN(const auto tables, socket.tables());
  std::string text;
  for (const Watched& each : watched()) {
    const bool there = std::ranges::any_of(tables, [&](const auto& listed) { return listed.table == each.table; });
    if (there) text += each.name;
  }
  return replace_file(file, text, 0644);
}

Status remove_new_nat_tables(const std::string& file) {
  auto before = read_file(file);
  if (!before.ok()) return {};
  TRY_ASSIGN(auto socket, nft::Socket::open());
  TRY_ASSIGN(const auto tables, socket.tables());
  nft::Batch batch;
  for (const Watched& each : watched()) {
    const bool there = std::ranges::any_of(tables, [&](const auto& listed) { return listed.table == each.table; });
    // "ip6 nat" does not contain "ip nat".
    if (!there || before->find(each.name) != std::string::npos) continue;
    TRY_ASSIGN(const auto rules, socket.rules(each.table));
    if (rules.empty()) batch.delete_table(each.table);
  }
  return socket.commit(batch);
}

}  // namespace trireme::linux
