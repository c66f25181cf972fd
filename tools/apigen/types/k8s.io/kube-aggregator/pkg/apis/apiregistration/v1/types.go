// Package v1 declares apiregistration.k8s.io/v1 for tools/apigen. No Debian package carries these types; the wire
// format is that of the published API.
package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConditionStatus tells whether a condition holds.
type ConditionStatus string

const (
	ConditionTrue    ConditionStatus = "True"
	ConditionFalse   ConditionStatus = "False"
	ConditionUnknown ConditionStatus = "Unknown"
)

// APIServiceConditionType names a condition of an APIService.
type APIServiceConditionType string

const (
	Available APIServiceConditionType = "Available"
)

// ServiceReference points to a Service that serves an API group.
type ServiceReference struct {
	// namespace of the service.
	Namespace string `json:"namespace,omitempty" protobuf:"bytes,1,opt,name=namespace"`
	// name of the service.
	Name string `json:"name,omitempty" protobuf:"bytes,2,opt,name=name"`
	// port of the service on which the API server listens, 443 unless set. Must be between 1 and 65535.
	// +optional
	Port *int32 `json:"port,omitempty" protobuf:"varint,3,opt,name=port"`
}

// APIServiceSpec tells where and how a group and version is served.
type APIServiceSpec struct {
	// service that serves this group and version over TLS. When absent, the API server itself serves it.
	// +optional
	Service *ServiceReference `json:"service,omitempty" protobuf:"bytes,1,opt,name=service"`
	// group is the name of the API group that is served.
	Group string `json:"group,omitempty" protobuf:"bytes,2,opt,name=group"`
	// version is the API version that is served, such as "v1".
	Version string `json:"version,omitempty" protobuf:"bytes,3,opt,name=version"`
	// insecureSkipTLSVerify turns off the check of the serving certificate. Strongly discouraged; prefer caBundle.
	InsecureSkipTLSVerify bool `json:"insecureSkipTLSVerify,omitempty" protobuf:"varint,4,opt,name=insecureSkipTLSVerify"`
	// caBundle holds PEM certificates that the serving certificate is checked against. When empty, the system's
	// roots are used.
	// +optional
	// +listType=atomic
	CABundle []byte `json:"caBundle,omitempty" protobuf:"bytes,5,opt,name=caBundle"`
	// groupPriorityMinimum is the least priority of the whole group: groups of higher priority come first in discovery.
	// The highest value among the versions of a group counts. Must be between 1 and 20000.
	GroupPriorityMinimum int32 `json:"groupPriorityMinimum" protobuf:"varint,7,opt,name=groupPriorityMinimum"`
	// versionPriority orders the versions within their group, highest first; versions of equal priority are ordered
	// by name as Kubernetes orders versions: GA before beta before alpha. Must be between 1 and 1000.
	VersionPriority int32 `json:"versionPriority" protobuf:"varint,8,opt,name=versionPriority"`
}

// APIServiceCondition is one aspect of the state of an APIService.
type APIServiceCondition struct {
	// type of the condition.
	Type APIServiceConditionType `json:"type" protobuf:"bytes,1,opt,name=type,casttype=APIServiceConditionType"`
	// status of the condition: True, False or Unknown.
	Status ConditionStatus `json:"status" protobuf:"bytes,2,opt,name=status,casttype=ConditionStatus"`
	// lastTransitionTime is when the status last changed.
	// +optional
	LastTransitionTime metav1.Time `json:"lastTransitionTime,omitempty" protobuf:"bytes,3,opt,name=lastTransitionTime"`
	// reason is a single word in CamelCase that says why.
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,4,opt,name=reason"`
	// message says it for people.
	// +optional
	Message string `json:"message,omitempty" protobuf:"bytes,5,opt,name=message"`
}

// APIServiceStatus is the observed state of an APIService.
type APIServiceStatus struct {
	// conditions of the service.
	// +optional
	// +patchMergeKey=type
	// +patchStrategy=merge
	// +listType=map
	// +listMapKey=type
	Conditions []APIServiceCondition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type" protobuf:"bytes,1,rep,name=conditions"`
}

// APIService registers the server of one API group and version. Its name must be "version.group".
//
// +genclient
// +genclient:nonNamespaced
type APIService struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`

	// spec tells where the group and version is served.
	Spec APIServiceSpec `json:"spec,omitempty" protobuf:"bytes,2,opt,name=spec"`
	// status is whether the server can be reached.
	Status APIServiceStatus `json:"status,omitempty" protobuf:"bytes,3,opt,name=status"`
}

// APIServiceList is a list of APIService objects.
type APIServiceList struct {
	metav1.TypeMeta `json:",inline"`
	// Standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`

	// items of the list.
	Items []APIService `json:"items" protobuf:"bytes,2,rep,name=items"`
}
