// C++ programs as people write them: classes, templates, inlining, exceptions in flight, std::thread. Usage: blocks READY-FILE
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#define NOINLINE __attribute__((noinline))

volatile long sink;

namespace plant {
enum class Color : uint8_t { Red = 1, Green = 2 };
enum Mode { Off, On = 5 };

struct Base {
  int id;
  explicit Base(int n) : id(n) {}
  virtual ~Base() = default;
  virtual int work(int amount, const std::string &name) = 0;
};

struct Position {
  double x, y;
};

class Valve : public Base {
 public:
  Valve(int n, Color c) : Base(n), color(c), at{1.5, -2.5} {}
  NOINLINE int work(int amount, const std::string &name) override {
    timespec t{3600, 0};
    sink += amount;
    int r = nanosleep(&t, nullptr);
    return r + id + static_cast<int>(name.size());
  }
  NOINLINE int turn(Mode mode, Position p, Color other) const {
    pollfd fd{-1, 0, 0};
    int r = poll(&fd, 1, -1);
    sink += r;
    return r + mode + static_cast<int>(p.x) + static_cast<int>(other) + static_cast<int>(color);
  }

 private:
  Color color;
  Position at;
  static int made;
};
int Valve::made = 3;

template <typename T, int N>
struct Ring {
  T values[N];
  int next = 0;
  NOINLINE T wait(T value, const T &again) {
    values[next] = value;
    std::unique_lock<std::mutex> lock(mutex);
    ready.wait(lock);
    return values[0] + again;
  }
  std::mutex mutex;
  std::condition_variable ready;
};

template <typename T>
NOINLINE T deeper(T depth, T step) {
  if (depth <= 0) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) abort();
    char buffer[8];
    sink += recv(pair[0], buffer, sizeof buffer, 0);
    return step;
  }
  T r = deeper<T>(depth - step, step);
  sink += static_cast<long>(r);
  return r + depth;
}
}  // namespace plant

namespace {
struct Hidden {
  int secret;
  NOINLINE int hold(short a, unsigned char b, int64_t c, const plant::Position &where) {
    int fds[2];
    if (pipe(fds)) abort();
    char buffer[4];
    long n = read(fds[0], buffer, sizeof buffer);
    sink += n;
    return static_cast<int>(n + a + b + c + secret + static_cast<long>(where.y));
  }
};
}  // namespace

static inline __attribute__((always_inline)) int checked(int value, const char *why) {
  if (value < 0) throw std::runtime_error(why);
  sink += value;
  timespec t{3600, value};
  return nanosleep(&t, nullptr) + value;
}

NOINLINE int guard(int value, std::string why) {
  struct Cleanup {
    int kept;
    ~Cleanup() { sink += kept; }
  } cleanup{value};
  return checked(value + 2, why.c_str()) + cleanup.kept;
}

/* Waits within a handler: an exception is in flight. */
NOINLINE int caught(int value, double factor) {
  try {
    checked(-value, "negative");
  } catch (const std::exception &error) {
    timespec t{3600, 0};
    sink += error.what()[0];
    return nanosleep(&t, nullptr) + value + static_cast<int>(factor);
  }
  return 0;
}

static std::atomic<int> started;

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  std::vector<std::thread> threads;
  plant::Valve valve(42, plant::Color::Green);
  plant::Ring<long, 4> ring{};
  const std::string name = "a name that is too long for the object itself";
  threads.emplace_back([&] { started++; sink += valve.work(17, name); });
  threads.emplace_back([&] { started++; sink += valve.turn(plant::On, {3.25, 4}, plant::Color::Red); });
  threads.emplace_back([&ring](int n) { started++; sink += ring.wait(n * 1000L, 5L); }, 6);
  threads.emplace_back([] { started++; sink += plant::deeper<int>(24, 3); });
  threads.emplace_back([] { started++; sink += static_cast<long>(plant::deeper<double>(2.5, 0.5)); });
  threads.emplace_back([] { started++; Hidden h{9}; sink += h.hold(-3, 250, int64_t{1} << 60, {0, 8}); });
  threads.emplace_back([&name](int n) { started++; sink += guard(n, "short") + static_cast<int>(name.size()); }, 31);
  threads.emplace_back([] { started++; sink += caught(8, 2.5); });
  while (started < 8) usleep(1000);
  usleep(60000);
  if (FILE *file = fopen(argv[1], "w")) {
    fprintf(file, "%d\n", getpid());
    fclose(file);
  }
  for (auto &thread : threads) thread.join();
  return 0;
}
