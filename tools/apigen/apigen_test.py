"""Tests of the parser and the naming rules: python3 -m unittest discover -s tools/apigen -p '*_test.py'"""

import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

from go_parser import evaluate_constants, parse_package  # noqa: E402
from model import description, markers, snake_case  # noqa: E402

_SOURCE = """
package v1

import (
	"k8s.io/x/other"
	meta "k8s.io/x/meta"
)

// Phase of a thing.
// +enum
type Phase string

type List map[string]Phase
type Alias = Phase

const (
	// PhaseOn is on.
	PhaseOn Phase = "On" // a trailing comment
	PhaseOff = Phase("Off")
	Prefix = "a.b/" + "c"
	Joined = Prefix + "-d"
	Limit int32 = 20
	Far = other.Name
	Call = compute("x")
)

const Single = "s"

// +genclient

// Thing has fields.
type Thing struct {
	meta.TypeMeta `json:",inline"`

	// Floating text belongs to nothing.

	// name of the thing.
	// +optional
	Name *string `json:"name,omitempty" protobuf:"bytes,1,opt,name=name"`
	Tags []string `json:"tags" patchStrategy:"merge" protobuf:"bytes,2,rep,name=tags"` // trailing
}

type Empty struct{}

func (t Thing) Method() string {
	type Hidden struct {
	}
	return ""
}
"""


class ParserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as root:
            for path, text in (("k8s.io/x/v1", _SOURCE), ("k8s.io/x/other", 'package other\n\nconst Name = "far"\n')):
                folder = Path(root) / path
                folder.mkdir(parents=True)
                (folder / "types.go").write_text(text, encoding="utf-8")
                (folder / "types_test.go").write_text("type Unwanted struct{}", encoding="utf-8")
            packages = {path: parse_package([root], path) for path in ("k8s.io/x/v1", "k8s.io/x/other")}
        evaluate_constants(packages)
        cls.package = packages["k8s.io/x/v1"]

    def test_types(self):
        types = self.package.types
        self.assertEqual(set(types), {"Phase", "List", "Alias", "Thing", "Empty"})
        self.assertEqual(types["List"].underlying, "map[string]Phase")
        self.assertTrue(types["Alias"].is_alias)
        self.assertEqual(types["Empty"].fields, [])
        self.assertIn("genclient", markers(types["Thing"].outer_comment))
        self.assertEqual(description(types["Thing"].comment), "Thing has fields.")

    def test_fields(self):
        meta, name, tags = self.package.types["Thing"].fields
        self.assertEqual((meta.name, meta.type), ("", "meta.TypeMeta"))
        self.assertEqual((name.name, name.type, name.tag["json"]), ("Name", "*string", "name,omitempty"))
        self.assertEqual(description(name.comment), "name of the thing.")
        self.assertEqual(tags.tag["patchStrategy"], "merge")

    def test_constants(self):
        values = {name: const.value for name, const in self.package.consts.items()}
        self.assertEqual(
            values,
            {
                "PhaseOn": "On",
                "PhaseOff": "Off",
                "Prefix": "a.b/c",
                "Joined": "a.b/c-d",
                "Limit": 20,
                "Far": "far",
                "Call": None,
                "Single": "s",
            },
        )
        self.assertEqual(self.package.consts["PhaseOff"].type, "Phase")
        self.assertEqual(self.package.imports["meta"], "k8s.io/x/meta")


class NamingTest(unittest.TestCase):
    def test_snake_case(self):
        for name, expected in {
            "nodeName": "node_name",
            "podIPs": "pod_ips",
            "clusterCIDR": "cluster_cidr",
            "podCIDRs": "pod_cidrs",
            "nonResourceURLs": "non_resource_urls",
            "targetWWNs": "target_wwns",
            "insecureSkipTLSVerify": "insecure_skip_tls_verify",
            "setHostnameAsFQDN": "set_hostname_as_fqdn",
            "hostPID": "host_pid",
            "systemUUID": "system_uuid",
            "namespace": "namespace_",
            "operator": "operator_",
            "$ref": "ref",
            "x-kubernetes-list-type": "x_kubernetes_list_type",
            "jsonPath": "json_path",
        }.items():
            self.assertEqual(snake_case(name), expected)

    def test_description(self):
        lines = [" One", " two.", "", " +optional", " TODO: later", " Three:", "   indented", " four", " ---", " hidden"]
        self.assertEqual(description(lines), "One two.\n\nThree:\n  indented\nfour")

    def test_markers(self):
        found = markers([" text", " +listType=map", " +listMapKey=a", " +listMapKey=b", " +optional", " +x:y=z,w=v"])
        self.assertEqual(found, {"listType": ["map"], "listMapKey": ["a", "b"], "optional": [""], "x:y": ["z,w=v"]})


if __name__ == "__main__":
    unittest.main()
