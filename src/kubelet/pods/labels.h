#pragma once

#include <string_view>

/// How the kubelet marks what it creates in the runtime, so that it finds everything again after its own restart.
/// The names are upstream's: tools such as crictl read them.
namespace trireme::kubelet::labels {

inline constexpr std::string_view kPodName = "io.kubernetes.pod.name";
inline constexpr std::string_view kPodNamespace = "io.kubernetes.pod.namespace";
inline constexpr std::string_view kPodUid = "io.kubernetes.pod.uid";
inline constexpr std::string_view kContainerName = "io.kubernetes.container.name";

inline constexpr std::string_view kHash = "io.kubernetes.container.hash";
inline constexpr std::string_view kRestartCount = "io.kubernetes.container.restartCount";
inline constexpr std::string_view kTerminationMessagePath = "io.kubernetes.container.terminationMessagePath";
inline constexpr std::string_view kTerminationMessagePolicy = "io.kubernetes.container.terminationMessagePolicy";
inline constexpr std::string_view kPodTerminationGrace = "io.kubernetes.pod.terminationGracePeriod";
inline constexpr std::string_view kContainerPorts = "io.kubernetes.container.ports";
inline constexpr std::string_view kPreStopHandler = "io.kubernetes.container.preStopHandler";

/// On pods: where a pod came from, and a static pod's twin in the API.
inline constexpr std::string_view kConfigSource = "kubernetes.io/config.source";
inline constexpr std::string_view kConfigMirror = "kubernetes.io/config.mirror";
inline constexpr std::string_view kConfigHash = "kubernetes.io/config.hash";
inline constexpr std::string_view kConfigSeen = "kubernetes.io/config.seen";

}  // namespace trireme::kubelet::labels
