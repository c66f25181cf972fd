#include "apiserver/http/capture.h"

namespace trireme::apiserver {

void CaptureExchange::complete(std::unique_lock<std::mutex>& lock) {
  if (done_) return;
  done_ = true;
  std::function<void()> callback = std::move(on_closed_);
  finished_.notify_all();
  lock.unlock();
  if (callback) callback();
}

void CaptureExchange::respond(int status, net::Headers headers, std::vector<SharedBytes> body) {
  std::unique_lock lock(mutex_);
  if (done_) return;
  response_.status = status;
  response_.headers = std::move(headers);
  for (const SharedBytes& piece : body) response_.body += *piece;
  complete(lock);
}

void CaptureExchange::start(int status, net::Headers headers) {
  std::scoped_lock lock(mutex_);
  response_.status = status;
  response_.headers = std::move(headers);
}

size_t CaptureExchange::write(SharedBytes bytes) {
  std::scoped_lock lock(mutex_);
  if (!done_) response_.body += *bytes;
  return 0;
}

void CaptureExchange::finish() {
  std::unique_lock lock(mutex_);
  complete(lock);
}

void CaptureExchange::abort() {
  std::unique_lock lock(mutex_);
  if (!done_) response_.status = 500;
  complete(lock);
}

bool CaptureExchange::closed() const {
  std::scoped_lock lock(mutex_);
  return done_;
}

void CaptureExchange::on_closed(std::function<void()> callback) {
  {
    std::scoped_lock lock(mutex_);
    if (!done_) {
      on_closed_ = std::move(callback);
      return;
    }
  }
  callback();
}

net::Response CaptureExchange::wait() {
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [&] { return done_; });
  return std::move(response_);
}

}  // namespace trireme::apiserver
