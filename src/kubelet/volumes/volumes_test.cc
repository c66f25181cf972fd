#include "api/volumes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "api/local_path.h"
#include "apiserver/api_server.h"
#include "kubelet/volumes/claim_source.h"
#include "kubelet/volumes/local_paths.h"
#include "linux/file.h"
#include "net/transport.h"
#include "store/memory_store.h"

namespace trireme::kubelet {
namespace {

using api::corev1::PersistentVolume;
using api::corev1::PersistentVolumeClaim;
using api::corev1::Pod;

class VolumesTest : public testing::Test {
 protected:
  VolumesTest() {
    char name[] = "/tmp/trireme-volumes-XXXXXX";
    folder_ = ::mkdtemp(name);
    apiserver::Options options;
    options.store = store::memory_store(real_clock());
    options.clock = real_clock();
    server_ = *apiserver::ApiServer::create(std::move(options));
    raw_ = std::make_shared<client::RawClient>(net::in_process_transport(*server_, {}), "test");
  }
  ~VolumesTest() override { (void)linux::remove_tree(folder_); }

  static PersistentVolume local(const std::string& name, const std::string& path) {
    PersistentVolume volume;
    volume.metadata.name = name;
    volume.metadata.annotations.insert_or_assign(api::kProvisionedBy, std::string(api::kLocalPathProvisioner));
    volume.metadata.annotations.insert_or_assign(api::kLocalPathNode, std::string("n1"));
    volume.spec.persistent_volume_source.local.emplace().path = path;
    return volume;
  }

  std::string folder_;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::shared_ptr<client::RawClient> raw_;
  TaskPool pool_{2};
};

TEST_F(VolumesTest, DirectoriesAreMadeWhereTheyBelongOnly) {
  const LocalPaths paths(folder_, "n1", client::Client(raw_), pool_);
  const ::mode_t before = ::umask(077);
  ASSERT_TRUE(paths.prepare(local("v", folder_ + "/v_ns_c")).ok());
  ::umask(before);
  struct stat info {};
  ASSERT_EQ(::stat((folder_ + "/v_ns_c").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0777U);

  EXPECT_TRUE(paths.prepare(local("w", "/tmp/elsewhere-" + std::to_string(::getpid()) + "/w")).ok());
  EXPECT_FALSE(linux::exists("/tmp/elsewhere-" + std::to_string(::getpid())));
  const LocalPaths other(folder_, "n2", client::Client(raw_), pool_);
  EXPECT_TRUE(other.prepare(local("x", folder_ + "/x")).ok());
  EXPECT_FALSE(linux::exists(folder_ + "/x")) << "another node's";

  ASSERT_TRUE(linux::write_file(folder_ + "/v_ns_c/file", "data").ok());
  EXPECT_FALSE(paths.remove("../" + folder_.substr(5)).ok());
  EXPECT_FALSE(paths.remove("..").ok());
  EXPECT_TRUE(linux::exists(folder_ + "/v_ns_c/file"));
  EXPECT_TRUE(paths.remove("v_ns_c").ok());
  EXPECT_FALSE(linux::exists(folder_ + "/v_ns_c"));
  EXPECT_TRUE(paths.remove("v_ns_c").ok()) << "gone already";
}

TEST_F(VolumesTest, ClaimsMustBeThereBoundAndThePodsOwn) {
  client::Client client(raw_);
  ClaimSource claims(client);
  Pod pod;
  pod.metadata.namespace_ = "default";
  pod.metadata.name = "web";
  pod.metadata.uid = "p1";
  auto& volume = pod.spec.volumes.emplace_back();
  volume.name = "data";
  const auto message = [&] {
    const std::string text = claims.find(pod, volume).status().message();
    const std::string begin =
        "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process "
        "volumes=[data]: error processing PVC default/";
    EXPECT_TRUE(text.starts_with(begin)) << text;
    return text.substr(std::min(begin.size(), text.size()));
  };
  EXPECT_TRUE(claims.find(pod, volume).ok() && !*claims.find(pod, volume)) << "an emptyDir has no claim";
  volume.volume_source.persistent_volume_claim.emplace().claim_name = "data";
  EXPECT_EQ(message(), "data: failed to fetch PVC from API server: persistentvolumeclaims \"data\" not found");

  PersistentVolumeClaim claim;
  claim.metadata.namespace_ = "default";
  claim.metadata.name = "data";
  claim.spec.access_modes = {"ReadWriteOnce"};
  claim.spec.resources.requests["storage"] = Quantity::of(1);
  claim.spec.volume_name = "v";
  auto made = client.create(claim);
  ASSERT_TRUE(made.ok()) << made.status().to_string();
  EXPECT_EQ(message(), "data: PVC is not bound");
  made->status.phase = "Bound";
  made = client.update_status(*made);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(message(), "data: failed to fetch PV v from API server: persistentvolumes \"v\" not found");

  PersistentVolume persistent;
  persistent.metadata.name = "v";
  persistent.spec.capacity["storage"] = Quantity::of(1);
  persistent.spec.access_modes = {"ReadWriteOnce"};
  persistent.spec.persistent_volume_source.host_path.emplace().path = "/mnt";
  auto& reference = persistent.spec.claim_ref.emplace();
  reference.namespace_ = "default";
  reference.name = "data";
  reference.uid = "another";
  auto volume_made = client.create(persistent);
  ASSERT_TRUE(volume_made.ok());
  EXPECT_TRUE(message().starts_with("data: found PV object v with a pv.Spec.ClaimRef.UID another"));
  volume_made->spec.claim_ref->uid = made->metadata.uid;
  ASSERT_TRUE(client.update(*volume_made).ok());
  auto found = claims.find(pod, volume);
  ASSERT_TRUE(found.ok()) << found.status().to_string();
  EXPECT_EQ((*found)->metadata.name, "v");

  // What a pod has it keeps; what another pod asks for is looked up again.
  ASSERT_TRUE(client.remove<PersistentVolumeClaim>("default", "data").ok());
  EXPECT_TRUE(claims.find(pod, volume).ok());
  claims.release("p1");
  EXPECT_FALSE(claims.find(pod, volume).ok());
}

}  // namespace
}  // namespace trireme::kubelet
