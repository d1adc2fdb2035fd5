// A few threads that go through numbered phases of tasks together.
//
// Tasks are taken one by one, so a thread that the system holds back delays one task and not its
// whole share; and a phase ends when its tasks are done, not when all threads have arrived, so a
// sleeping thread delays nobody. Between two jobs a thread spins briefly, then sleeps.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace causerie {

struct alignas(64) Phase {
  std::atomic<int32_t> next{0};
  std::atomic<int32_t> done{0};
};

class Team {
 public:
  using Job = void (*)(void* context, Team& team, int thread);

  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs job(context, *this, thread) on the caller and on whoever else is awake in time.
  void run(Job job, void* context, int phases);

  // Takes part in a phase: body(task) for tasks 0..tasks-1, each once; returns when all are done.
  template <typename Body>
  void phase(int number, int tasks, Body&& body) {
    Phase& phase = phases_[static_cast<size_t>(number)];
    int32_t task;
    while ((task = phase.next.fetch_add(1, std::memory_order_relaxed)) < tasks) {
      body(task);
      phase.done.fetch_add(1, std::memory_order_release);
    }
    for (int spins = 0; phase.done.load(std::memory_order_acquire) < tasks; ++spins) relax(spins);
  }

  static void relax(int spins);

 private:
  void serve(int thread);

  std::vector<Phase> phases_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<bool> open_{false};
  std::atomic<int> active_{0};
  std::atomic<bool> stop_{false};
  Job job_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace causerie
