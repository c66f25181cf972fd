#pragma once

#include "cri.pb.h"
#include "kubelet/cri/types.h"

/// Between CRI's generated messages and the plain structs of cri/types.h. Included by the gRPC sources only.
namespace trireme::kubelet::cri {

namespace wire = ::runtime::v1;

void to_wire(const SandboxConfig& from, wire::PodSandboxConfig* to);
void to_wire(const ContainerConfig& from, wire::ContainerConfig* to);
void to_wire(const AuthConfig& from, wire::AuthConfig* to);

SandboxStatus from_wire(const wire::PodSandboxStatus& from);
Sandbox from_wire(const wire::PodSandbox& from);
Container from_wire(const wire::Container& from);
ContainerStatus from_wire(const wire::ContainerStatus& from);
ContainerStats from_wire(const wire::ContainerStats& from);
Image from_wire(const wire::Image& from);

}  // namespace trireme::kubelet::cri
