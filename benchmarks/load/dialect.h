/* What members say to a server and hear from it, in each protocol that a peer speaks. */
#ifndef DIALECT_H
#define DIALECT_H

#include <stddef.h>
#include <stdint.h>

enum { NAME = 64, TEXT = 448, FRAME = NAME + TEXT };
enum { LONGEST = FRAME + 64, DIGITS = 9, MEMBER_DIGITS = 4 };

struct dialect {
    const char *title;
    const char *greeting;                          /* comes first, or nothing */
    size_t (*offer)(char *to, int member, const char *key); /* what a member joins with */
    const char *answer;                            /* to that: this, NULL for the offer itself */
    const char *aside;                             /* may stand between records, and is passed over */
    size_t (*say)(char *to, int member);           /* a record as a member sends it */
    size_t (*hear)(char *to, int member);          /* the same record as the others get it */
};

/* NULL if there is none of that title. */
const struct dialect *find_dialect(const char *title);

/* A record with the place of its number, so that each can be made from the one before. */
struct record {
    size_t size;
    char *number; /* DIGITS decimal digits */
    char bytes[LONGEST];
};

struct record *new_record(size_t (*make)(char *to, int member), int member);

/* The record with that number. */
const char *numbered(struct record *record, uint32_t number);

/* Where in a record its sender's number stands, as MEMBER_DIGITS digits. */
size_t place_of_sender(size_t (*make)(char *to, int member));

uint32_t read_digits(const char *place, int digits);

#endif
