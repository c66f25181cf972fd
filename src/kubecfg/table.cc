#include "kubecfg/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace trireme::kubecfg {
namespace {

using api::Value;
using Row = std::vector<std::string>;

constexpr size_t kMinimumWidth = 20;
constexpr size_t kPadding = 3;

std::string text_at(const Value& value, std::initializer_list<std::string_view> path) {
  const Value* found = value.at_path(path);
  if (found == nullptr || found->is_null()) return {};
  if (found->is_string()) return found->as_string();
  return api::to_json(*found);
}

/// Sorted k=v pairs.
std::string pairs(const Value* map) {
  std::string text;
  if (map == nullptr || !map->is_object()) return text;
  for (const auto& [key, value] : map->as_object()) {
    if (!text.empty()) text += ',';
    text += fmt::format("{}={}", key, value.string_or_empty());
  }
  return text;
}

std::string images(const Value* containers) {
  std::string text;
  if (containers == nullptr || !containers->is_array()) return text;
  for (const Value& container : containers->as_array()) {
    if (!text.empty()) text += ',';
    text += text_at(container, {"image"});
  }
  return text;
}

std::string host_of(const Value& pod) {
  std::string host = text_at(pod, {"currentState", "host"});
  std::string address = text_at(pod, {"currentState", "hostIP"});
  if (host.empty() && address.empty()) return "<unassigned>";
  return host + "/" + address;
}

/// The JSON of v1beta1 still said Waiting and Terminated when the table had the words of today.
std::string phase_of(std::string status) {
  if (status == "Waiting") return "Pending";
  if (status == "Terminated") return "Failed";
  return status;
}

struct Layout {
  std::string_view kind;
  std::vector<std::string_view> columns;
  Row (*row)(const Value& object);
};

const std::vector<Layout>& layouts() {
  static const std::vector<Layout> all = {
      {"Pod",
       {"Name", "Image(s)", "Host", "Labels", "Status"},
       [](const Value& pod) {
         return Row{text_at(pod, {"id"}), images(pod.at_path({"desiredState", "manifest", "containers"})), host_of(pod),
                    pairs(pod.find("labels")), phase_of(text_at(pod, {"currentState", "status"}))};
       }},
      {"ReplicationController",
       {"Name", "Image(s)", "Selector", "Replicas"},
       [](const Value& controller) {
         return Row{
             text_at(controller, {"id"}),
             images(controller.at_path({"desiredState", "podTemplate", "desiredState", "manifest", "containers"})),
             pairs(controller.at_path({"desiredState", "replicaSelector"})),
             text_at(controller, {"desiredState", "replicas"})};
       }},
      {"Service",
       {"Name", "Labels", "Selector", "IP", "Port"},
       [](const Value& service) {
         return Row{text_at(service, {"id"}), pairs(service.find("labels")), pairs(service.find("selector")),
                    text_at(service, {"portalIP"}), text_at(service, {"port"})};
       }},
      {"Endpoints",
       {"Name", "Endpoints"},
       [](const Value& endpoints) {
         std::string list;
         if (const Value* found = endpoints.find("endpoints"); found != nullptr && found->is_array()) {
           for (const Value& each : found->as_array())
             list += (list.empty() ? "" : ",") + std::string(each.string_or_empty());
         }
         return Row{text_at(endpoints, {"id"}), list};
       }},
      {"Minion", {"Minion identifier"}, [](const Value& minion) { return Row{text_at(minion, {"id"})}; }},
      {"Event",
       {"Name", "Kind", "Status", "Reason", "Message"},
       [](const Value& event) {
         return Row{text_at(event, {"involvedObject", "name"}), text_at(event, {"involvedObject", "kind"}),
                    text_at(event, {"status"}), text_at(event, {"reason"}), text_at(event, {"message"})};
       }},
      {"Status", {"Status"}, [](const Value& status) { return Row{text_at(status, {"status"})}; }},
  };
  return all;
}

std::string align(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max({widths[i], kMinimumWidth, row[i].size() + kPadding});
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - row[i].size(), ' ');
    }
    text += '\n';
  }
  return text;
}

}  // namespace

Result<std::string> print_table(const Value& document) {
  std::string kind = text_at(document, {"kind"});
  const Value* items = document.find("items");
  bool is_list = items != nullptr && kind.ends_with("List");
  if (is_list) kind.resize(kind.size() - 4);
  for (const Layout& layout : layouts()) {
    if (layout.kind != kind) continue;
    std::vector<Row> rows;
    rows.emplace_back(layout.columns.begin(), layout.columns.end());
    rows.emplace_back(layout.columns.size(), "----------");
    if (!is_list) {
      rows.push_back(layout.row(document));
    } else if (items->is_array()) {
      for (const Value& item : items->as_array()) rows.push_back(layout.row(item));
    }
    return align(rows) + "\n";
  }
  return Status::bad_request(fmt::format("no table for kind \"{}\"; use -json or -yaml", kind));
}

}  // namespace trireme::kubecfg
