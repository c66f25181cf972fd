#pragma once

#include <string>

#include "api/types/corev1.h"
#include "simulator/world.h"

/// What all populations of a simulated cluster share.
namespace trireme::simulator {

/// How long a user waits before a change that met another's is tried again.
inline constexpr Duration kRetry = std::chrono::milliseconds(500);

/// The image by which the versions of an app are told apart.
std::string image_of(int version);
/// Pods of version 1 with the label `app` (Observer::kAppLabel), and requests that `random` chooses.
api::corev1::PodTemplateSpec pod_template(const std::string& app, Random& random);

/// Plans that a namespace is created now.
void plan_namespace(World& world, const std::string& name);

/// Changes an object as a user does; tried again later when it is not there yet, or has been changed meanwhile.
template <typename T, typename Edit>
void change(World& world, const std::string& ns, const std::string& name, Edit edit) {
  auto found = world.client().get<T>(ns, name);
  if (found.ok()) {
    edit(*found);
    found = world.client().update(*found);
  }
  if (!found.ok()) {
    world.after(kRetry, [&world, ns, name, edit] { change<T>(world, ns, name, edit); });
  }
}

/// Fails the world for every pod that is bound to a node that is not there or does not answer.
void check_bindings(World& world);

}  // namespace trireme::simulator
