/*
 * A temperature gateway: reads a sensor, decides, sets a valve, reports. Each step waits for slow hardware, as real ones do.
 *
 *   device [--cycles N] [--attack skip|level|none] [--attack-at CYCLE] [--log FILE]
 *
 * The attacks do what an intruder who diverts the control flow would do:
 *   skip   the valve is set without any decision
 *   level  the valve is opened beyond the permitted 80
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum valve { VALVE_MAIN = 1, VALVE_BYPASS = 2 };
enum attack { ATTACK_NONE, ATTACK_SKIP, ATTACK_LEVEL };

static FILE *call_log;

static void wait_ms(long ms)
{
    struct timespec left = { ms / 1000, ms % 1000 * 1000000L };
    while (nanosleep(&left, &left) != 0)
        if (call_log != NULL)
            fprintf(call_log, "interrupted\n");
}

static long long now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* The device's own account of what it did: the truth that tests compare looks with. */
static void account(long long began, const char *function, double value)
{
    if (call_log != NULL)
        fprintf(call_log, "%lld %lld %s %g\n", began, now_us(), function, value);
}

double read_sensor(int id)
{
    static unsigned int noise = 12345;
    long long began = now_us();
    wait_ms(25);
    noise = noise * 1103515245u + 12345u;
    account(began, "read_sensor", id);
    return 20.0 + (noise >> 16) % 100 / 10.0;
}

int decide(double temperature)
{
    long long began = now_us();
    int level = (int)((30.0 - temperature) * 8.0);
    wait_ms(25);
    account(began, "decide", temperature);
    return level < 0 ? 0 : level > 80 ? 80 : level;
}

void actuate(int level, enum valve valve)
{
    long long began = now_us();
    wait_ms(valve == VALVE_MAIN ? 30 : 40);
    account(began, "actuate", level);
}

void publish(const char *topic, int level, bool retained)
{
    long long began = now_us();
    wait_ms(retained ? 25 : 26);
    account(began, "publish", level);
    (void)topic;
}

static void control_cycle(enum attack attack)
{
    int level;

    if (attack == ATTACK_SKIP) {
        actuate(70, VALVE_MAIN);
        wait_ms(40);
        return;
    }
    level = decide(read_sensor(7));
    wait_ms(15);
    actuate(attack == ATTACK_LEVEL ? 95 : level, VALVE_MAIN);
    publish("plant/boiler/valve", level, true);
    wait_ms(40);
}

int main(int argc, char **argv)
{
    long cycles = 20, attack_at = 10;
    enum attack attack = ATTACK_NONE;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--cycles") == 0)
            cycles = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--attack-at") == 0)
            attack_at = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--attack") == 0)
            attack = strcmp(argv[i + 1], "skip") == 0    ? ATTACK_SKIP
                     : strcmp(argv[i + 1], "level") == 0 ? ATTACK_LEVEL
                                                         : ATTACK_NONE;
        else if (strcmp(argv[i], "--log") == 0)
            call_log = fopen(argv[i + 1], "w");
        else {
            fprintf(stderr, "device: unknown option %s\n", argv[i]);
            return 2;
        }
    }
    wait_ms(30);
    for (long cycle = 1; cycle <= cycles; cycle++)
        control_cycle(cycle == attack_at ? attack : ATTACK_NONE);
    wait_ms(30);
    if (call_log != NULL)
        fclose(call_log);
    return 0;
}
