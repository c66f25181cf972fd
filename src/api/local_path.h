#pragma once

#include <string>
#include <string_view>

#include "api/types/corev1.h"
#include "base/result.h"

/// The contract between the provisioner of directories on nodes and the kubelets that make and delete them.
///
/// A node tells by an annotation where its directories stand. A volume's directory is made by the kubelet when it is
/// first mounted. To delete it, the provisioner sets an annotation of the volume's name on the node; the node removes
/// the directory and answers by changing the value. So a node needs no rights beyond its own Node object.
namespace trireme::api {

inline constexpr std::string_view kLocalPathProvisioner = "trireme.io/local-path";
inline constexpr std::string_view kLocalPathClass = "local-path";
/// On a volume: the node it lives on.
inline constexpr std::string_view kLocalPathNode = "local-path.trireme.io/node";
/// On a node: the absolute folder below which its directories stand.
inline constexpr std::string_view kLocalPathRoot = "local-path.trireme.io/root";
/// On a node, with the volume's name behind it: the name of the directory to remove, then `kLocalPathRemoved`.
inline constexpr std::string_view kLocalPathRemoval = "remove.local-path.trireme.io/";
inline constexpr std::string_view kLocalPathRemoved = "removed";

/// The directory's name: "<volume>_<namespace>_<claim>", cut to what a file name may be long.
std::string local_path_directory(std::string_view volume, std::string_view ns, std::string_view claim);
/// The last part of the volume's path when it is a directory of the provisioner's; empty for other volumes.
std::string local_path_directory(const corev1::PersistentVolume& volume);
/// A single name, which cannot lead out of a folder.
bool is_plain_name(std::string_view name);

}  // namespace trireme::api
