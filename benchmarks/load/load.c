/* The load generator: members of one room in one process, 64 KiB a call, so that it
 * costs less than any server does. Every record that arrives is checked: whole, unharmed, once,
 * and in its sender's order.
 *
 *   load ROOM KEY flood MEMBERS SENDERS SECONDS   SENDERS of the MEMBERS send as much as they can
 *   load ROOM KEY ping MEMBERS TIMES              one frame in flight from one to all others
 *   load ROOM KEY talk MEMBERS RATE SECONDS       each says RATE things a second, at odd moments
 *   load ROOM KEY stuck MEMBERS FRAMES            one sends FRAMES, and the last member never reads
 *   load ROOM KEY join MEMBERS AT_ONCE            all join, so many being on their way at a time
 *   load ROOM KEY stay MEMBERS                    all are there until standard input ends
 *
 * ROOM is DIALECT:PORT (dialect.c has the dialects), or several with commas between: the members
 * take them in turn. Prints names and numbers in one line: seconds, microseconds for p50 and p99,
 * and `busy`, the part of the time for which the generator itself had a processor: near 1 it may
 * be what limits the figure. Ends 0 if all was delivered right; 2, with a line on standard error,
 * if the server did something wrong; 1 if it was called wrongly.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "dialect.h"

enum { BLOCK = 64 * 1024, MOST = 8192, DOORS = 8, EVENTS = 512, LOOPS = 4 };

static const double silence = 10; /* seconds after which what has not come is lost */

struct door {
    const struct dialect *dialect;
    uint16_t port;
    size_t sender_place;     /* in a record heard here */
    size_t heard_size;
};

struct member {
    int fd;
    struct door *door;
    int loop;                /* the epoll set of who serves it, and what is waited for there */
    uint32_t events;
    struct record *said;
    size_t to_send, sent;    /* bytes since it joined; to_send is whole records */
    char *out;               /* the block being sent, and its place among all bytes */
    size_t out_start, out_end;
    char rest[LONGEST];      /* the beginning of a record */
    size_t rest_size;
    uint32_t *next;          /* of each sender, the number expected next */
};

static struct door doors[DOORS];
static int door_count;
static struct member *members;
static int count;
static int loops[LOOPS], loop_count = 1;
static atomic_size_t delivered;
static void (*on_delivery)(uint32_t sender, uint32_t number);

static void fail(const char *what) {
    fprintf(stderr, errno ? "%s: %s\n" : "%s\n", what, strerror(errno));
    exit(2);
}

