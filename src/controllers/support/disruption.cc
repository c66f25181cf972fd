#include "controllers/support/disruption.h"

#include <algorithm>

#include "api/conditions.h"
#include "controllers/support/pods.h"

namespace trireme::controllers {

Status disrupt(client::Client& client, const api::corev1::Pod& pod, const Disruption& why, WallTime now) {
  const auto* known = api::find_condition(pod.status.conditions, api::corev1::kDisruptionTarget);
  const bool told = known && known->status == api::corev1::kConditionTrue;
  const bool failing = why.fail && !is_finished(pod);
  if ((!told && !is_finished(pod)) || failing) {
    api::corev1::Pod changed = pod;
    if (failing) changed.status.phase = api::corev1::kPodFailed;
    auto& conditions = changed.status.conditions;
    std::erase_if(conditions, [](const auto& each) { return each.type == api::corev1::kDisruptionTarget; });
    auto& condition = conditions.emplace_back();
    condition.type = api::corev1::kDisruptionTarget;
    condition.status = api::corev1::kConditionTrue;
    condition.reason = why.reason;
    condition.message = why.message;
    condition.last_transition_time = api::Time(now);
    const auto written = client.update_status(changed);
    if (written.status().is(Reason::kNotFound)) return {};
    if (!written.ok()) return written.status();
  }
  client::DeleteOptions options;
  options.uid = pod.metadata.uid;
  if (why.force) options.grace_period_seconds = 0;
  Status removed = client.remove<api::corev1::Pod>(pod.metadata.namespace_, pod.metadata.name, options);
  return removed.is(Reason::kNotFound) ? Status() : removed;
}

}  // namespace trireme::controllers
