#include "controllers/ttl/ttl_controller.h"

#include <iterator>

#include "api/value.h"

namespace trireme::controllers {

using api::corev1::Node;

namespace {

constexpr std::string_view kAnnotation = "node.alpha.kubernetes.io/ttl";

struct Step {
  size_t lowest;
  size_t highest;
  int seconds;
};
constexpr Step kSteps[] = {{0, 100, 0},     {90, 500, 15},      {450, 1000, 30},
                           {900, 2000, 60}, {1800, 10000, 300}, {9000, SIZE_MAX, 600}};

}  // namespace

bool TtlLadder::set_nodes(size_t nodes) {
  const size_t before = step_;
  while (nodes > kSteps[step_].highest) ++step_;
  while (nodes < kSteps[step_].lowest) --step_;
  return step_ != before;
}

int TtlLadder::seconds() const { return kSteps[step_].seconds; }

TtlController::TtlController(const ControllerContext& context)
    : Controller(context, "ttl-controller"), nodes_(context.informers->informer<Node>()) {
  nodes_.add_handler([this](const auto& before, const auto& after) {
    if (!before) ++count_;
    if (!after) --count_;
    if (ladder_.set_nodes(count_)) {
      seconds_ = ladder_.seconds();
      for (const auto& node : nodes_.list()) enqueue(node->metadata.name);
    }
    if (after && (!before || before->metadata.annotations != after->metadata.annotations)) {
      enqueue(after->metadata.name);
    }
  });
}

Result<Outcome> TtlController::reconcile(const std::string& key) {
  const auto node = nodes_.get(key);
  if (!node || node->metadata.deletion_timestamp) return Outcome::done();
  const std::string wanted = std::to_string(seconds_);
  if (node->metadata.annotations.get(kAnnotation) == wanted) return Outcome::done();
  api::Value patch = api::Value::object();
  patch["metadata"]["annotations"][kAnnotation] = wanted;
  const auto patched = client().patch<Node>({}, key, client::PatchType::kMerge, api::to_json(patch));
  if (!patched.ok() && !patched.status().is(Reason::kNotFound)) return patched.status();
  return Outcome::done();
}

}  // namespace trireme::controllers