static void misuse(const char *what) {
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double processor_time(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Joining. */

static void wait_for(int fd, const char *expected, size_t size) {
    char have[4 * LONGEST];
    for (size_t had = 0; had < size || memcmp(have + had - size, expected, size);) {
        ssize_t got = recv(fd, have + had, sizeof have - had, 0);
        if (got < 0) fail("while joining");
        errno = 0;
        if (got == 0) fail("not let in");
        had += (size_t)got;
    }
}

static void offer(int place, const char *key) {
    struct member *member = &members[place];
    const struct dialect *dialect = member->door->dialect;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(member->door->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    member->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(member->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(member->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct timeval patience = {.tv_sec = (time_t)silence};
    setsockopt(member->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (dialect->greeting) wait_for(member->fd, dialect->greeting, strlen(dialect->greeting));
    char bytes[2 * LONGEST];
    size_t size = dialect->offer(bytes, place, key);
    if (send(member->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size) fail("while joining");
}

static void be_let_in(int place, const char *key) {
    struct member *member = &members[place];
    const char *answer = member->door->dialect->answer;
    char bytes[2 * LONGEST];
    if (answer) wait_for(member->fd, answer, strlen(answer));
    else wait_for(member->fd, bytes, member->door->dialect->offer(bytes, place, key));
    fcntl(member->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)place};
    member->events = EPOLLIN;
    epoll_ctl(member->loop, EPOLL_CTL_ADD, member->fd, &event);
}

/* The first member last: who is not told that it is in (the talk door, a room without a key) is,
 * when those after it have been answered, or after the pause of whom nobody answers. */
static void join_all(const char *key, int at_once) {
    for (int place = count - 1 + at_once; place >= 0; place--) {
        if (place < count) be_let_in(place, key);
        if (place >= at_once) offer(place - at_once, key);
    }
    if (doors[0].dialect->answer && !*doors[0].dialect->answer) usleep(200000);
}

/* Sending and receiving. */

static void check(struct member *member, const char *bytes) {
    static _Thread_local struct record *heard[DOORS][MOST]; /* of each sender, once it has been */
    struct door *door = member->door;
    uint32_t sender = read_digits(bytes + door->sender_place, MEMBER_DIGITS);
    errno = 0;
    if (sender >= (uint32_t)count) fail("mixes frames");
    if (member == &members[sender]) fail("gives a member its own frames");
    struct record **record = &heard[door - doors][sender];
    if (!*record) *record = new_record(door->dialect->hear, (int)sender);
    uint32_t number = member->next[sender]++;
    if (memcmp(bytes, numbered(*record, number), door->heard_size))
        fail("loses, doubles, harms or reorders frames");
    if (on_delivery) on_delivery(sender, number);
}

static void receive(struct member *member) {
    static _Thread_local char in[LONGEST + BLOCK];
    memcpy(in, member->rest, member->rest_size);
    ssize_t got = recv(member->fd, in + member->rest_size, BLOCK, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) fail("disconnects a member");
    errno = 0;
    if (got == 0) fail("disconnects a member");
    const char *at = in, *end = in + member->rest_size + got;
    const char *aside = member->door->dialect->aside;
    size_t aside_size = aside ? strlen(aside) : 0, size = member->door->heard_size, records = 0;
    for (;;) {
        if (aside && (size_t)(end - at) >= aside_size && memcmp(at, aside, aside_size) == 0) {
            at += aside_size;
        } else if ((size_t)(end - at) >= size) {
            check(member, at);
            at += size;
            records++;
        } else {
            break;
        }
    }
    member->rest_size = (size_t)(end - at);
    memcpy(member->rest, at, member->rest_size);
    delivered += records;
}

static void wait_to_send(int place, int wants) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)place};
    if (wants) event.events |= EPOLLOUT;
    if (event.events == members[place].events) return;
    members[place].events = event.events;
    epoll_ctl(members[place].loop, EPOLL_CTL_MOD, members[place].fd, &event);
}

static void send_some(int place) {
    struct member *member = &members[place];
    if (!member->out) member->out = malloc(BLOCK);
    size_t size = member->said->size, most = BLOCK / size * size;
    if (member->sent == member->out_end) { /* make the next block */
        size_t left = member->to_send - member->sent;
        member->out_start = member->sent;
        member->out_end = member->sent + (left < most ? left : most);
        for (size_t at = member->out_start; at < member->out_end; at += size)
            memcpy(member->out + (at - member->out_start), numbered(member->said, (uint32_t)(at / size)),
                   size);
    }
    ssize_t put = send(member->fd, member->out + (member->sent - member->out_start),
                       member->out_end - member->sent, MSG_NOSIGNAL);
    if (put < 0 && errno != EAGAIN) fail("disconnects a member");
    if (put > 0) member->sent += (size_t)put;
    wait_to_send(place, member->sent < member->to_send);
}

static void say_one(int place) {
    members[place].to_send += members[place].said->size;
    send_some(place);
}

enum { TIMER = MOST }; /* what is ready is no member, but the time of the next frame */

/* Serve what is ready in one loop, waiting for at most so many milliseconds. */
static void turn(int loop, int patience) {
    struct epoll_event ready[EVENTS];
    int number = epoll_wait(loop, ready, EVENTS, patience);
    for (int at = 0; at < number; at++) {
        uint32_t place = ready[at].data.u32;
        if (place == TIMER) continue;
        if (ready[at].events & ~(uint32_t)EPOLLOUT) receive(&members[place]);
        if (ready[at].events & EPOLLOUT) send_some((int)place);
    }
}

static void run_until(int loop, size_t wanted) {
    size_t before = delivered;
    for (double since = now(); delivered < wanted; turn(loop, 1)) {
        if (delivered > before) {
            before = delivered;
            since = now();
        } else if (now() > since + silence) {
            errno = 0;
            fail("loses frames");
        }
    }
}

/* The workloads. */

static struct {
    int senders;
    double end;
    atomic_size_t wanted; /* to be delivered in all, when all loops have stopped their senders */
    atomic_int stopped;
} flooded;

/* One loop's part of a flood. */
static void *flood_loop(void *loop) {
    int own = *(int *)loop;
    for (int place = 0; place < flooded.senders; place++)
        if (members[place].loop == own) {
            members[place].to_send = SIZE_MAX;
            send_some(place);
        }
    while (now() < flooded.end) turn(own, 1);
    for (int place = 0; place < flooded.senders; place++)
        if (members[place].loop == own) {
            members[place].to_send = members[place].out_end;
            wait_to_send(place, members[place].sent < members[place].to_send);
            flooded.wanted += members[place].to_send / members[place].said->size * (size_t)(count - 1);
        }
    flooded.stopped++;
    while (flooded.stopped < loop_count) turn(own, 1);
    run_until(own, flooded.wanted);
    return NULL;
}

static void flood(int senders, double seconds) {
    double start = now(), busy = processor_time();
    flooded.senders = senders;
    flooded.end = start + seconds;
    pthread_t threads[LOOPS];
    for (int other = 1; other < loop_count; other++)
        pthread_create(&threads[other], NULL, flood_loop, &loops[other]);
    flood_loop(&loops[0]);
    double took = now() - start;
    for (int other = 1; other < loop_count; other++) pthread_join(threads[other], NULL);
    printf("delivered %zu seconds %.6f busy %.2f\n", delivered, took,
           (processor_time() - busy) / took / loop_count);
}

static void stuck(size_t frames) {
    int last = --count; /* is left alone: not read */
    epoll_ctl(members[last].loop, EPOLL_CTL_DEL, members[last].fd, NULL);
    double start = now();
    members[0].to_send = frames * members[0].said->size;
    send_some(0);
    run_until(loops[0], frames * (size_t)(last - 1));
    printf("delivered %zu seconds %.6f\n", delivered, now() - start);
}

static int compare(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static void print_delays(double *delays, size_t number, double busy) {
    qsort(delays, number, sizeof *delays, compare);
    printf("p50 %.1f p99 %.1f busy %.2f\n", delays[number / 2] * 1e6, delays[number * 99 / 100] * 1e6,
           busy);
}

static void ping(int times) {
    double *delays = calloc((size_t)times, sizeof *delays), begin = now(), busy = processor_time();
    for (int number = 0; number < times; number++) {
        double start = now();
        say_one(0);
        run_until(loops[0], (size_t)(number + 1) * (size_t)(count - 1));
        delays[number] = now() - start;
    }
    print_delays(delays, (size_t)times, (processor_time() - busy) / (now() - begin));
}

/* A delay is counted from the moment at which the frame was due, so that a server that holds the
 * generator up does not look better for it. */
static struct {
    double **due; /* of each member, when its frames were */
    double *delays;
    size_t heard;
} talked;

static void note_delay(uint32_t sender, uint32_t number) {
    talked.delays[talked.heard++] = now() - talked.due[sender][number];
}

static void talk(int rate, double seconds) {
    size_t each = (size_t)(rate * seconds), all = each * (size_t)count;
    uint32_t *said = calloc((size_t)count, sizeof *said);
    talked.delays = calloc(all * (size_t)count, sizeof *talked.delays);
    talked.due = calloc((size_t)count, sizeof *talked.due);
    for (int place = 0; place < count; place++) talked.due[place] = calloc(all, sizeof(double));
    on_delivery = note_delay;
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = TIMER};
    epoll_ctl(loops[0], EPOLL_CTL_ADD, timer, &event);
    srand48(1); /* the same odd moments for every server */
    double due = now(), begin = due, busy = processor_time();
    for (size_t number = 0; number < all; number++) {
        due += drand48() * 2 / (rate * count);
        struct itimerspec when = {.it_value.tv_sec = (time_t)due};
        when.it_value.tv_nsec = (long)((due - (double)when.it_value.tv_sec) * 1e9);
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
        while (now() < due) turn(loops[0], -1);
        int place = (int)(drand48() * count);
        talked.due[place][said[place]++] = due;
        say_one(place);
    }
    epoll_ctl(loops[0], EPOLL_CTL_DEL, timer, NULL);
    run_until(loops[0], all * (size_t)(count - 1));
    print_delays(talked.delays, talked.heard, (processor_time() - busy) / (now() - begin));
}

static void open_doors(char *rooms) {
    for (char *room = strtok(rooms, ","); room; room = strtok(NULL, ",")) {
        char *port = strchr(room, ':');
        if (!port || door_count == DOORS) misuse("ROOM is DIALECT:PORT[,...]");
        *port++ = 0;
        struct door *door = &doors[door_count++];
        door->dialect = find_dialect(room);
        if (!door->dialect) misuse("no such dialect");
        door->port = (uint16_t)atoi(port);
        door->sender_place = place_of_sender(door->dialect->hear);
        door->heard_size = new_record(door->dialect->hear, 0)->size;
    }
}

static const struct workload {
    const char *name;
    int arguments;
} workloads[] = {{"flood", 7}, {"ping", 6}, {"talk", 7}, {"stuck", 6}, {"join", 6}, {"stay", 5}};

int main(int argc, char **argv) {
    if (argc < 5) misuse("ROOM KEY WORKLOAD MEMBERS ...");
    const char *key = argv[2], *name = argv[3];
    const struct workload *end = workloads + sizeof workloads / sizeof *workloads, *known = workloads;
    while (known < end && (strcmp(name, known->name) || argc != known->arguments)) known++;
    if (known == end) misuse("no such workload, or not with so many arguments");
    count = atoi(argv[4]);
    if (count < 2 || count > MOST) misuse("2 to 8192 members");
    if (argc > 5 && atof(argv[5]) < 1) misuse("at least 1 of what stands behind MEMBERS");
    if (strcmp(name, "flood") == 0 && atoi(argv[5]) > count) misuse("no more SENDERS than MEMBERS");
    if (strcmp(name, "talk") == 0 && atof(argv[5]) * atof(argv[6]) < 1) misuse("nothing to say");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    open_doors(argv[1]);
    /* A flood takes half of the processors, but two threads at least: one alone is slower than some
     * servers. A delay is measured in one, where nothing is passed between processors. */
    cpu_set_t processors;
    sched_getaffinity(0, sizeof processors, &processors);
    int half = CPU_COUNT(&processors) / 2;
    if (strcmp(name, "flood") == 0) loop_count = half < 2 ? 2 : half < LOOPS ? half : LOOPS;
    for (int loop = 0; loop < loop_count; loop++) loops[loop] = epoll_create1(0);
    members = calloc((size_t)count, sizeof *members);
    for (int place = 0; place < count; place++) {
        members[place].door = &doors[place % door_count];
        members[place].loop = loops[place % loop_count];
        members[place].said = new_record(members[place].door->dialect->say, place);
        members[place].next = calloc((size_t)count, sizeof(uint32_t));
    }
    double start = now(), busy = processor_time();
    join_all(key, strcmp(name, "join") == 0 ? atoi(argv[5]) : 32);
    if (strcmp(name, "flood") == 0) flood(atoi(argv[5]), atof(argv[6]));
    if (strcmp(name, "ping") == 0) ping(atoi(argv[5]));
    if (strcmp(name, "talk") == 0) talk(atoi(argv[5]), atof(argv[6]));
    if (strcmp(name, "stuck") == 0) stuck((size_t)atol(argv[5]));
    if (strcmp(name, "join") == 0) {
        double took = now() - start;
        printf("joins %d seconds %.6f busy %.2f\n", count, took, (processor_time() - busy) / took);
    }
    if (strcmp(name, "stay") == 0) {
        puts("members are there");
        fflush(stdout);
        while (getchar() != EOF) continue;
    }
    return 0;
}
