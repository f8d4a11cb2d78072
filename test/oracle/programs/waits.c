/* Threads that each wait in another system call, with parameters of many types on their stacks; then a deep recursion, and a signal
   handler on a stack of its own. Usage: waits READY-FILE */
#define _GNU_SOURCE
#include <pthread.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

enum mode { MODE_OFF, MODE_HEAT = 3, MODE_COOL = -2 };
enum flags { FLAG_OPEN = 1, FLAG_LOCKED = 2, FLAG_HOT = 8 };
struct point { int x, y; };
struct single { long a; };
struct bits { unsigned a : 3; int b : 5; unsigned long c : 33; bool d : 1; enum mode e : 4; };
struct reading {
  char name[12];
  double value;
  struct point at;
  enum mode mode;
  struct bits bits;
  const char *note;
  union { int whole; float real; } u;
  struct { short inner[3]; };
};
typedef unsigned long count_t;
typedef int (*handler_t)(int);

struct things { int epoll, sockets[2], pipes[2]; pthread_mutex_t mutex; pthread_cond_t cond; sem_t sem; } things;
volatile long sink;
static int counter = 7;
const char *label = "pump";
struct reading last = { "boiler", 21.5, { 3, -4 }, MODE_COOL, { 5, -7, 1UL << 31, true, MODE_HEAT }, "ok", { 12 }, { { 1, 2, 3 } } };

NOINLINE static int wait_epoll(int level, const char *name, struct point *p) {
  struct epoll_event event;
  int r = epoll_wait(things.epoll, &event, 1, -1);
  sink += r + p->x;
  return level + r + name[0];
}
NOINLINE static long wait_nanosleep(long seconds, struct point pt, uint8_t small, int16_t medium) {
  struct timespec t = { seconds, 0 };
  int r = nanosleep(&t, 0);
  sink += r + small;
  return pt.y + medium + seconds;
}
NOINLINE static int wait_recv(char letter, bool on, float ratio, double level, enum mode mode, enum flags flags) {
  char buffer[64];
  int r = recv(things.sockets[0], buffer, sizeof buffer, 0);
  sink += r + buffer[0];
  return letter + on + (int)ratio + (int)level + mode + flags;
}
NOINLINE static int wait_cond(struct reading r, int after) {
  pthread_mutex_lock(&things.mutex);
  pthread_cond_wait(&things.cond, &things.mutex);
  sink += r.at.x;
  return after + r.mode + r.name[0];
}
NOINLINE static int wait_poll(count_t big, int64_t negative, unsigned __int128 huge, handler_t handler) {
  struct pollfd fd = { things.pipes[0], POLLIN, 0 };
  int r = poll(&fd, 1, -1);
  sink += r + (long)big;
  return (int)negative + (int)(huge >> 64) + handler(r);
}
NOINLINE static int wait_read(int numbers[3], char **argv, void *anything, const struct reading *r, long a, long b, long c, long d) {
  char buffer[16];
  int n = read(things.pipes[0], buffer, sizeof buffer);
  sink += n + numbers[0];
  return n + argv[0][0] + r->mode + (anything != 0) + (int)(a + b + c + d);
}
NOINLINE static int wait_sem(long double exact, struct point one, struct single two, int three) {
  int r = sem_wait(&things.sem);
  sink += r + one.x;
  return (int)exact + (int)two.a + three;
}

static int twice(int n) { return n * 2; }

static inline __attribute__((always_inline)) int inlined_inner(int depth, const char *word) {
  struct point pt = { depth, depth + 1 };
  return wait_epoll(depth * 3, word, &pt);
}
static inline __attribute__((always_inline)) int inlined_outer(int n, const char *word) {
  sink += n;
  return inlined_inner(n + 1, word) + 1;
}

NOINLINE static void *run_epoll(void *argument) { return (void *)(long)inlined_outer((int)(long)argument, "word"); }
NOINLINE static void *run_nanosleep(void *argument) {
  struct point pt = { 11, -12 };
  return (void *)wait_nanosleep(3600 + (long)argument, pt, 200, -300);
}
NOINLINE static void *run_recv(void *argument) { return (void *)(long)wait_recv('x', argument != 0, 0.25f, -1e100, MODE_COOL, FLAG_OPEN | FLAG_HOT); }
NOINLINE static void *run_cond(void *argument) {
  struct reading r = last;
  r.at.x = (int)(long)argument;
  return (void *)(long)(wait_cond(r, 99) + (int)r.value);
}
NOINLINE static void *run_poll(void *argument) {
  return (void *)(long)wait_poll(18446744073709551615UL - (unsigned long)argument, -9007199254740993L, ((unsigned __int128)5 << 64) | 6, twice);
}
NOINLINE static void *run_read(void *argument) {
  int numbers[3] = { 1, (int)(long)argument, 3 };
  char *words[2] = { "one", 0 };
  int r = wait_read(numbers, words, argument, &last, 1, 2, 3, 4);
  return (void *)(long)(r + numbers[1]);
}
NOINLINE static void *run_sem(void *argument) {
  struct point one = { 1, 2 };
  struct single two = { 77 };
  return (void *)(long)wait_sem(1.5L, one, two, (int)(long)argument);
}

static char other_stack[64 * 1024];
static const char *ready;

NOINLINE static void tell_ready(void) {
  FILE *file = fopen(ready, "w");
  if (file == 0) abort();
  fprintf(file, "%d\n", getpid());
  fclose(file);
}
NOINLINE static void on_signal(int number, siginfo_t *info, void *context) {
  struct timespec t = { 3600, 0 };
  sink += number;
  tell_ready();
  nanosleep(&t, 0);
  sink += info->si_signo + (context != 0);
}
NOINLINE static int recurse(int depth, int total, const char *word) {
  if (depth == 0) {
    raise(SIGUSR1);
    return total + word[0];
  }
  int r = recurse(depth - 1, total + depth, word);
  sink += r;
  return r + depth;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  ready = argv[1];
  things.epoll = epoll_create1(0);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, things.sockets) || pipe(things.pipes)) return 1;
  pthread_mutex_init(&things.mutex, 0);
  pthread_cond_init(&things.cond, 0);
  sem_init(&things.sem, 0, 0);
  void *(*jobs[])(void *) = { run_epoll, run_nanosleep, run_recv, run_cond, run_poll, run_read, run_sem };
  for (long i = 0; i < 7; i++) {
    pthread_t thread;
    if (pthread_create(&thread, 0, jobs[i], (void *)(i * 10 + 5))) return 1;
  }
  stack_t stack = { .ss_sp = other_stack, .ss_size = sizeof other_stack };
  struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
  sigaltstack(&stack, 0);
  sigaction(SIGUSR1, &action, 0);
  usleep(60000);
  printf("%d\n", recurse(40, counter, label));
  return 0;
}
