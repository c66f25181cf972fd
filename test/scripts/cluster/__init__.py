"""Clusters for tests: one on this machine (with_cluster.py) or several machines made of namespaces (with_nodes.py)."""
