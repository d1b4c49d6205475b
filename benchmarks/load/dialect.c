/* Every record holds a name that ends with its sender's number, and a text that a person might
 * have written, with the record's own number in it. Records of one kind have one size. */
#define _GNU_SOURCE
#include "dialect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char sender_mark[] = "member", number_mark[] = "No. ";

#define NAMED "member%04d"
#define SAID "No. 000000000, and this is about as long as what people say."

static size_t frame(char *to, int member) {
    memset(to, 0, FRAME);
    snprintf(to, NAME, NAMED, member);
    memcpy(to + NAME, SAID, sizeof SAID);
    return FRAME;
}

static size_t frame_offer(char *to, int member, const char *key) {
    frame(to, member);
    strncpy(to + NAME, key, TEXT);
    return FRAME;
}

static size_t no_offer(char *to, int member, const char *key) {
    (void)to, (void)member, (void)key;
    return 0;
}

static size_t line(char *to, int member) {
    (void)member;
    return (size_t)sprintf(to, SAID "\n");
}

static size_t line_shown(char *to, int member) {
    return (size_t)sprintf(to, NAMED ": " SAID "\r\n", member);
}

static size_t line_offer(char *to, int member, const char *key) {
    return (size_t)sprintf(to, NAMED "\n%s\n", member, key);
}

static size_t talk(char *to, int member) {
    return (size_t)sprintf(to, NAMED " says: " SAID "\n", member);
}

static size_t talk_offer(char *to, int member, const char *key) {
    return (size_t)sprintf(to, NAMED " says: %s", member, key);
}

/* NATS: the frame is the payload of a message to the one subject that all are subscribed to. */
static size_t around_frame(char *to, const char *before, int member) {
    size_t start = (size_t)sprintf(to, "%s", before);
    frame(to + start, member);
    memcpy(to + start + FRAME, "\r\n", 2);
    return start + FRAME + 2;
}

static size_t nats_publish(char *to, int member) { return around_frame(to, "PUB room 512\r\n", member); }

static size_t nats_message(char *to, int member) { return around_frame(to, "MSG room 1 512\r\n", member); }

static size_t nats_offer(char *to, int member, const char *key) {
    return (size_t)sprintf(to,
                           "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false,\"name\":\"" NAMED
                           "\",\"auth_token\":\"%s\"}\r\nSUB room 1\r\nPING\r\n",
                           member, key);
}

/* NATS asks its clients for a sign of life after minutes, and a measurement takes seconds. */
static const struct dialect dialects[] = {
    {"frame", NULL, frame_offer, NULL, NULL, frame, frame},
    {"bare", NULL, no_offer, "", NULL, frame, frame},
    {"line", NULL, line_offer, "Welcome.\r\n", NULL, line, line_shown},
    {"talk", "Thank you for connecting", talk_offer, "", NULL, talk, talk},
    {"nats", "\r\n", nats_offer, "PONG\r\n", "PING\r\n", nats_publish, nats_message},
};

const struct dialect *find_dialect(const char *title) {
    for (size_t at = 0; at < sizeof dialects / sizeof *dialects; at++)
        if (strcmp(dialects[at].title, title) == 0) return &dialects[at];
    return NULL;
}

static char *behind(char *bytes, size_t size, const char *mark) {
    char *found = memmem(bytes, size, mark, strlen(mark));
    return found ? found + strlen(mark) : NULL;
}

struct record *new_record(size_t (*make)(char *to, int member), int member) {
    struct record *record = malloc(sizeof *record);
    record->size = make(record->bytes, member);
    record->number = behind(record->bytes, record->size, number_mark);
    return record;
}

static char digits[1000][4];

__attribute__((constructor)) static void write_digits(void) {
    for (int value = 0; value < 1000; value++) sprintf(digits[value], "%03d", value);
}

/* Three digits at a time: this is done for every record that is sent or checked. */
const char *numbered(struct record *record, uint32_t number) {
    for (int place = DIGITS - 3; place >= 0; place -= 3, number /= 1000)
        memcpy(record->number + place, digits[number % 1000], 3);
    return record->bytes;
}

size_t place_of_sender(size_t (*make)(char *to, int member)) {
    char bytes[LONGEST];
    size_t size = make(bytes, 0);
    return (size_t)(behind(bytes, size, sender_mark) - bytes);
}

uint32_t read_digits(const char *place, int digits) {
    uint32_t number = 0;
    while (digits--) number = number * 10 + (uint32_t)(*place++ - '0');
    return number;
}
