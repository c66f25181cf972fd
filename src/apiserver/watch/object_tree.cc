#include "apiserver/watch/object_tree.h"

#include <cstdint>
#include <functional>

namespace trireme::apiserver {

/// A node of a persistent treap. Its priority is a hash of the key, so that a tree's shape depends on its content only.
struct ObjectTree::Node {
  Node(CachedPointer object, uint32_t priority, Link left, Link right)
      : object(std::move(object)),
        priority(priority),
        size(1 + (left ? left->size : 0U) + (right ? right->size : 0U)),
        left(std::move(left)),
        right(std::move(right)) {}

  CachedPointer object;
  uint32_t priority;
  uint32_t size;
  Link left;
  Link right;
};

namespace {

using Node = ObjectTree::Node;
using Link = ObjectTree::Link;

uint32_t priority_of(std::string_view key) {
  // The standard hash is the identity-like on some platforms for short keys; mix it so that neighbours differ widely.
  size_t hash = std::hash<std::string_view>{}(key);
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdULL;
  return static_cast<uint32_t>(hash >> 29);
}

Link make(CachedPointer object, uint32_t priority, Link left, Link right) {
  return std::make_shared<const Node>(std::move(object), priority, std::move(left), std::move(right));
}

Link insert(const Link& node, CachedPointer object, uint32_t priority) {
  if (!node) return make(std::move(object), priority, nullptr, nullptr);
  int order = object->key().compare(node->object->key());
  if (order == 0) return make(std::move(object), priority, node->left, node->right);
  if (order < 0) {
    Link left = insert(node->left, std::move(object), priority);
    if (left->priority > node->priority) {
      return make(left->object, left->priority, left->left,
                  make(node->object, node->priority, left->right, node->right));
    }
    return make(node->object, node->priority, std::move(left), node->right);
  }
  Link right = insert(node->right, std::move(object), priority);
  if (right->priority > node->priority) {
    return make(right->object, right->priority, make(node->object, node->priority, node->left, right->left),
                right->right);
  }
  return make(node->object, node->priority, node->left, std::move(right));
}

Link merge(const Link& left, const Link& right) {
  if (!left) return right;
  if (!right) return left;
  if (left->priority > right->priority) {
    return make(left->object, left->priority, left->left, merge(left->right, right));
  }
  return make(right->object, right->priority, merge(left, right->left), right->right);
}

/// `node` without `key`, which must be in it.
Link erase(const Link& node, std::string_view key) {
  int order = key.compare(node->object->key());
  if (order == 0) return merge(node->left, node->right);
  if (order < 0) return make(node->object, node->priority, erase(node->left, key), node->right);
  return make(node->object, node->priority, node->left, erase(node->right, key));
}

}  // namespace

ObjectTree ObjectTree::with(CachedPointer object) const {
  const uint32_t priority = priority_of(object->key());
  return ObjectTree(insert(root_, std::move(object), priority));
}

ObjectTree ObjectTree::without(std::string_view key) const { return find(key) ? ObjectTree(erase(root_, key)) : *this; }

CachedPointer ObjectTree::find(std::string_view key) const {
  const Node* node = root_.get();
  while (node != nullptr) {
    int order = key.compare(node->object->key());
    if (order == 0) return node->object;
    node = order < 0 ? node->left.get() : node->right.get();
  }
  return nullptr;
}

size_t ObjectTree::size() const { return root_ ? root_->size : 0; }

size_t ObjectTree::count_from(std::string_view start) const {
  size_t count = 0;
  const Node* node = root_.get();
  while (node != nullptr) {
    if (node->object->key() < start) {
      node = node->right.get();
    } else {
      count += 1 + (node->right ? node->right->size : 0);
      node = node->left.get();
    }
  }
  return count;
}

size_t ObjectTree::count(std::string_view start, std::string_view end) const {
  return count_from(start) - count_from(end);
}

ObjectTree::Cursor::Cursor(const ObjectTree& tree, std::string_view start, std::string end)
    : root_(tree.root_), end_(std::move(end)) {
  const Node* node = root_.get();
  while (node != nullptr) {
    if (node->object->key() < start) {
      node = node->right.get();
    } else {
      path_.push_back(node);
      node = node->left.get();
    }
  }
}

const CachedPointer* ObjectTree::Cursor::next() {
  if (path_.empty()) return nullptr;
  const Node* node = path_.back();
  path_.pop_back();
  if (!end_.empty() && node->object->key() >= end_) {
    path_.clear();
    return nullptr;
  }
  for (const Node* child = node->right.get(); child != nullptr; child = child->left.get()) path_.push_back(child);
  return &node->object;
}

}  // namespace trireme::apiserver
