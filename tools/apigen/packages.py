"""The Go packages that become C++: which groups and versions the server knows, and under which names."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """One Go package and its C++ counterpart."""

    name: str  # C++ namespace and file name: "corev1"
    path: str  # Go import path
    group: str  # API group; "" is the core group
    version: str
    schema: str  # prefix of the OpenAPI definition names
    shards: int = 1  # number of sources the definitions are spread over, for parallel compilation
    skip: frozenset = frozenset()  # types with a C++ counterpart written by hand, or that never reach the wire

    @property
    def api_version(self):
        return f"{self.group}/{self.version}" if self.group else self.version


def _api(name, group, version, directory=None, **more):
    directory = directory or name[: -len(version)]
    return Package(name, f"k8s.io/api/{directory}/{version}", group, version, f"io.k8s.api.{directory}.{version}", **more)


_META_SKIP = frozenset(
    "Time MicroTime Duration FieldsV1 Timestamp Verbs InternalEvent Patch GroupKind GroupVersion".split()
)

# In the order of includes: a package may use only those above it.
PACKAGES = [
    Package(
        "metav1",
        "k8s.io/apimachinery/pkg/apis/meta/v1",
        "meta.k8s.io",
        "v1",
        "io.k8s.apimachinery.pkg.apis.meta.v1",
        skip=_META_SKIP,
    ),
    _api("corev1", "", "v1", "core", shards=4),
    _api("admissionregistrationv1", "admissionregistration.k8s.io", "v1"),
    _api("appsv1", "apps", "v1"),
    _api("authenticationv1", "authentication.k8s.io", "v1"),
    _api("authorizationv1", "authorization.k8s.io", "v1"),
    _api("autoscalingv1", "autoscaling", "v1"),
    _api("autoscalingv2", "autoscaling", "v2"),
    _api("batchv1", "batch", "v1"),
    _api("certificatesv1", "certificates.k8s.io", "v1"),
    _api("coordinationv1", "coordination.k8s.io", "v1"),
    _api("discoveryv1", "discovery.k8s.io", "v1"),
    _api("eventsv1", "events.k8s.io", "v1"),
    _api("flowcontrolv1", "flowcontrol.apiserver.k8s.io", "v1"),
    _api("networkingv1", "networking.k8s.io", "v1"),
    _api("nodev1", "node.k8s.io", "v1"),
    _api("policyv1", "policy", "v1"),
    _api("rbacv1", "rbac.authorization.k8s.io", "v1"),
    _api("schedulingv1", "scheduling.k8s.io", "v1"),
    _api("storagev1", "storage.k8s.io", "v1"),
    _api("admissionv1", "admission.k8s.io", "v1"),
    _api("apidiscoveryv2", "apidiscovery.k8s.io", "v2"),
    Package(
        "metricsv1beta1",
        "k8s.io/metrics/pkg/apis/metrics/v1beta1",
        "metrics.k8s.io",
        "v1beta1",
        "io.k8s.metrics.pkg.apis.metrics.v1beta1",
    ),
    Package(
        "apiextensionsv1",
        "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1",
        "apiextensions.k8s.io",
        "v1",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
        skip=frozenset(["JSON"]),
    ),
    Package(
        "apiregistrationv1",
        "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1",
        "apiregistration.k8s.io",
        "v1",
        "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1",
    ),
]

# The kinds of package meta/v1 belong to every group; outside a group's own URL they are written as "v1".
META_V1_KINDS_OF_CORE = frozenset(
    "Status APIGroup APIGroupList APIVersions APIResourceList ListOptions DeleteOptions GetOptions CreateOptions "
    "UpdateOptions PatchOptions".split()
)
# Embeds TypeMeta in Go only for reuse: `core/v1` List is the kind that is registered.
NOT_KINDS = {("metav1", "List"), ("metav1", "ApplyOptions"), ("metav1", "TypeMeta")}

# Go types whose C++ counterpart is a hand-written scalar: (import path, name) -> FieldKind without its "k".
SCALARS = {
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "Time"): "Time",
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "MicroTime"): "MicroTime",
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "Duration"): "Duration",
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "FieldsV1"): "RawJson",
    ("k8s.io/apimachinery/pkg/runtime", "RawExtension"): "RawJson",
    ("k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1", "JSON"): "RawJson",
    ("k8s.io/apimachinery/pkg/api/resource", "Quantity"): "Quantity",
    ("k8s.io/apimachinery/pkg/util/intstr", "IntOrString"): "IntOrString",
}
# Packages whose other named types are plain strings (UID, NodeName, PatchType, …).
STRING_PACKAGES = {"k8s.io/apimachinery/pkg/types"}

# Structs that stand for one of their fields in JSON, picked by the value's type.
JSON_UNIONS = {
    ("apiextensionsv1", "JSONSchemaPropsOrBool"),
    ("apiextensionsv1", "JSONSchemaPropsOrArray"),
    ("apiextensionsv1", "JSONSchemaPropsOrStringArray"),
}

# Embedded whole objects whose kind and apiVersion upstream writes although they are not at the top.
NESTED_TYPE_META = {("appsv1", "StatefulSetSpec", "volumeClaimTemplates")}

# Slices without omitempty that upstream never writes as null: its storage and list paths always allocate them.
EMPTY_LIST_FIELDS = {"items"}
