#include "team.h"

#include <chrono>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace causerie {

namespace {
constexpr int kSpinsBeforeYield = 2000;
constexpr auto kAwake = std::chrono::microseconds(300);
}  // namespace

void Team::relax(int spins) {
  if (spins > kSpinsBeforeYield) {
    std::this_thread::yield();
    return;
  }
#if defined(__x86_64__)
  _mm_pause();
#endif
}

Team::Team(int threads) {
  for (int thread = 1; thread < threads; ++thread)
    workers_.emplace_back([this, thread] { serve(thread); });
}

Team::~Team() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Team::run(Job job, void* context, int phases) {
  if (static_cast<int>(phases_.size()) < phases)
    phases_ = std::vector<Phase>(static_cast<size_t>(phases));
  for (Phase& phase : phases_) {
    phase.next.store(0, std::memory_order_relaxed);
    phase.done.store(0, std::memory_order_relaxed);
  }
  if (!workers_.empty()) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = job;
      context_ = context;
      open_ = true;
      generation_.fetch_add(1);
    }
    wake_.notify_all();
  }
  job(context, *this, 0);
  if (workers_.empty()) return;
  // Whoever is inside only finds finished phases; whoever comes later finds the door closed.
  open_ = false;
  for (int spins = 0; active_.load() != 0; ++spins) relax(spins);
}

void Team::serve(int thread) {
  uint64_t seen = 0;
  for (;;) {
    const auto until = std::chrono::steady_clock::now() + kAwake;
    while (generation_.load() == seen && !stop_) {
      if (std::chrono::steady_clock::now() < until) {
        for (int spin = 0; spin < 32; ++spin) relax(spin);
        std::this_thread::yield();
        continue;
      }
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return generation_.load() != seen || stop_; });
    }
    if (stop_) return;
    seen = generation_.load();
    active_.fetch_add(1);
    if (open_.load()) job_(context_, *this, thread);
    active_.fetch_sub(1);
  }
}

}  // namespace causerie
