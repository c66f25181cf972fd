#include "controllers/runtime/manager.h"

#include <algorithm>
#include <ranges>

#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "controllers/runtime/queue_metrics.h"

namespace trireme::controllers {

Result<std::vector<const ControllerDescriptor*>> select_controllers(std::span<const ControllerDescriptor> all,
                                                                    std::string_view selection) {
  struct Rule {
    std::string_view name;
    bool wanted;
  };
  std::vector<Rule> rules;
  bool star = false;
  for (std::string_view word : split_list(selection)) {
    if (word == "*") {
      star = true;
      continue;
    }
    const bool wanted = !word.starts_with('-');
    if (!wanted) word.remove_prefix(1);
    const bool known = !word.empty() && std::ranges::any_of(all, [&](const auto& entry) {
      return entry.name == word || entry.alias == word;
    });
    if (!known) return Status::bad_request(fmt::format("\"{}\" is not in the list of known controllers", word));
    rules.push_back({word, wanted});
  }
  std::vector<const ControllerDescriptor*> out;
  for (const ControllerDescriptor& entry : all) {
    const auto rule = std::ranges::find_if(
        rules, [&](const Rule& each) { return each.name == entry.name || each.name == entry.alias; });
    if (rule == rules.end() ? star : rule->wanted) out.push_back(&entry);
  }
  return out;
}

Manager::~Manager() { stop(); }

void Manager::add(const ControllerDescriptor& descriptor) { controllers_.push_back(descriptor.make(context_)); }

Status Manager::start(std::stop_token stop) {
  context_.informers->start();
  if (!context_.informers->wait_synced(stop)) return Status::timeout("stopped before the informers were synced");
  running_ = true;
  for (const auto& controller : controllers_) controller->start();
  // A controller's begin() may have made informers of its own.
  context_.informers->start();
  log::info("Started controllers", {{"count", controllers_.size()}});
  return {};
}

void Manager::stop() {
  if (running_) {
    for (const auto& controller : controllers_ | std::views::reverse) controller->stop();
    running_ = false;
  }
  context_.informers->stop();
}

std::string Manager::metrics() const {
  std::string out;
  print_queue_metrics(out, controllers_);
  for (const auto& controller : controllers_) {
    if (const auto* more = dynamic_cast<const metrics::Source*>(controller.get())) more->print_metrics(out);
  }
  return out;
}

}  // namespace trireme::controllers
