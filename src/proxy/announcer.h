#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "client/event_recorder.h"
#include "client/informer_factory.h"

namespace trireme::proxy {

struct AnnouncerDependencies {
  /// Must outlive the announcer; may be shared.
  client::InformerFactory& informers;
  std::shared_ptr<Clock> clock;
  std::shared_ptr<client::EventBroadcaster> events;
};

/// Answers for the addresses of load balancers that it is this node's turn to answer for (announce_plan.h, layer2.h),
/// and tells the link when it takes one over. Does nothing while no service wants that. When it stops it answers for
/// none any more, so that another node can; without a word from the API server it goes on as before.
class Announcer {
 public:
  static Result<std::unique_ptr<Announcer>> start(std::string node_name, AnnouncerDependencies dependencies);
  virtual ~Announcer() = default;
};

}  // namespace trireme::proxy
