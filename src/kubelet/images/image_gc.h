#pragma once

#include <map>
#include <string>

#include "base/clock.h"
#include "client/event_recorder.h"
#include "kubelet/cri/runtime.h"
#include "kubelet/options.h"

namespace trireme::kubelet {

/// When each image was first seen and last used.
struct ImageAges {
  struct Age {
    WallTime detected;
    WallTime used;
  };
  std::map<std::string, Age> by_id;
};

/// When the images' file system is fuller than the high threshold: removes images that no container uses, the longest
/// unused first, until it is below the low threshold. Pinned and young images stay.
void collect_images(cri::Runtime& runtime, const KubeletOptions& options, WallTime now, ImageAges& ages,
                    client::EventRecorder& events);

/// Pure: which images to remove, in order, to free `bytes_to_free`.
std::vector<std::string> choose_images(const std::vector<cri::Image>& images,
                                       const std::vector<cri::Container>& containers, const ImageAges& ages,
                                       uint64_t bytes_to_free, WallTime now, Duration minimum_age);

}  // namespace trireme::kubelet
