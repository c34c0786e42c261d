/* Loop, clock and chance: what comes from outside in the real server, and is the script's here. */
#include "tests/fuzz/edge/steps/world.h"

#include "base/must.h"
#include "edge/request/exchange.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

enum { MESSAGES_MAX = 256, TIMERS_MAX = 256, READS_MAX = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static struct loop_message *messages[MESSAGES_MAX], *reads[READS_MAX]; /* hold lock */
static size_t message_count, read_count;
static struct loop_timer *timers[TIMERS_MAX]; /* by due time */
static size_t timer_count;

struct instant __wrap_clock_now(void);
uint64_t __wrap_clock_boot_id(void);
ssize_t __wrap_getrandom(void *bytes, size_t length, unsigned flags);
bool __wrap_loop_post(struct loop *loop, struct loop_message *message);
void __wrap_loop_timer_set(struct loop *loop, struct loop_timer *timer, duration delay);
void __wrap_loop_timer_stop(struct loop *loop, struct loop_timer *timer);
void __wrap_loop_timers_fire_early(struct loop *loop, void (*fire)(struct loop_timer *timer));
void __wrap_cache_read_start(struct cache *cache, struct cache_read *read);
void __real_cache_read_start(struct cache *cache, struct cache_read *read);
bool __wrap_compressor_decode(struct compressor *compressor, struct object *object,
                              struct decoding *decoding);
void __wrap_compressor_run(struct compressor *compressor, struct chore *chore);

/* --- clock and chance --- */

struct instant __wrap_clock_now(void)
{
    return world.now;
}

uint64_t __wrap_clock_boot_id(void)
{
    return 1;
}

ssize_t __wrap_getrandom(void *bytes, size_t length, unsigned flags)
{
    (void)flags;
    memset(bytes, (int)(world.now.wall.ms / 1000 % 256), length);
    return (ssize_t)length;
}

/* --- messages --- */

/* A read that was waited for has come. */
static void forget_read(const struct loop_message *message)
{
    for (size_t i = 0; i < read_count; i++)
        if (reads[i] == message)
            reads[i--] = reads[--read_count];
}

bool __wrap_loop_post(struct loop *loop, struct loop_message *message)
{
    MUST(loop == &world.loop);
    if (atomic_exchange(&message->is_posted, true))
        return false;
    pthread_mutex_lock(&lock);
    MUST(message_count < MESSAGES_MAX);
    messages[message_count++] = message;
    forget_read(message);
    pthread_cond_signal(&arrived);
    pthread_mutex_unlock(&lock);
    return true;
}

/* The reader threads answer when they like; the script goes on when they have. */
void __wrap_cache_read_start(struct cache *cache, struct cache_read *read)
{
    pthread_mutex_lock(&lock);
    MUST(read_count < READS_MAX);
    reads[read_count++] = &container_of(read, struct exchange, read)->read_done;
    pthread_mutex_unlock(&lock);
    __real_cache_read_start(cache, read);
}

/* What the origin calls gzip here is none; whether varve knows that already is the script's. */
bool __wrap_compressor_decode(struct compressor *compressor, struct object *object,
                              struct decoding *decoding)
{
    (void)compressor;
    bool is_known = object->facts.response_time.ms / 1000 % 2;
    decoding->plain = NULL;
    if (!is_known)
        decoding->done(decoding);
    return !is_known;
}

/* What comes of it is told by a message. */
void __wrap_compressor_run(struct compressor *compressor, struct chore *chore)
{
    (void)compressor;
    chore->run(chore);
}

bool loop_step(void)
{
    pthread_mutex_lock(&lock);
    while (message_count == 0 && read_count > 0)
        pthread_cond_wait(&arrived, &lock);
    struct loop_message *first = message_count ? messages[0] : NULL;
    if (first)
        memmove(messages, messages + 1, --message_count * sizeof(messages[0]));
    pthread_mutex_unlock(&lock);
    if (!first)
        return false;
    atomic_store(&first->is_posted, false);
    first->deliver(first);
    return true;
}

/* --- timers --- */

void __wrap_loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    for (size_t i = 0; timer->position && i < timer_count; i++)
        if (timers[i] == timer)
            memmove(timers + i, timers + i + 1, (--timer_count - i) * sizeof(timers[0]));
    timer->position = 0;
}

void __wrap_loop_timer_set(struct loop *loop, struct loop_timer *timer, duration delay)
{
    __wrap_loop_timer_stop(loop, timer);
    MUST(timer_count < TIMERS_MAX);
    timer->due = mono_after(world.now.mono, delay.ms < 1 ? (duration){1} : delay);
    timer->position = 1;
    size_t at = timer_count++;
    for (; at > 0 && timers[at - 1]->due.ms > timer->due.ms; at--)
        timers[at] = timers[at - 1];
    timers[at] = timer;
}

void __wrap_loop_timers_fire_early(struct loop *loop, void (*fire)(struct loop_timer *timer))
{
    for (size_t i = 0; i < timer_count; i++) {
        struct loop_timer *timer = timers[i];
        if (timer->fire != fire)
            continue;
        __wrap_loop_timer_stop(loop, timer);
        fire(timer);
        i = SIZE_MAX; /* from the beginning: it may have changed others */
    }
}

bool loop_next_due(int64_t *ms)
{
    *ms = timer_count ? timers[0]->due.ms : 0;
    return timer_count > 0;
}

static void set_time(int64_t mono_ms)
{
    int64_t step = mono_ms - world.now.mono.ms;
    world.now.mono.ms += step;
    world.now.wall.ms += step;
    world.evloop._now += (uint64_t)step;
}

void loop_advance(int64_t ms)
{
    int64_t end = world.now.mono.ms + ms;
    while (timer_count && timers[0]->due.ms <= end) {
        struct loop_timer *timer = timers[0];
        __wrap_loop_timer_stop(&world.loop, timer);
        if (timer->due.ms > world.now.mono.ms)
            set_time(timer->due.ms);
        timer->fire(timer);
        world_run();
    }
    if (end > world.now.mono.ms)
        set_time(end);
}

void loop_check_empty(void)
{
    MUST(message_count == 0 && read_count == 0 && timer_count == 0);
}
