/*
 * A function of run-time size, called through a pointer, waits above the remains of calls that have returned: they lead to the root as
 * well as its own caller does, and lie nearer.
 */
#include <alloca.h>
#include <time.h>
typedef int (*function)(int);
static int leaf(int n) {
  struct timespec moment = {0, 1000};
  nanosleep(&moment, 0);
  return n;
}
static function volatile leaf_pointer = leaf;
static int returned(int n) {
  volatile char room[4000];
  room[0] = (char)n;
  return leaf_pointer(n) + room[0];
}
static int waits(int n) {
  char *room = alloca(n);
  __asm__ volatile("" : : "r"(room) : "memory");
  struct timespec long_time = {600, 0};
  nanosleep(&long_time, 0);
  return room[n / 2];
}
static function volatile returned_pointer = returned, waits_pointer = waits;
int main(int argc, char **argv) {
  (void)argv;
  int result = returned_pointer(argc);
  return result + waits_pointer(argc * 10000);
}
