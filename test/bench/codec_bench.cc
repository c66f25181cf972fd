// What a typical pod (1.3 kB of JSON) costs in both encodings.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "api/codec.h"
#include "api/object.h"
#include "api/types/corev1.h"

namespace {

using namespace trireme::api;

constexpr std::string_view kPodJson = R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"web-7d4b9c6f8-x2x9q",
"generateName":"web-7d4b9c6f8-","namespace":"default","uid":"0b1f7f5e-7a55-4f0e-9a51-5d1d4a9b8a0e","resourceVersion":"12345",
"creationTimestamp":"2025-03-01T12:00:00Z","labels":{"app":"web","pod-template-hash":"7d4b9c6f8"},"ownerReferences":[
{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-7d4b9c6f8","uid":"7d7c5c3e-0000-4f0e-9a51-5d1d4a9b8a0e",
"controller":true,"blockOwnerDeletion":true}]},"spec":{"containers":[{"name":"nginx","image":"nginx:1.27","ports":[
{"containerPort":80,"protocol":"TCP"}],"resources":{"limits":{"cpu":"500m","memory":"128Mi"},"requests":{"cpu":"250m",
"memory":"64Mi"}},"volumeMounts":[{"name":"token","readOnly":true,"mountPath":"/var/run/secrets"}],
"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}],
"volumes":[{"name":"token","emptyDir":{}}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,
"dnsPolicy":"ClusterFirst","serviceAccountName":"default","nodeName":"node-1","securityContext":{},
"schedulerName":"default-scheduler"},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True",
"lastProbeTime":null,"lastTransitionTime":"2025-03-01T12:00:02Z"}],"hostIP":"10.0.0.1","podIP":"10.244.0.5",
"podIPs":[{"ip":"10.244.0.5"}],"startTime":"2025-03-01T12:00:00Z"}})";

corev1::Pod sample() {
  trireme::Result<corev1::Pod> pod = decode_json<corev1::Pod>(kPodJson);
  if (!pod.ok()) std::abort();
  return *std::move(pod);
}

void BM_JsonDecode(benchmark::State& state) {
  const std::string json = encode_json(sample());
  for (auto _ : state) benchmark::DoNotOptimize(decode_json<corev1::Pod>(json));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * json.size()));
}
BENCHMARK(BM_JsonDecode);

void BM_JsonDecodeStrict(benchmark::State& state) {
  const std::string json = encode_json(sample());
  for (auto _ : state) {
    DecodeNotes notes;
    benchmark::DoNotOptimize(decode_json<corev1::Pod>(json, &notes));
  }
}
BENCHMARK(BM_JsonDecodeStrict);

void BM_JsonEncode(benchmark::State& state) {
  const corev1::Pod pod = sample();
  for (auto _ : state) benchmark::DoNotOptimize(encode_json(pod));
}
BENCHMARK(BM_JsonEncode);

void BM_ProtoDecode(benchmark::State& state) {
  const std::string bytes = encode_proto(sample());
  for (auto _ : state) benchmark::DoNotOptimize(decode_proto<corev1::Pod>(bytes));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes.size()));
}
BENCHMARK(BM_ProtoDecode);

void BM_ProtoEncode(benchmark::State& state) {
  const corev1::Pod pod = sample();
  for (auto _ : state) benchmark::DoNotOptimize(encode_proto(pod));
}
BENCHMARK(BM_ProtoEncode);

void BM_Clone(benchmark::State& state) {
  const Object pod = Object::of(sample());
  for (auto _ : state) benchmark::DoNotOptimize(pod.clone());
}
BENCHMARK(BM_Clone);

}  // namespace
