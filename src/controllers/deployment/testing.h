#pragma once

#include <cstdint>
#include <string>

#include "api/types/appsv1.h"

/// Objects that the tests of Deployments begin with.
namespace trireme::controllers::deployment {

/// "web" in "default", running `image`, with the API's default strategy unless changed.
inline api::appsv1::Deployment web(int32_t replicas, const std::string& image = "web:1") {
  api::appsv1::Deployment out;
  out.metadata.namespace_ = "default";
  out.metadata.name = "web";
  out.metadata.generation = 1;
  out.spec.replicas = replicas;
  out.spec.selector.emplace().match_labels.insert_or_assign("app", "web");
  out.spec.template_.metadata.labels.insert_or_assign("app", "web");
  auto& container = out.spec.template_.spec.containers.emplace_back();
  container.name = "main";
  container.image = image;
  out.spec.strategy.type = "RollingUpdate";
  auto& rolling = out.spec.strategy.rolling_update.emplace();
  rolling.max_surge = api::IntOrString("25%");
  rolling.max_unavailable = api::IntOrString("25%");
  return out;
}

inline void set_rolling(api::appsv1::Deployment& deployment, api::IntOrString surge, api::IntOrString unavailable) {
  deployment.spec.strategy.type = "RollingUpdate";
  auto& rolling = deployment.spec.strategy.rolling_update.ensure();
  rolling.max_surge = std::move(surge);
  rolling.max_unavailable = std::move(unavailable);
}

inline void set_recreate(api::appsv1::Deployment& deployment) {
  deployment.spec.strategy.type = "Recreate";
  deployment.spec.strategy.rolling_update.reset();
}

}  // namespace trireme::controllers::deployment
