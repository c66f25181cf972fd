#pragma once

#include "api/selectors.h"
#include "api/types/appsv1.h"
#include "api/types/corev1.h"
#include "client/informer_factory.h"

namespace trireme::scheduler {

/// Tells which pods belong together with a pod, from the services that select it and the controller that owns it: what
/// default topology spreading spreads. Thread-safe; reads informers only.
class SiblingFinder {
 public:
  explicit SiblingFinder(client::InformerFactory& informers);

  /// Selects nothing when neither a service nor a known controller stands behind the pod.
  api::LabelSelector find(const api::corev1::Pod& pod) const;

 private:
  client::Informer<api::corev1::Service>& services_;
  client::Informer<api::corev1::ReplicationController>& controllers_;
  client::Informer<api::appsv1::ReplicaSet>& replica_sets_;
  client::Informer<api::appsv1::StatefulSet>& stateful_sets_;
};

}  // namespace trireme::scheduler
