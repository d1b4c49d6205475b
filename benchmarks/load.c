/* The load generator: members of one room in one process, one poll loop, 64 KiB a call, so that
 * it costs far less than any server does. Every frame that arrives is checked: whole, unharmed,
 * once, and in its sender's order.
 *
 *   load PORT KEY flood MEMBERS SENDERS FRAMES   SENDERS of the MEMBERS send FRAMES each at once
 *   load PORT KEY ping MEMBERS ROUNDS            one frame in flight from one to all others
 *   load PORT KEY stuck MEMBERS FRAMES           one sends FRAMES, and the last member never reads
 *   load PORT KEY idle MEMBERS SECONDS           all are there and say nothing
 *
 * Prints one line: flood and stuck: frames delivered, seconds. ping: p50 and p99 in microseconds.
 * Ends 0 if all was delivered right, 1 with a line on standard error if not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { NAME = 64, TEXT = 448, FRAME = NAME + TEXT, BLOCK = 128 * FRAME, MOST = 4096, SILENCE = 20000 };

struct member {
    int fd;
    size_t to_send, sent;     /* bytes of the whole stream */
    char out[BLOCK];          /* the block being sent, and its place in the stream */
    size_t out_start, out_end;
    char in[BLOCK];
    size_t in_have;
    uint32_t *next;           /* of each sender, the frame expected next */
};

static struct member *members;
static char (*frames)[FRAME]; /* each sender's frame; its number is written anew each time */
static struct pollfd *polled;
static int count;
static size_t delivered;

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "no errno");
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum { SENDER = 6, NUMBER = NAME + 4, DIGITS = 9 }; /* where the digits stand in a frame */

static void write_digits(char *place, int digits, uint32_t number) {
    while (digits--) {
        place[digits] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* A frame as a person might send it: a name, and a text of some sixty characters. */
static const char *numbered_frame(int sender, uint32_t number) {
    char *frame = frames[sender];
    if (!frame[0]) {
        memcpy(frame, "member0000", 10);
        write_digits(frame + SENDER, 4, (uint32_t)sender);
        strcpy(frame + NAME, "No. 000000000, and this is about as long as what people say.");
    }
    write_digits(frame + NUMBER, DIGITS, number);
    return frame;
}

static void join(int place, uint16_t port, const char *key) {
    struct member *member = &members[place];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    member->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(member->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(member->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char offer[FRAME] = {0}, echo[FRAME];
    snprintf(offer, NAME, "member%04d", place);
    memcpy(offer + NAME, key, strlen(key));
    if (write(member->fd, offer, FRAME) != FRAME) fail("write");
    if (recv(member->fd, echo, FRAME, MSG_WAITALL) != FRAME || memcmp(offer, echo, FRAME)) fail("echo");
    fcntl(member->fd, F_SETFL, O_NONBLOCK);
    polled[place] = (struct pollfd){.fd = member->fd, .events = POLLIN};
}

static void check_frame(struct member *member, const char *frame) {
    uint32_t sender = 0;
    for (int place = SENDER; place < SENDER + 4; place++)
        sender = sender * 10 + (uint32_t)(frame[place] - '0');
    if (sender >= (uint32_t)count) fail("a mixed frame");
    if (memcmp(frame, numbered_frame((int)sender, member->next[sender]++), FRAME))
        fail("a frame lost, doubled, harmed or out of order");
    delivered++;
}

static void receive(struct member *member) {
    ssize_t got = recv(member->fd, member->in + member->in_have, BLOCK - member->in_have, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) fail("disconnected");
    member->in_have += (size_t)got;
    size_t used = 0;
    for (; member->in_have - used >= FRAME; used += FRAME) check_frame(member, member->in + used);
    memmove(member->in, member->in + used, member->in_have -= used);
}

static void send_some(int place) {
    struct member *member = &members[place];
    if (member->sent == member->out_end) { /* make the next block */
        size_t left = member->to_send - member->sent;
        member->out_start = member->sent;
        member->out_end = member->sent + (left < BLOCK ? left : BLOCK);
        for (size_t at = member->out_start; at < member->out_end; at += FRAME)
            memcpy(member->out + (at - member->out_start),
                   numbered_frame(place, (uint32_t)(at / FRAME)), FRAME);
    }
    ssize_t put = send(member->fd, member->out + (member->sent - member->out_start),
                       member->out_end - member->sent, MSG_NOSIGNAL);
    if (put < 0 && errno != EAGAIN) fail("send");
    if (put > 0) member->sent += (size_t)put;
    if (member->sent == member->to_send) polled[place].events = POLLIN;
}

/* Until so many frames have been delivered. */
static void run_until(size_t wanted) {
    while (delivered < wanted) {
        int ready = poll(polled, (nfds_t)count, SILENCE);
        errno = 0;
        if (ready == 0) fail("frames are missing");
        for (int place = 0; place < count; place++) {
            if (polled[place].revents & ~POLLOUT) receive(&members[place]);
            if (polled[place].revents & POLLOUT) send_some(place);
        }
    }
}

static int compare(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static void flood(int senders, size_t each) {
    for (int place = 0; place < senders; place++) {
        members[place].to_send = each * FRAME;
        polled[place].events = POLLIN | POLLOUT;
    }
    double start = now();
    run_until((size_t)senders * each * (size_t)(count - 1));
    printf("%zu %.6f\n", delivered, now() - start);
}

static void stuck(size_t each) {
    int reading = --count; /* the last is left alone: not polled, not read */
    members[0].to_send = each * FRAME;
    polled[0].events = POLLIN | POLLOUT;
    double start = now();
    run_until(each * (size_t)(reading - 1));
    printf("%zu %.6f\n", delivered, now() - start);
}

static void ping(int rounds) {
    double *times = calloc((size_t)rounds, sizeof *times);
    for (int round = 0; round < rounds; round++) {
        double start = now();
        members[0].to_send += FRAME;
        send_some(0);
        run_until((size_t)(round + 1) * (size_t)(count - 1));
        times[round] = now() - start;
    }
    qsort(times, (size_t)rounds, sizeof *times, compare);
    printf("%.1f %.1f\n", times[rounds / 2] * 1e6, times[rounds * 99 / 100] * 1e6);
}

int main(int argc, char **argv) {
    if (argc < 6) return 1;
    signal(SIGPIPE, SIG_IGN);
    count = atoi(argv[4]);
    if (count < 2 || count > MOST) return 1;
    members = calloc((size_t)count, sizeof *members);
    polled = calloc((size_t)count, sizeof *polled);
    frames = calloc((size_t)count, sizeof *frames);
    for (int place = 0; place < count; place++) {
        members[place].next = calloc((size_t)count, sizeof(uint32_t));
        join(place, (uint16_t)atoi(argv[1]), argv[2]);
    }
    if (strcmp(argv[3], "flood") == 0 && argc == 7) flood(atoi(argv[5]), (size_t)atol(argv[6]));
    else if (strcmp(argv[3], "ping") == 0) ping(atoi(argv[5]));
    else if (strcmp(argv[3], "stuck") == 0) stuck((size_t)atol(argv[5]));
    else if (strcmp(argv[3], "idle") == 0) sleep((unsigned)atoi(argv[5]));
    else return 1;
    return 0;
}
